// Notifications of one channel, as calls.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include "storage/postgres/connection.h"

namespace millrace::storage::postgres {

// Listens on one channel over a connection of its own, which must reach the server itself: notifications do not pass a
// PgBouncer that pools transactions. Reconnects by itself, with growing pauses (100 ms to 10 s, with jitter), and logs
// when the connection goes and when it is back.
class Listener {
 public:
  // Called on the listener's thread, with each notification's payload, and with "" after each (re)connect, since
  // something may have been missed. Must not throw and must not destroy the Listener.
  using Callback = std::function<void(std::string_view payload)>;

  Listener(ConnectOptions options, std::string channel, Callback callback);
  // Stops promptly; no callback runs afterwards.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Whether it is connected and listening. Thread-safe.
  [[nodiscard]] bool healthy() const { return healthy_.load(); }

 private:
  void Loop();
  Result<void> Listen();
  [[nodiscard]] bool Pause(Duration time);

  ConnectOptions options_;
  const std::string channel_;
  const Callback callback_;
  int stop_fd_;  // readable once it is time to stop
  int failures_ = 0;
  std::atomic<bool> healthy_{false};
  std::thread thread_;
};

}  // namespace millrace::storage::postgres
