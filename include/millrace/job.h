// What a job is: the unit of work that is enqueued, claimed, run and reported.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/error.h"

namespace millrace {

// Identifies a job for its whole life and in history. Positive; opaque: order means nothing.
using JobId = std::int64_t;

// Identifies one execution of a pipeline.
using RunId = std::int64_t;

// Wall time is the database's clock, in microseconds since the Unix epoch (UTC).
using Duration = std::chrono::microseconds;
using Time = std::chrono::time_point<std::chrono::system_clock, Duration>;

// critical > high > default > low > bulk. The numbers are stored and never change.
enum class Priority : std::uint8_t { kCritical = 0, kHigh = 1, kDefault = 2, kLow = 3, kBulk = 4 };
inline constexpr int kPriorityCount = 5;

// A job is in exactly one of these. The numbers are stored and never change.
enum class JobState : std::uint8_t {
  kWaiting = 0,    // for jobs it depends on
  kScheduled = 1,  // not due yet
  kAvailable = 2,  // may be claimed
  kRunning = 3,    // a worker holds its lease
  kRetryable = 4,  // failed, waiting for its next attempt
  kCompleted = 5,  // done
  kCancelled = 6,  // given up on request
  kDead = 7,       // failed for good: a dead letter
};
inline constexpr int kJobStateCount = 8;

// When a job that waits for others runs. Succeeded is completed; failed is dead or cancelled. The numbers are stored
// and never change.
enum class DependencyPolicy : std::uint8_t {
  kAllSucceeded = 0,  // when all have succeeded; the first that fails cancels it
  kAnyFailed = 1,     // when all have finished and some failed (it cleans up, say); cancelled when all succeeded
  kAllFinished = 2,   // when all have finished, whatever became of them
};
inline constexpr int kDependencyPolicyCount = 3;

// Stable lower-case names ("critical", "available"; of policies "succeeded", "failed", "finished"), and back. Parsing
// ignores case; an unknown name is kInvalidArgument and the message lists the known ones.
[[nodiscard]] std::string_view priority_name(Priority priority);
[[nodiscard]] Result<Priority> parse_priority(std::string_view name);
[[nodiscard]] std::string_view job_state_name(JobState state);
[[nodiscard]] Result<JobState> parse_job_state(std::string_view name);
[[nodiscard]] std::string_view dependency_policy_name(DependencyPolicy policy);
[[nodiscard]] Result<DependencyPolicy> parse_dependency_policy(std::string_view name);

// A job to enqueue. Only `kind` is required.
struct NewJob {
  std::string kind;               // names the handler; at most 200 bytes
  std::string args = "{}";        // a JSON object, UTF-8; at most 1 MiB
  std::string queue = "default";  // created on first use; at most 200 bytes
  Priority priority = Priority::kDefault;
  std::optional<Time> run_at;     // unset or past: at once
  std::optional<Duration> delay;  // after the database's now; ignored when run_at is set
  int max_attempts = 0;           // 0: by kind, queue or priority
  int max_crashes = 0;            // worker deaths it may outlive; 0: work_queue.max_crashes
  Duration timeout{0};            // of one attempt; 0: by kind, else work_queue.claim_timeout
  std::string partition_key;      // at most one worker holds a key's jobs at a time
  std::string unique_key;         // at most one unfinished job has it
  RunId run_id = 0;               // 0: belongs to no run
  std::vector<std::string> tags;  // for people and filters

  // The jobs it waits for: those with the ids `after`, and entries of the same batch, named by their index in it, which
  // must be lower than its own. With any it is `waiting` until `when` is decided, in the transaction that finishes the
  // last of them; then it may run, at once or at its run_at, or is cancelled and its error says why. A job that has
  // finished already counts by what became of it. One that does not exist, or whose history was deleted, is
  // kInvalidArgument.
  std::vector<JobId> after;
  std::vector<std::size_t> after_in_batch;
  DependencyPolicy when = DependencyPolicy::kAllSucceeded;
};

// What became of one NewJob: its id, or that of the unfinished job that already has its unique key.
struct Enqueued {
  JobId id = 0;
  bool duplicate = false;
};

// One failed, timed-out or crashed attempt, as history shows it.
struct Attempt {
  int attempt = 0;
  std::string outcome;  // "failed", "timeout", "crashed", "fatal", "cancelled"
  std::string error;
  std::string worker;
  Time started_at{};
  Time finished_at{};
};

// A job as storage holds it. Fields of an attempt are those of the latest one.
struct Job {
  JobId id = 0;
  std::string kind;
  std::string args;
  std::string queue;
  Priority priority = Priority::kDefault;
  JobState state = JobState::kAvailable;
  Time created_at{};
  Time run_at{};
  std::optional<Time> started_at;
  std::optional<Time> finished_at;
  int attempt = 0;       // attempts that counted, the running one included
  int max_attempts = 0;  // 0: by kind, queue or priority
  int crashes = 0;
  int max_crashes = 0;
  Duration timeout{0};
  std::string partition_key;
  std::string unique_key;
  RunId run_id = 0;
  std::vector<std::string> tags;
  std::string worker;   // who holds or last held it
  std::string result;   // JSON, or empty
  std::string error;    // of the latest failure, or empty
  double progress = 0;  // 0 to 1
  std::string progress_message;
  bool cancel_requested = false;
  std::vector<JobId> after;  // while it is waiting: the unfinished jobs it waits for, in order of id, and the policy
  DependencyPolicy when = DependencyPolicy::kAllSucceeded;
};

}  // namespace millrace
