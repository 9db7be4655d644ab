#include "runtime/maintenance.h"

#include <utility>

#include "base/log.h"
#include "base/thread_name.h"

namespace millrace::runtime {
namespace {

// A worker ends its own overdue attempts; storage does it for those that cannot, so much later.
constexpr auto kExpiryGrace = std::chrono::seconds(15);
// Whatever began before a leap of the clock has ended by then.
constexpr auto kLongestAttempt = std::chrono::hours(24);
constexpr auto kRetentionInterval = std::chrono::minutes(1);
constexpr int kMostDeletedAtOnce = 10'000;

}  // namespace

Maintenance::Maintenance(storage::Storage& storage, const WorkerOptions& options, Leader& leader, LoopWatch& watch)
    : storage_(storage),
      options_(options),
      leader_(leader),
      watch_(watch),
      thread_([this](const std::stop_token& stop) { Loop(stop); }) {}

void Maintenance::Failed(std::string_view doing, const Error& error) {
  base::Log(base::Level::kWarn, doing, {{"error", error.message}});
  if (error.code == ErrorCode::kLeaseLost) leader_.Deposed();
}

void Maintenance::WatchClock() {
  using Steady = std::chrono::steady_clock;
  const auto before = Steady::now();
  const auto now = storage_.Now();
  const auto after = Steady::now();
  if (!now) return;
  const auto ahead_of = [&](Steady::time_point time) {
    return std::chrono::duration_cast<Duration>(now->time_since_epoch() - time.time_since_epoch());
  };
  // The answer may have been long on its way: never more than what is certain.
  const Duration leap = ahead_of(after) - std::exchange(clock_ahead_, ahead_of(before)).value_or(ahead_of(after));
  if (after > trusted_from_ + kLongestAttempt) leapt_ = Duration(0);
  // Every worker beats within half of it.
  if (leap <= options_.stale_threshold / 4) return;
  leapt_ += leap;
  trusted_from_ = after + options_.stale_threshold;
  base::Log(base::Level::kWarn,
            "The database's clock leapt ahead; nothing is rescued until every worker could beat again",
            {{"seconds", std::to_string(leap / std::chrono::seconds(1))}});
}

void Maintenance::Rescue(const storage::Leadership& as) {
  if (std::chrono::steady_clock::now() < trusted_from_) return;
  const auto rescued = storage_.Rescue(options_.stale_threshold, kExpiryGrace + leapt_, as);
  if (!rescued) return Failed("Rescue failed", rescued.error());
  for (const storage::Rescued& job : *rescued) {
    base::Log(base::Level::kWarn, "Job rescued",
              {{"job", std::to_string(job.id)},
               {"worker", job.worker},
               {"cause", job.expired ? "timeout" : "worker lost"},
               {"state", std::string(job_state_name(job.state))}});
  }
}

void Maintenance::Retain(const storage::Leadership& as) {
  const auto now = storage_.Now();
  if (!now) return;
  // What is kept for ever needs its place made all the same.
  const int most = options_.history_retention.count() > 0 ? kMostDeletedAtOnce : 0;
  const auto deleted = storage_.DeleteFinished(*now - options_.history_retention, most, as);
  if (!deleted) Failed("Deleting old history failed", deleted.error());
}

void Maintenance::Loop(const std::stop_token& stop) {
  base::NameThread("mr-maintain");
  auto next_retention = std::chrono::steady_clock::now();
  while (!stop.stop_requested()) {
    watch_.Step(LoopWatch::Loop::kMaintenance);
    const auto leadership = leader_.Lead();
    WatchClock();
    if (leadership) Rescue(*leadership);
    if (leadership && std::chrono::steady_clock::now() >= next_retention) {
      Retain(*leadership);
      next_retention = std::chrono::steady_clock::now() + kRetentionInterval;
    }
    watch_.Rest(LoopWatch::Loop::kMaintenance);
    leader_.Wait(stop);
  }
}

}  // namespace millrace::runtime
