// The state machine of a job, as one table. Nothing else decides whether a transition is allowed.
#pragma once

#include <optional>

#include "millrace/job.h"

namespace millrace::engine {

// What can happen to a job.
enum class JobEvent : std::uint8_t {
  kReady,       // what it waited for has turned out as it should
  kReadyLater,  // that, before its run_at
  kDue,         // its time has come
  kClaim,       // a worker takes it
  kOk,          // its handler succeeded
  kError,       // its handler failed and attempts are left; also: ran past its timeout
  kFatal,       // its handler failed for good, or no attempts are left
  kSnooze,      // its handler asked to run later
  kRelease,     // given back at shutdown
  kCrash,       // its worker is gone and it may outlive more
  kPoison,      // its worker is gone and it has outlived max_crashes
  kCancel,      // somebody gave up on it
  kRetryDead,   // an operator starts it again
};
inline constexpr int kJobEventCount = 13;

// Where `event` takes a job in `state`, or nothing when it is not allowed there.
std::optional<JobState> Next(JobState state, JobEvent event);

// Completed, cancelled or dead: nothing happens to it any more by itself.
bool IsFinished(JobState state);

// Whether the attempt that ended with this event counts towards max_attempts.
bool CountsAsAttempt(JobEvent event);

}  // namespace millrace::engine
