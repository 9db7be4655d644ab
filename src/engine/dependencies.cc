#include "engine/dependencies.h"

namespace millrace::engine {

void AppendBatch(std::vector<NewJob>& all, std::span<const NewJob> batch, RunId run) {
  const std::size_t first = all.size();
  all.insert(all.end(), batch.begin(), batch.end());
  for (std::size_t i = first; i < all.size(); ++i) {
    all[i].run_id = run;
    for (std::size_t& earlier : all[i].after_in_batch) earlier += first;
  }
}

std::optional<JobEvent> Decide(DependencyPolicy policy, const DependencyProgress& progress) {
  const bool failed = progress.failed != 0;
  if (policy == DependencyPolicy::kAllSucceeded && failed) return JobEvent::kCancel;
  if (progress.open > 0) return std::nullopt;
  if (policy == DependencyPolicy::kAnyFailed && !failed) return JobEvent::kCancel;
  return JobEvent::kReady;
}

std::string WhyCancelled(const DependencyProgress& progress) {
  if (progress.failed == 0) return "all jobs it waited for succeeded; it was to run if one failed";
  return "job " + std::to_string(progress.failed) + ", which it waited for, died or was cancelled";
}

}  // namespace millrace::engine
