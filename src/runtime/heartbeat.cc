#include "runtime/heartbeat.h"

#include <condition_variable>

#include "base/log.h"
#include "base/thread_name.h"

namespace millrace::runtime {
namespace {

// Between tries, when the database fails in a way that lasts.
constexpr Duration kQuickly = std::chrono::milliseconds(100);

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
  const auto reply = storage_.Heartbeat(worker_, state_, executor_.TakeProgress(), leader_.campaign());
  if (!reply) {
    base::Log(base::Level::kWarn, "Heartbeat failed", {{"worker", worker_.id}, {"error", reply.error().message}});
    return fail(reply.error());
  }
  if (reply->superseded && !told_lost_) {
    base::Log(base::Level::kError, "Worker superseded: another one has its id", {{"worker", worker_.id}});
    TellLost(std::nullopt);
  }
  if (reply->leadership) leader_.Heard(*reply->leadership, asked);
  if (!reply->cancelled.empty()) executor_.Cancel(reply->cancelled);
  return {};
}

void Heartbeat::Loop(const std::stop_token& stop) {
  base::NameThread("mr-heartbeat");
  std::mutex mutex;
  std::condition_variable_any wake;
  auto last_reached = std::chrono::steady_clock::now();
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex);
      wake.wait_for(lock, stop, failures_.trying() && !told_lost_ ? kQuickly : options_.heartbeat_interval,
                    [] { return false; });
    }
    if (stop.stop_requested()) return;
    const auto now = std::chrono::steady_clock::now();
    watch_.Step(LoopWatch::Loop::kHeartbeat, now);
    const auto reached = Beat();
    watch_.Rest(LoopWatch::Loop::kHeartbeat);
    if (reached) {
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
