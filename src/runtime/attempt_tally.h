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
  void Begin(const storage::ClaimedJob& job) {
    started_.Add(job.counted_as, base::JobEvent::kStarted);
    started_.Flush();
  }
  void End(const RunningAttempt& attempt, std::chrono::steady_clock::time_point now) {
    const auto ran = now - attempt.started();
    durations_.Add(attempt.claimed().counted_as, std::chrono::duration<double>(ran).count());
  }
  // Counts what was gathered; so does its end.
  void Flush() {
    started_.Flush();
    durations_.Flush();
  }

 private:
  base::EventTally started_{base::Metrics::Process()};
  base::TimeTally durations_{base::Metrics::Process(), base::JobTime::kDuration};
};

}  // namespace millrace::runtime
