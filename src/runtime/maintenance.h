// What must happen from time to time, done by the one worker that leads: rescue, and history that has outlived its
// retention.
#pragma once

#include <chrono>
#include <optional>
#include <thread>

#include "millrace/options.h"
#include "runtime/leader.h"
#include "runtime/loop_watch.h"
#include "storage/storage.h"

namespace millrace::runtime {

class Maintenance {
 public:
  // Runs in a thread of its own until destroyed; each round is a step in `watch`.
  Maintenance(storage::Storage& storage, const WorkerOptions& options, Leader& leader, LoopWatch& watch);

 private:
  void Loop(const std::stop_token& stop);
  // Notes when the database's clock went forward faster than time passed (it was set, or the machine slept). Workers
  // look silent then that have had no chance to beat, and attempts late that are not. Every round, whoever leads: the
  // leap itself may end a leadership.
  void WatchClock();
  // As the leader. Refused, `leader_` is told.
  void Rescue(const storage::Leadership& as);
  void Retain(const storage::Leadership& as);
  void Failed(std::string_view doing, const Error& error);

  storage::Storage& storage_;
  const WorkerOptions options_;
  Leader& leader_;
  LoopWatch& watch_;
  std::optional<Duration> clock_ahead_;  // the database's clock, of this process's monotonic one, a round ago
  std::chrono::steady_clock::time_point trusted_from_{};  // until then nobody is rescued
  Duration leapt_{0};                                     // so much too early are deadlines of attempts begun before
  std::jthread thread_;
};

}  // namespace millrace::runtime
