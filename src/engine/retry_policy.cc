#include "engine/retry_policy.h"

#include <algorithm>
#include <cmath>

namespace millrace::engine {

RetryPolicy DefaultRetryPolicy(Priority priority) {
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  if (priority == Priority::kCritical) return {6, milliseconds(500), 1.5, seconds(30), 0.5};
  if (priority == Priority::kBulk) return {1, seconds(0), 1.0, seconds(0), 0.5};
  return {4, seconds(1), 2.0, std::chrono::minutes(5), 0.5};
}

Duration RetryDelay(const RetryPolicy& policy, int retry, double random) {
  const auto initial = static_cast<double>(policy.initial.count());
  const auto most = static_cast<double>(policy.max.count());
  const double grown = initial * std::pow(std::max(policy.multiplier, 1.0), std::max(retry, 1) - 1);
  const double factor = 1.0 - std::clamp(policy.jitter, 0.0, 1.0) * std::clamp(random, 0.0, 1.0);
  return Duration(std::llround(std::max(0.0, std::min(grown, most) * factor)));
}

std::optional<int> EverywhereMaxAttempts(const StorageOptions& options, Priority priority) {
  const std::optional<int>& own = options.max_attempts_by_priority[static_cast<std::size_t>(priority)];
  return own ? own : options.max_attempts;
}

RetryPolicy EffectiveRetryPolicy(const RetrySources& sources, Priority priority) {
  RetryPolicy policy = DefaultRetryPolicy(priority);
  if (sources.everywhere_max_attempts) policy.max_attempts = *sources.everywhere_max_attempts;
  if (sources.queue) policy = *sources.queue;
  if (sources.kind) policy = *sources.kind;
  if (sources.job_max_attempts > 0) policy.max_attempts = sources.job_max_attempts;
  return policy;
}

}  // namespace millrace::engine
