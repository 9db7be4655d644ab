// Whether a worker's own loops make progress: each stamps what it does, and a probe asks. A handler that runs long is
// no loop. Thread-safe, without locks.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <string>

#include "millrace/job.h"

namespace millrace::runtime {

class LoopWatch {
 public:
  using Clock = std::chrono::steady_clock;
  enum class Loop { kFetchAndReport, kHeartbeat, kMaintenance };

  // The loop begins something that ends soon: a call of the database, a wait of a few seconds.
  void Step(Loop loop, Clock::time_point now = Clock::now());
  // The loop has nothing to do until the next Step: it waits for its time, or has ended.
  void Rest(Loop loop);

  // The name of a loop whose latest Step is more than `limit` before `now`, or nothing.
  [[nodiscard]] std::string Stuck(Duration limit, Clock::time_point now = Clock::now()) const;

 private:
  static constexpr Clock::rep kResting = Clock::duration::min().count();
  std::array<std::atomic<Clock::rep>, 3> stamps_{kResting, kResting, kResting};  // of the latest Step
};

}  // namespace millrace::runtime
