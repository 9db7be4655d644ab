#include "storage/postgres/pool.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/try.h"
#include "storage/postgres/url.h"

namespace millrace::storage::postgres {

namespace {

constexpr auto kFullToldEvery = std::chrono::seconds(10);

}  // namespace

Pool::Lease& Pool::Lease::operator=(Lease&& other) noexcept {
  if (this == &other) return *this;
  Return();
  pool_ = other.pool_;
  connection_ = std::move(other.connection_);
  opened_ = other.opened_;
  return *this;
}

void Pool::Lease::Return() {
  if (connection_ != nullptr) pool_->GiveBack(std::move(connection_), opened_);
}

Pool::Pool(PoolOptions options) : options_(std::move(options)) {
  const auto target = ParseUrl(options_.connect.url);
  place_ = target ? target->endpoint.Place() : "PostgreSQL";
}

Pool::~Pool() = default;

Result<Pool::Lease> Pool::Acquire() {
  const auto began = Clock::now();
  auto lease = Take(began + options_.timeout);
  base::Metrics::Process().ObservePoolWait(std::chrono::duration<double>(Clock::now() - began).count());
  return lease;
}

Result<Pool::Lease> Pool::Take(Clock::time_point give_up) {
  MILLRACE_TRY(TakeSlot(give_up));
  while (true) {
    while (auto idle = TakeIdle()) {
      if (Usable(*idle)) return Lease(this, std::move(idle->connection), idle->opened);
    }
    auto opened = OpenNew();
    if (opened) return opened;
    if (!IsServerFull(opened.error())) {
      const std::lock_guard lock(mutex_);
      GiveSlotBack();
      return opened;
    }
    if (!AwaitReturned(opened.error(), give_up)) return opened;
  }
}

std::optional<Pool::Lease> Pool::TryAcquire() {
  {
    const std::lock_guard lock(mutex_);
    if (!waiters_.empty() || active_ >= max()) return std::nullopt;
    ++active_;
  }
  while (auto idle = TakeIdle()) {
    if (Usable(*idle)) return Lease(this, std::move(idle->connection), idle->opened);
  }
  if (auto opened = OpenNew()) return std::move(*opened);
  const std::lock_guard lock(mutex_);
  GiveSlotBack();
  return std::nullopt;
}

// ---- Slots: who may hold a connection -----------------------------------------------------------

Result<void> Pool::TakeSlot(Clock::time_point give_up) {
  std::unique_lock lock(mutex_);
  if (waiters_.empty() && active_ < max()) {
    ++active_;
    return {};
  }
  if (Queue(lock, give_up)) return {};
  return fail(NoneFree());
}

// True: whoever granted the slot took it off the queue and counted it.
bool Pool::Queue(std::unique_lock<std::mutex>& lock, Clock::time_point give_up) {
  Waiter waiter;
  waiters_.push_back(&waiter);
  const auto began = Clock::now();
  const bool granted = waiter.granted_signal.wait_until(lock, give_up, [&] { return waiter.granted; });
  counts_.total_wait += std::chrono::duration_cast<Duration>(Clock::now() - began);
  if (!granted) {
    ++counts_.timeouts;
    waiters_.erase(std::find(waiters_.begin(), waiters_.end(), &waiter));
  }
  return granted;
}

// With a slot for which the server has no connection: waits until one of the pool's own is returned. False, and the
// slot is given back: none came in time, or nobody else holds a slot. Who holds the last one never waits, so that
// somebody always serves those who do.
bool Pool::AwaitReturned(const Error& full, Clock::time_point give_up) {
  std::unique_lock lock(mutex_);
  if (!idle_.empty()) return true;
  if (active_ == 1) {
    GiveSlotBack();
    return false;
  }
  if (const auto now = Clock::now(); now - full_told_ >= kFullToldEvery) {
    full_told_ = now;
    base::Log(base::Level::kWarn, "PostgreSQL has no connection left; going on with those that are open",
              {{"error", full.message}});
  }
  --active_;
  return Queue(lock, give_up);
}

Error Pool::NoneFree() const {
  return {ErrorCode::kTimeout, "no connection to " + place_ + " became free within " +
                                   base::FormatDuration(options_.timeout) + ": " + std::to_string(active_) + " of " +
                                   std::to_string(max()) + " in use, " + std::to_string(waiters_.size() + 1) +
                                   " waiting; raise storage.pool_size or max_overflow"};
}

// Called with the mutex held. The slot goes to who has waited longest. So do those that were let go of while the server
// was full, once it may have room again: a queue that never empties must not keep them for ever.
void Pool::GiveSlotBack() {
  --active_;
  const bool may_open = !connect_error_ || Clock::now() >= connect_error_until_;
  for (int free = may_open ? max() - active_ : 1; free > 0 && !waiters_.empty(); --free) {
    Waiter* next = waiters_.front();
    waiters_.pop_front();
    next->granted = true;
    next->granted_signal.notify_one();
    ++active_;
  }
}

// ---- Connections --------------------------------------------------------------------------------

std::optional<Pool::Idle> Pool::TakeIdle() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return std::nullopt;
  Idle idle = std::move(idle_.back());
  idle_.pop_back();
  return idle;
}

