#include "engine/validate.h"

#include <fmt/format.h>

namespace millrace::engine {
namespace {

constexpr std::size_t kMostNameBytes = 200;
constexpr std::size_t kMostArgsBytes = 1 << 20;
constexpr std::size_t kMostKeyBytes = 1000;

// Args are not parsed here, on the hot path: whoever produced them did, or the handler's decoding will tell. That they look
// like an object is checked, since a slip such as a bare string would otherwise only show in the dead letters.
bool LooksLikeObject(std::string_view args) {
  const std::size_t first = args.find_first_not_of(" \t\r\n");
  const std::size_t last = args.find_last_not_of(" \t\r\n");
  return first != std::string_view::npos && args[first] == '{' && args[last] == '}';
}

Result<void> CheckJob(const NewJob& job, std::size_t index) {
  const auto bad = [&](std::string_view field, std::string_view what) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("job {} of the batch: {}: {}", index, field, what));
  };
  if (job.kind.empty()) return bad("kind", "is empty");
  if (job.kind.size() > kMostNameBytes) return bad("kind", "is longer than 200 bytes");
  if (job.queue.empty()) return bad("queue", "is empty");
  if (job.queue.size() > kMostNameBytes) return bad("queue", "is longer than 200 bytes");
  if (job.args.size() > kMostArgsBytes) return bad("args", "is longer than 1 MiB; store the data elsewhere and pass its place");
  if (!LooksLikeObject(job.args)) return bad("args", "is not a JSON object");
  if (job.partition_key.size() > kMostKeyBytes) return bad("partition_key", "is longer than 1000 bytes");
  if (job.unique_key.size() > kMostKeyBytes) return bad("unique_key", "is longer than 1000 bytes");
  if (job.max_attempts < 0) return bad("max_attempts", "is negative");
  if (job.max_crashes < 0) return bad("max_crashes", "is negative");
  if (job.timeout.count() < 0) return bad("timeout", "is negative");
  if (job.delay && job.delay->count() < 0) return bad("delay", "is negative");
  if (static_cast<int>(job.priority) >= kPriorityCount) return bad("priority", "is not one of the five");
  if (job.run_id < 0) return bad("run_id", "is negative");
  return {};
}

}  // namespace

Result<void> ValidateNewJobs(std::span<const NewJob> jobs) {
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (auto valid = CheckJob(jobs[i], i); !valid) return valid;
  }
  return {};
}

}  // namespace millrace::engine
