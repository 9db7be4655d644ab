// What probes are told: a verdict that a checker refreshes, so that no probe ever queries the database.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "millrace/error.h"
#include "storage/storage.h"

namespace millrace::http {

// Where the process stands in its life.
enum class Phase { kStarting, kServing, kShuttingDown };

struct HealthVerdict {
  Phase phase = Phase::kStarting;
  std::string database_error;  // empty: healthy at the last check
  std::string stuck;           // which loop makes no progress; empty: all do
};

// Thread-safe.
class Health {
 public:
  Health() = default;
  ~Health() = default;  // stops the checker
  Health(const Health&) = delete;
  Health& operator=(const Health&) = delete;

  // Checks the storage now, and from then on every `interval` on a thread of its own until destroyed. `stuck` says
  // which of the process's loops has made no progress for too long, or nothing; it is asked with every verdict (a
  // database that hangs may well hold up the check), so it must not wait. Call once.
  void Watch(storage::Storage& storage, Duration interval, std::function<std::string()> stuck = {});
  void SetPhase(Phase phase);
  [[nodiscard]] HealthVerdict verdict() const;
  [[nodiscard]] double uptime_seconds() const;

 private:
  void Check(storage::Storage& storage);

  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  HealthVerdict verdict_;
  std::function<std::string()> stuck_;
  std::jthread checker_;  // last: it uses the others
};

}  // namespace millrace::http
