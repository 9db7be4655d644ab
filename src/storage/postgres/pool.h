// Connections kept open and handed out one at a time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "storage/postgres/connection.h"
#include "storage/storage.h"

namespace millrace::storage::postgres {

struct PoolOptions {
  ConnectOptions connect;
  int size = 2;                                             // kept open when idle
  int max_overflow = 8;                                     // opened beyond that when all are in use
  Duration timeout = std::chrono::seconds(30);              // to wait for a free one
  Duration recycle = std::chrono::seconds(3600);            // age at which one is replaced; 0: never
  Duration check_after = std::chrono::seconds(5);           // idle for longer: looked at before it is handed out
  Duration overflow_idle = std::chrono::seconds(60);        // idle for longer: those beyond size are closed
  Duration connect_pause = std::chrono::milliseconds(200);  // after a failed connect: others fail at once for so long
};

// A pool of at most size + max_overflow connections, opened when needed. Waiters are served in the order they came.
// While the server has none left, those that are open go round, and the log says so now and then. Thread-safe. Must
// outlive its Leases.
class Pool {
 public:
  // A connection lent. Returned when destroyed: an open transaction is rolled back, a broken connection closed.
  // Move-only; used by one thread at a time.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease() { Return(); }
    Connection* operator->() const { return connection_.get(); }
    Connection& operator*() const { return *connection_; }
    explicit operator bool() const { return connection_ != nullptr; }
    void Return();

   private:
    friend class Pool;
    Lease(Pool* pool, std::unique_ptr<Connection> connection, std::chrono::steady_clock::time_point opened)
        : pool_(pool), connection_(std::move(connection)), opened_(opened) {}

    Pool* pool_ = nullptr;
    std::unique_ptr<Connection> connection_;
    std::chrono::steady_clock::time_point opened_;
  };

  using Stats = PoolStats;

  explicit Pool(PoolOptions options);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // A connection that is open, as far as can be seen without asking the server. Fails with kTimeout when none became
  // free in time (the message counts them and names the settings), and with Connection::Open's errors; after one of
  // those, further attempts within connect_pause are refused at once with the same error. A server that has no
  // connection left is an error only when none of this pool's own is lent that may still come back in time. How long it
  // took is counted in the process's metrics.
  Result<Lease> Acquire();

  // One more for somebody who holds one already, and so must not wait for it: nothing when all are in use, others wait,
  // or none can be opened.
  std::optional<Lease> TryAcquire();

  // Closes what is idle; what is lent is closed when it comes back unless it was opened after this call.
  void CloseIdle();

  [[nodiscard]] Stats stats() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Idle {
    std::unique_ptr<Connection> connection;
    Clock::time_point opened;
    Clock::time_point since;
  };
  struct Waiter {
    std::condition_variable granted_signal;
    bool granted = false;
  };

  [[nodiscard]] int max() const { return options_.size + options_.max_overflow; }
  Result<Lease> Take(Clock::time_point give_up);
  Result<void> TakeSlot(Clock::time_point give_up);
  bool Queue(std::unique_lock<std::mutex>& lock, Clock::time_point give_up);
  bool AwaitReturned(const Error& full, Clock::time_point give_up);
  Error NoneFree() const;
  void GiveSlotBack();
  std::optional<Idle> TakeIdle();
  bool Usable(Idle& idle);
  Result<Lease> OpenNew();
  void GiveBack(std::unique_ptr<Connection> connection, Clock::time_point opened);
  std::vector<Idle> TakeSurplus(Clock::time_point now);

  const PoolOptions options_;
  std::string place_;  // "host:port/database", for messages
  mutable std::mutex mutex_;
  std::deque<Idle> idle_;        // the latest returned at the back, which is handed out first
  std::deque<Waiter*> waiters_;  // the longest waiting at the front
  int active_ = 0;
  Stats counts_;
  std::optional<Error> connect_error_;
  Clock::time_point connect_error_until_;
  Clock::time_point full_told_;
  Clock::time_point closed_before_;  // connections opened earlier are not kept
};

}  // namespace millrace::storage::postgres
