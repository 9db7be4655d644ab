#include "runtime/fleet_watch.h"

#include "base/log.h"
#include "base/thread_name.h"
#include "base/try.h"

namespace millrace::runtime {
namespace {

using Clock = std::chrono::steady_clock;

Result<FleetLook> LookAt(storage::Storage& storage) {
  FleetLook look;
  MILLRACE_ASSIGN(look.now, storage.Now());
  MILLRACE_ASSIGN(look.queues, storage.Queues());
  MILLRACE_ASSIGN(look.workers, storage.Workers());
  return look;
}

}  // namespace

void FleetWatch::Watch(storage::Storage& storage, Duration interval) {
  interval_ = interval;
  asked_at_ = Clock::now();
  thread_ = std::jthread([this, &storage](const std::stop_token& stop) {
    base::NameThread("mr-fleetwatch");
    while (!stop.stop_requested()) {
      Look(storage);
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, stop, interval_, [] { return false; });
      changed_.wait(lock, stop, [&] { return Clock::now() - asked_at_ <= kFleetLooksUnasked * interval_; });
    }
  });
}

void FleetWatch::Look(storage::Storage& storage) {
  auto look = LookAt(storage);
  // An outage is told by those whose work it stops.
  if (!look) return base::Log(base::Level::kDebug, "Looking at the fleet failed", {{"error", look.error().message}});
  const std::lock_guard lock(mutex_);
  latest_ = std::make_shared<const FleetLook>(std::move(*look));
  looked_at_ = Clock::now();
}

std::shared_ptr<const FleetLook> FleetWatch::Latest() {
  const std::lock_guard lock(mutex_);
  asked_at_ = Clock::now();
  changed_.notify_all();
  if (latest_ == nullptr || asked_at_ - looked_at_ > 3 * interval_) return nullptr;
  return latest_;
}

}  // namespace millrace::runtime
