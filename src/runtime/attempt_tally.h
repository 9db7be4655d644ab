// Counts the handlers that one thread begins, and how long they run, for the metrics; the latter gathered over a few
// jobs that were taken together. Without a lock. One thread at a time.
#pragma once

#include <chrono>

#include "base/metrics.h"
#include "runtime/attempt.h"

namespace millrace::runtime {

class AttemptTally {
 public:
  // Counted at once: it may be one that never ends.
  static void Begin(const storage::ClaimedJob& job) {
    if (job.counted_as != nullptr) base::Metrics::Process().Count(*job.counted_as, base::JobEvent::kStarted, 1);
  }
  void End(const RunningAttempt& attempt, std::chrono::steady_clock::time_point now) {
    const auto ran = now - attempt.started();
    durations_.Add(attempt.claimed().counted_as, std::chrono::duration<double>(ran).count());
  }
  // Counts what was gathered; so does its end.
  void Flush() { durations_.Flush(); }

 private:
  base::TimeTally durations_{base::Metrics::Process(), base::JobTime::kDuration};
};

}  // namespace millrace::runtime