// Without the mutex: this may look at the socket.
bool Pool::Usable(Idle& idle) {
  const auto now = Clock::now();
  if (options_.recycle.count() > 0 && now - idle.opened >= options_.recycle) {
    const std::lock_guard lock(mutex_);
    ++counts_.recycled;
    return false;
  }
  return now - idle.since < options_.check_after ? !idle.connection->broken() : idle.connection->LooksAlive();
}

// The caller holds a slot, and still does when this fails.
Result<Pool::Lease> Pool::OpenNew() {
  {
    const std::lock_guard lock(mutex_);
    if (connect_error_ && Clock::now() < connect_error_until_) return fail(*connect_error_);
  }
  const auto opened = Clock::now();
  auto connection = Connection::Open(options_.connect);
  const std::lock_guard lock(mutex_);
  if (!connection) {
    ++counts_.failed;
    connect_error_ = connection.error();
    connect_error_until_ = Clock::now() + options_.connect_pause;
    return fail(std::move(connection).error());
  }
  ++counts_.opened;
  connect_error_.reset();
  return Lease(this, std::move(*connection), opened);
}

void Pool::GiveBack(std::unique_ptr<Connection> connection, Clock::time_point opened) {
  if (!connection->broken() && connection->in_transaction() && !connection->Rollback()) connection.reset();
  if (connection != nullptr && connection->broken()) connection.reset();
  std::vector<Idle> surplus;  // closed after the mutex is let go
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  if (connection != nullptr && opened >= closed_before_) idle_.push_back({std::move(connection), opened, now});
  surplus = TakeSurplus(now);
  GiveSlotBack();
}

// Called with the mutex held: those beyond `size` that were idle for long, the longest idle first.
std::vector<Pool::Idle> Pool::TakeSurplus(Clock::time_point now) {
  std::vector<Idle> surplus;
  while (!idle_.empty() && static_cast<int>(idle_.size()) > options_.size &&
         now - idle_.front().since >= options_.overflow_idle) {
    surplus.push_back(std::move(idle_.front()));
    idle_.pop_front();
  }
  return surplus;
}

void Pool::CloseIdle() {
  std::deque<Idle> closing;  // closed after the mutex is let go
  const std::lock_guard lock(mutex_);
  closed_before_ = Clock::now();
  closing.swap(idle_);
}

Pool::Stats Pool::stats() const {
  const std::lock_guard lock(mutex_);
  Stats stats = counts_;
  stats.idle = static_cast<int>(idle_.size());
  stats.active = active_;
  stats.size = stats.idle + stats.active;
  stats.waiting = static_cast<int>(waiters_.size());
  stats.min = options_.size;
  stats.max = max();
  return stats;
}

}  // namespace millrace::storage::postgres
