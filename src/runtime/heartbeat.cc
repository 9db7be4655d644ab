#include "runtime/heartbeat.h"

#include <condition_variable>

#include "base/log.h"
#include "base/thread_name.h"

namespace millrace::runtime {
namespace {

// Between tries, when the database fails in a way that lasts.
constexpr Duration kQuickly = std::chrono::milliseconds(100);
// So many times per interval the worker looks whether a beat is due: work may have begun.
constexpr int kLooksPerInterval = 5;

}  // namespace

Heartbeat::Heartbeat(storage::Storage& storage, storage::WorkerRef worker, Executor& executor,
                     const WorkerOptions& options, Leader& leader, LoopWatch& watch, Lost lost)
    : storage_(storage),
      worker_(std::move(worker)),
      executor_(executor),
      options_(options),
      leader_(leader),
      watch_(watch),
      lost_(std::move(lost)),
      thread_([this](const std::stop_token& stop) { Loop(stop); }) {}

void Heartbeat::TellLost(std::optional<Error> error) {
  if (told_lost_) return;
  told_lost_ = true;
  lost_(std::move(error));
}

Result<void> Heartbeat::Beat() {
  const auto asked = Leader::Clock::now();
  const storage::WorkerState state = state_;
  const auto reply = storage_.Heartbeat(worker_, state, executor_.TakeProgress(), leader_.campaign());
  if (!reply) {
    base::Log(base::Level::kWarn, "Heartbeat failed", {{"worker", worker_.id}, {"error", reply.error().message}});
    return fail(reply.error());
  }
  told_state_ = state;
  if (reply->superseded && !told_lost_) {
    base::Log(base::Level::kError, "Worker superseded: another one has its id", {{"worker", worker_.id}});
    TellLost(std::nullopt);
  }
  if (reply->leadership) leader_.Heard(*reply->leadership, asked);
  if (!reply->cancelled.empty()) executor_.Cancel(reply->cancelled);
  return {};
}

Heartbeat::Clock::time_point Heartbeat::Due(Clock::time_point last) const {
  const Clock::time_point next = last + options_.heartbeat_interval;
  const Executor::Load load = executor_.load();
  if (load.running > 0 || load.queued > 0 || !reached_ || state_ != told_state_) return next;
  const std::optional<Clock::time_point> led_until = leader_.other_leads_until();
  if (!led_until) return next;
  const Duration look = options_.heartbeat_interval / kLooksPerInterval;
  return std::max(next, std::min(last + options_.stale_threshold / 2, *led_until - look));
}

void Heartbeat::Loop(const std::stop_token& stop) {
  base::NameThread("mr-heartbeat");
  std::mutex mutex;
  std::condition_variable_any wake;
  auto last_reached = Clock::now();
  auto last = last_reached;
  while (!stop.stop_requested()) {
    const bool trying = failures_.trying() && !told_lost_;
    {
      std::unique_lock lock(mutex);
      wake.wait_for(lock, stop, trying ? kQuickly : options_.heartbeat_interval / kLooksPerInterval,
                    [] { return false; });
    }
    if (stop.stop_requested()) return;
    const auto now = Clock::now();
    if (!trying && now < Due(last)) continue;
    last = now;
    watch_.Step(LoopWatch::Loop::kHeartbeat, now);
    const auto reached = Beat();
    watch_.Rest(LoopWatch::Loop::kHeartbeat);
    reached_ = reached.has_value();
    if (reached_) {
      last_reached = now;
      failures_.Succeeded();
    } else if (failures_.Failed(reached.error().code)) {
      TellLost(reached.error());
    } else if (now - last_reached > options_.stale_threshold - options_.heartbeat_interval && !told_lost_) {
      base::Log(base::Level::kError, "Database out of reach for too long; the worker stops its handlers",
                {{"worker", worker_.id}});
      TellLost(reached.error());
    }
  }
}

}  // namespace millrace::runtime
