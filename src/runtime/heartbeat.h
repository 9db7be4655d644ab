// Says, once per interval, that the worker lives, passes progress on, campaigns for maintenance, and learns which jobs
// to cancel. While the worker has no jobs and another one leads there is little to say: then it beats just before it
// stops knowing who leads, and at least twice per stale threshold, so that many idle workers cost the database little.
#pragma once

#include <functional>
#include <optional>
#include <thread>

#include "runtime/executor.h"
#include "runtime/lasting_failure.h"
#include "runtime/leader.h"
#include "runtime/loop_watch.h"

namespace millrace::runtime {

class Heartbeat {
 public:
  using Clock = Leader::Clock;
  // Without an error the worker is superseded.
  using Lost = std::function<void(std::optional<Error>)>;

  // `lost` is called, once, when the worker must stop at once: it is superseded, or the database fails in a way that
  // lasts, or has not been reached for so long that the worker's jobs are about to be taken from it. Runs in a thread
  // of its own until destroyed; each beat is a step in `watch`.
  Heartbeat(storage::Storage& storage, storage::WorkerRef worker, Executor& executor, const WorkerOptions& options,
            Leader& leader, LoopWatch& watch, Lost lost);
  // The state the next beats tell.
  void SetState(storage::WorkerState state) { state_ = state; }

 private:
  void Loop(const std::stop_token& stop);
  // When the next beat is due, the last one having been at `last`.
  [[nodiscard]] Clock::time_point Due(Clock::time_point last) const;
  // Fails when the database was not reached.
  Result<void> Beat();
  void TellLost(std::optional<Error> error);

  storage::Storage& storage_;
  const storage::WorkerRef worker_;
  Executor& executor_;
  const WorkerOptions options_;
  Leader& leader_;
  LoopWatch& watch_;
  const Lost lost_;
  LastingFailure failures_;
  std::atomic<storage::WorkerState> state_ = storage::WorkerState::kActive;
  bool reached_ = false;                                             // by the last beat
  storage::WorkerState told_state_ = storage::WorkerState::kActive;  // by the last beat that got through
  bool told_lost_ = false;
  std::jthread thread_;  // last: it uses the rest
};

}  // namespace millrace::runtime
