#include "runtime/fetcher.h"

#include <algorithm>

namespace millrace::runtime {
namespace {

constexpr double kSecondsHeld = 0.05;
constexpr int kMostPrefetched = 4000;
constexpr int kLargestBatch = 4000;

}  // namespace

Fetcher::Fetcher(const WorkerOptions& options, storage::WorkerRef worker) : options_(options) {
  filter_.worker = std::move(worker);
  filter_.queues = options.queues;
  if (!options.priorities.empty()) {
    filter_.priorities = engine::PrioritySet::None();
    for (const Priority priority : options.priorities) filter_.priorities.Add(priority);
  }
}

int Fetcher::Prefetch(const Executor::Load& load) const {
  if (options_.prefetch >= 0) return options_.prefetch;
  if (load.seconds_per_job <= 0) return 0;  // nothing known yet
  const double jobs = kSecondsHeld / load.seconds_per_job * load.slots;
  return static_cast<int>(std::min<double>(jobs, kMostPrefetched));
}

storage::ClaimRequest Fetcher::Request(const Executor::Load& load) const {
  storage::ClaimRequest request = filter_;
  if (!options_.scheduler_enabled || Exhausted()) return request;
  const int in_flight = load.running + load.queued;
  const int prefetch = Prefetch(load);
  // Half of what is prefetched may be used up before more is fetched, so that claims stay large.
  if (in_flight >= load.slots && load.queued > prefetch / 2) return request;
  int want = load.slots + prefetch - in_flight;
  want = std::min(want, options_.batch_size > 0 ? options_.batch_size : kLargestBatch);
  if (options_.max_jobs > 0) want = static_cast<int>(std::min<std::int64_t>(want, options_.max_jobs - claimed_));
  request.max_jobs = std::max(want, 0);
  request.max_held = std::max(load.slots - in_flight, 0);
  return request;
}

bool Fetcher::Exhausted() const { return options_.max_jobs > 0 && claimed_ >= options_.max_jobs; }

}  // namespace millrace::runtime
