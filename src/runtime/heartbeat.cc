#include "runtime/heartbeat.h"

#include <condition_variable>

#include "base/log.h"
#include "base/thread_name.h"

namespace millrace::runtime {

Heartbeat::Heartbeat(storage::Storage& storage, storage::WorkerRef worker, Executor& executor,
                     const WorkerOptions& options, std::function<void()> lost)
    : storage_(storage),
      worker_(std::move(worker)),
      executor_(executor),
      options_(options),
      lost_(std::move(lost)),
      thread_([this](const std::stop_token& stop) { Loop(stop); }) {}

bool Heartbeat::Beat() {
  const auto reply = storage_.Heartbeat(worker_, state_, executor_.TakeProgress());
  if (!reply) {
    base::Log(base::Level::kWarn, "Heartbeat failed", {{"worker", worker_.id}, {"error", reply.error().message}});
    return false;
  }
  if (reply->superseded && !told_lost_) {
    base::Log(base::Level::kError, "Worker superseded: another one has its id", {{"worker", worker_.id}});
    told_lost_ = true;
    lost_();
  }
  if (!reply->cancelled.empty()) executor_.Cancel(reply->cancelled);
  return true;
}

void Heartbeat::Loop(const std::stop_token& stop) {
  base::NameThread("mr-heartbeat");
  std::mutex mutex;
  std::condition_variable_any wake;
  auto last_reached = std::chrono::steady_clock::now();
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex);
      wake.wait_for(lock, stop, options_.heartbeat_interval, [] { return false; });
    }
    if (stop.stop_requested()) return;
    const auto now = std::chrono::steady_clock::now();
    if (Beat()) {
      last_reached = now;
    } else if (now - last_reached > options_.stale_threshold - options_.heartbeat_interval && !told_lost_) {
      base::Log(base::Level::kError, "Database out of reach for too long; the worker stops its handlers",
                {{"worker", worker_.id}});
      told_lost_ = true;
      lost_();
    }
  }
}

}  // namespace millrace::runtime
