#include "engine/validate.h"

#include <fmt/format.h>

#include "base/json.h"
#include "base/utf8.h"
#include "engine/dependencies.h"

namespace millrace::engine {
namespace {

constexpr std::size_t kMostNameBytes = 200;
constexpr std::size_t kMostArgsBytes = 1 << 20;
constexpr std::size_t kMostKeyBytes = 1000;
constexpr std::size_t kMostResultBytes = 16 << 20;
constexpr std::size_t kMostErrorBytes = 64 << 10;

constexpr std::size_t kMostDependencies = 10'000;

constexpr std::string_view kNoText = "is not UTF-8, or contains a zero byte";

// What is wrong with the jobs it waits for; empty: nothing.
std::string_view WrongDependencies(const NewJob& job, std::size_t index) {
  if (job.after.size() + job.after_in_batch.size() > kMostDependencies)
    return "names more than 10000 jobs; let a job in between wait for some of them";
  for (const JobId id : job.after) {
    if (id <= 0) return "is no job id";
  }
  for (const std::size_t earlier : job.after_in_batch) {
    if (earlier >= index) return "an entry of the batch can wait only for those before it";
  }
  if (static_cast<int>(job.when) >= kDependencyPolicyCount) return "its policy is none of the three";
  return {};
}

Result<void> CheckJob(const NewJob& job, std::size_t index) {
  const auto bad = [&](std::string_view field, std::string_view what) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("job {} of the batch: {}: {}", index, field, what));
  };
  if (job.kind.empty()) return bad("kind", "is empty");
  if (job.kind.size() > kMostNameBytes) return bad("kind", "is longer than 200 bytes");
  if (!base::IsCleanUtf8(job.kind)) return bad("kind", kNoText);
  if (job.queue.empty()) return bad("queue", "is empty");
  if (job.queue.size() > kMostNameBytes) return bad("queue", "is longer than 200 bytes");
  if (!base::IsCleanUtf8(job.queue)) return bad("queue", kNoText);
  if (job.args.size() > kMostArgsBytes)
    return bad("args", "is longer than 1 MiB; store the data elsewhere and pass its place");
  if (auto args = base::CheckJsonObject(job.args); !args)
    return bad("args", "is not a JSON object: " + args.error().message);
  if (job.partition_key.size() > kMostKeyBytes) return bad("partition_key", "is longer than 1000 bytes");
  if (job.unique_key.size() > kMostKeyBytes) return bad("unique_key", "is longer than 1000 bytes");
  if (!base::IsCleanUtf8(job.partition_key)) return bad("partition_key", kNoText);
  if (!base::IsCleanUtf8(job.unique_key)) return bad("unique_key", kNoText);
  for (const std::string& tag : job.tags) {
    if (!base::IsCleanUtf8(tag)) return bad("tags", kNoText);
  }
  if (job.max_attempts < 0) return bad("max_attempts", "is negative");
  if (job.max_crashes < 0) return bad("max_crashes", "is negative");
  if (job.timeout.count() < 0 || job.timeout > kLongestDelay) return bad("timeout", "is negative or above 100 years");
  if (job.delay && (job.delay->count() < 0 || *job.delay > kLongestDelay))
    return bad("delay", "is negative or above 100 years");
  if (job.run_at && (*job.run_at < Time() || *job.run_at > kLatestTime))
    return bad("run_at", "is before 1970 or after 2469");
  if (static_cast<int>(job.priority) >= kPriorityCount) return bad("priority", "is not one of the five");
  if (job.run_id < 0) return bad("run_id", "is negative");
  if (const auto wrong = WrongDependencies(job, index); !wrong.empty()) return bad("after", wrong);
  return {};
}

}  // namespace

Result<void> ValidateNewJobs(std::span<const NewJob> jobs) {
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (auto valid = CheckJob(jobs[i], i); !valid) return valid;
  }
  return {};
}

Result<void> ValidateStages(std::span<const NewJob> jobs) {
  for (const NewJob& job : jobs) {
    if (Waits(job))
      return fail(ErrorCode::kInvalidArgument, "a run's own stage '" + job.kind + "' cannot wait for other jobs");
  }
  return ValidateNewJobs(jobs);
}

Result<void> ValidateResult(std::string_view result) {
  if (result.empty()) return {};
  if (result.size() > kMostResultBytes) {
    return fail(ErrorCode::kInvalidArgument,
                "the result is longer than 16 MiB; store the data elsewhere and return its place");
  }
  if (auto valid = base::CheckJson(result); !valid)
    return fail(ErrorCode::kInvalidArgument, "the result is not JSON: " + valid.error().message);
  return {};
}

std::string CleanErrorText(std::string text) { return base::ToCleanUtf8(std::move(text), kMostErrorBytes); }

}  // namespace millrace::engine
