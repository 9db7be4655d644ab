// A look at the whole database from time to time, for metrics and autoscalers: whoever asks gets the latest one and
// never causes a query.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "storage/storage.h"

namespace millrace::runtime {

inline constexpr Duration kFleetLookEvery = std::chrono::seconds(10);
// Nobody having asked for so many intervals, nobody looks: a fleet that is not scraped costs its database nothing.
inline constexpr int kFleetLooksUnasked = 30;

// The queues and workers, at one moment of the database's clock.
struct FleetLook {
  Time now{};
  std::vector<storage::QueueRow> queues;
  std::vector<storage::WorkerRow> workers;
};

// Thread-safe.
class FleetWatch {
 public:
  FleetWatch() = default;
  ~FleetWatch() = default;  // ends the looking
  FleetWatch(const FleetWatch&) = delete;
  FleetWatch& operator=(const FleetWatch&) = delete;

  // Looks now and every `interval`, on a thread of its own, until destroyed; but not while nobody asks, see
  // kFleetLooksUnasked. The storage must outlive it. Call once.
  void Watch(storage::Storage& storage, Duration interval = kFleetLookEvery);
  // The latest look; nullptr before the first, and when the latest is older than three intervals (what was true once
  // would otherwise be told through a whole outage): so for the first who asks after a long while, too.
  [[nodiscard]] std::shared_ptr<const FleetLook> Latest();

 private:
  void Look(storage::Storage& storage);

  Duration interval_{0};
  std::mutex mutex_;  // of the next four
  std::condition_variable_any changed_;
  std::chrono::steady_clock::time_point asked_at_;
  std::shared_ptr<const FleetLook> latest_;
  std::chrono::steady_clock::time_point looked_at_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace millrace::runtime
