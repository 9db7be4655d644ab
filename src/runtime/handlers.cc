#include "runtime/handlers.h"

#include <random>

#include "engine/retry_policy.h"
#include "engine/validate.h"

namespace millrace::runtime {
namespace {

double Random() {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(generator);
}

}  // namespace

const Handler* Handlers::Find(const std::string& kind) const {
  const auto found = handlers_.find(kind);
  return found == handlers_.end() ? nullptr : &found->second;
}

std::vector<std::string> Handlers::Kinds() const {
  std::vector<std::string> kinds;
  for (const auto& [kind, handler] : handlers_) kinds.push_back(kind);
  return kinds;
}

std::map<std::string, Duration> Handlers::Timeouts() const {
  std::map<std::string, Duration> timeouts;
  for (const auto& [kind, handler] : handlers_) {
    if (handler.options.timeout.count() > 0) timeouts[kind] = handler.options.timeout;
  }
  return timeouts;
}

Duration Handlers::TimeoutOf(const storage::ClaimedJob& job) const {
  if (job.timeout.count() > 0) return job.timeout;
  const Handler* handler = Find(job.kind);
  if (handler != nullptr && handler->options.timeout.count() > 0) return handler->options.timeout;
  return storage_.claim_timeout;
}

storage::Report Handlers::Failure(const storage::ClaimedJob& job, std::string error, std::optional<Duration> after,
                                  bool timed_out) const {
  engine::RetrySources sources;
  sources.job_max_attempts = job.max_attempts;
  sources.everywhere_max_attempts = engine::EverywhereMaxAttempts(storage_, job.priority);
  if (const Handler* handler = Find(job.kind)) sources.kind = handler->options.retry;
  for (const QueueOptions& queue : storage_.queues) {
    if (queue.name == job.queue) sources.queue = queue.retry;
  }
  const RetryPolicy policy = engine::EffectiveRetryPolicy(sources, job.priority);
  const bool again = job.attempt < policy.max_attempts;
  storage::Report report = ReportFor(job, again ? storage::Verdict::kRetry : storage::Verdict::kDead, std::move(error));
  report.timed_out = timed_out;
  if (again) report.delay = after.value_or(engine::RetryDelay(policy, job.attempt, Random()));
  return report;
}

storage::Report ReportFor(const storage::ClaimedJob& job, storage::Verdict verdict, std::string text) {
  storage::Report report;
  report.id = job.id;
  report.attempt = job.attempt;
  report.token = job.token;
  report.verdict = verdict;
  report.counted_as = job.counted_as;
  report.text = verdict == storage::Verdict::kCompleted ? std::move(text) : engine::CleanErrorText(std::move(text));
  return report;
}

}  // namespace millrace::runtime
