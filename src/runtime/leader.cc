#include "runtime/leader.h"

#include <algorithm>

#include "base/log.h"
#include "base/metrics.h"

namespace millrace::runtime {
namespace {

// Until the next look when nobody leads and the leadership could not be had: somebody is taking or leaving it.
constexpr Duration kInBetween = std::chrono::milliseconds(100);
// A leader that has not come round to its work for so many times its ttl renews no more.
constexpr int kStuckAfter = 4;

}  // namespace

Duration LeadershipTtl(const WorkerOptions& options) {
  const Duration beat = options.heartbeat_interval;
  return std::max(std::min(3 * beat, options.stale_threshold - beat), beat * 3 / 2);
}

Leader::Leader(storage::Storage& storage, storage::WorkerRef worker, const WorkerOptions& options)
    : storage_(storage),
      worker_(std::move(worker)),
      interval_(options.heartbeat_interval),
      campaign_{std::string(storage::kMaintenanceScope), LeadershipTtl(options)} {}

void Leader::Know(const storage::Leadership& leadership) {
  known_ = leadership;
  base::Metrics::Process().SetLeader(campaign_.scope, known_.leads);
}

storage::Campaign Leader::campaign() const {
  const std::lock_guard lock(mutex_);
  const bool stuck = known_.leads && Clock::now() - came_round_ > kStuckAfter * campaign_.ttl;
  return resigned_ || stuck ? storage::Campaign{} : campaign_;
}

void Leader::Heard(const storage::Leadership& answer, Clock::time_point asked) {
  const std::lock_guard lock(mutex_);
  if (asked < asked_) return;
  if (answer.leads && (!known_.leads || known_.epoch != answer.epoch)) {
    base::Log(base::Level::kInfo, "Leading",
              {{"scope", answer.scope}, {"worker", worker_.id}, {"epoch", std::to_string(answer.epoch)}});
  } else if (known_.leads && !answer.leads) {
    base::Log(base::Level::kWarn, "Leadership lost",
              {{"scope", answer.scope}, {"worker", worker_.id}, {"to", answer.holder}});
  }
  Know(answer);
  asked_ = asked;
  // One's own ends early rather than late, another's late rather than early.
  until_ = answer.leads ? asked + answer.left
                        : Clock::now() + (answer.holder.empty() ? std::min(kInBetween, interval_) : answer.left);
  changed_.notify_all();
}

std::optional<Leader::Clock::time_point> Leader::other_leads_until() const {
  const std::lock_guard lock(mutex_);
  if (resigned_ || known_.leads || known_.holder.empty()) return std::nullopt;
  return until_;
}

std::optional<storage::Leadership> Leader::Lead() {
  const auto asked = Clock::now();
  {
    const std::lock_guard lock(mutex_);
    came_round_ = asked;
    if (resigned_) return std::nullopt;
    if (asked < until_) return known_.leads ? std::optional(known_) : std::nullopt;
  }
  const auto answer = storage_.Lead(worker_, campaign_);
  if (answer) {
    Heard(*answer, asked);
    return answer->leads ? std::optional(*answer) : std::nullopt;
  }
  base::Log(base::Level::kWarn, "Asking who leads failed", {{"error", answer.error().message}});
  const std::lock_guard lock(mutex_);
  if (asked >= asked_) {
    Know({});
    until_ = Clock::now() + interval_;
  }
  return std::nullopt;
}

void Leader::Deposed() {
  const std::lock_guard lock(mutex_);
  Know({});
  until_ = Clock::time_point();
}

void Leader::Wait(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const bool leads = known_.leads;
  const auto until = leads ? Clock::now() + interval_ : until_;
  changed_.wait_until(lock, stop, until, [&] { return known_.leads != leads || (!leads && until_ < until); });
}

void Leader::Resign() {
  {
    const std::lock_guard lock(mutex_);
    resigned_ = true;
    if (!known_.leads) return;
    Know({});
  }
  if (auto done = storage_.Resign(worker_, campaign_.scope); !done)
    base::Log(base::Level::kWarn, "Resigning failed; the leadership ends by itself", {{"error", done.error().message}});
}

}  // namespace millrace::runtime
