#include "runtime/maintenance.h"

#include <condition_variable>

#include "base/log.h"
#include "base/thread_name.h"

namespace millrace::runtime {
namespace {

// A worker ends its own overdue attempts; storage does it for those that cannot, so much later.
constexpr auto kExpiryGrace = std::chrono::seconds(15);
constexpr auto kRetentionInterval = std::chrono::minutes(1);
constexpr int kMostDeletedAtOnce = 10'000;

}  // namespace

Maintenance::Maintenance(storage::Storage& storage, const WorkerOptions& options, LoopWatch& watch)
    : storage_(storage),
      options_(options),
      watch_(watch),
      thread_([this](const std::stop_token& stop) { Loop(stop); }) {}

void Maintenance::Rescue() {
  const auto rescued = storage_.Rescue(options_.stale_threshold, kExpiryGrace);
  if (!rescued) {
    base::Log(base::Level::kWarn, "Rescue failed", {{"error", rescued.error().message}});
    return;
  }
  for (const storage::Rescued& job : *rescued) {
    base::Log(base::Level::kWarn, "Job rescued",
              {{"job", std::to_string(job.id)},
               {"worker", job.worker},
               {"cause", job.expired ? "timeout" : "worker lost"},
               {"state", std::string(job_state_name(job.state))}});
  }
}

void Maintenance::Retain() {
  const auto now = storage_.Now();
  if (!now || options_.history_retention.count() <= 0) return;
  const auto deleted = storage_.DeleteFinished(*now - options_.history_retention, kMostDeletedAtOnce);
  if (!deleted) base::Log(base::Level::kWarn, "Deleting old history failed", {{"error", deleted.error().message}});
}

void Maintenance::Loop(const std::stop_token& stop) {
  base::NameThread("mr-maintain");
  std::mutex mutex;
  std::condition_variable_any wake;
  auto next_retention = std::chrono::steady_clock::now();
  while (!stop.stop_requested()) {
    watch_.Step(LoopWatch::Loop::kMaintenance);
    Rescue();
    if (std::chrono::steady_clock::now() >= next_retention) {
      Retain();
      next_retention = std::chrono::steady_clock::now() + kRetentionInterval;
    }
    watch_.Rest(LoopWatch::Loop::kMaintenance);
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, options_.heartbeat_interval, [] { return false; });
  }
}

}  // namespace millrace::runtime
