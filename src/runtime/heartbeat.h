// Says, once per interval, that the worker lives, passes progress on, and learns which jobs to cancel.
#pragma once

#include <functional>
#include <thread>

#include "runtime/executor.h"

namespace millrace::runtime {

class Heartbeat {
 public:
  // `lost` is called, once, when the worker must stop at once: it is superseded, or has not reached the database for so
  // long that its jobs are about to be taken from it. Runs in a thread of its own until destroyed.
  Heartbeat(storage::Storage& storage, storage::WorkerRef worker, Executor& executor, const WorkerOptions& options,
            std::function<void()> lost);
  // The state the next beats tell.
  void SetState(storage::WorkerState state) { state_ = state; }

 private:
  void Loop(const std::stop_token& stop);
  // False: the database was not reached.
  bool Beat();

  storage::Storage& storage_;
  const storage::WorkerRef worker_;
  Executor& executor_;
  const WorkerOptions options_;
  const std::function<void()> lost_;
  std::atomic<storage::WorkerState> state_ = storage::WorkerState::kActive;
  bool told_lost_ = false;
  std::jthread thread_;  // last: it uses the rest
};

}  // namespace millrace::runtime
