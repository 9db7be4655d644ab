// How often a job is tried and how long it waits in between. Numbers by priority from the contracts:
//   critical: 5 retries, 500 ms x 1.5, at most 30 s; high, default, low: 3 retries, 1 s x 2, at most 5 min; bulk: none.
#pragma once

#include <optional>

#include "millrace/options.h"

namespace millrace::engine {

// The policy of jobs whose kind and queue say nothing.
RetryPolicy DefaultRetryPolicy(Priority priority);

// Before the n-th retry (n from 1): min(initial x multiplier^(n-1), max) x a factor in [1 - jitter, 1], where
// `random` in [0, 1) picks the factor. Never negative.
Duration RetryDelay(const RetryPolicy& policy, int retry, double random);

// What decides a job's attempts, each unset where nobody said. Precedence: job > kind > queue > everywhere > priority.
struct RetrySources {
  int job_max_attempts = 0;  // 0: the job does not say
  std::optional<RetryPolicy> kind;
  std::optional<RetryPolicy> queue;
  std::optional<int> everywhere_max_attempts;  // environment or work_queue.max_retries, plus one
};
// What the options say for every job of a priority.
std::optional<int> EverywhereMaxAttempts(const StorageOptions& options, Priority priority);
RetryPolicy EffectiveRetryPolicy(const RetrySources& sources, Priority priority);

}  // namespace millrace::engine
