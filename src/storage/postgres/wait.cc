// Waiting for work without asking all the time, and without missing any.
//
// A worker that found nothing says so in a row (idle_worker); producers that see one send a notification. A producer
// that looked before the row was committed sends none, and may commit at any later time: so the worker goes on looking,
// ever less often, until every transaction that was under way when the row was committed has ended, and once more. From
// then on, as long as the row stands, notifications miss nothing. It still looks now and then, since those whom a
// notification woke may be gone; the more are idle, the less often each of them.
#include <algorithm>
#include <random>
#include <utility>

#include "storage/postgres/driver_impl.h"

namespace millrace::storage::postgres {
namespace {

using Clock = std::chrono::steady_clock;

constexpr Duration kFirstPause = std::chrono::milliseconds(2);
constexpr Duration kLongestPause = std::chrono::milliseconds(500);
// All idle workers together look about so often, however many they are.
constexpr Duration kLookOfAll = std::chrono::milliseconds(500);
constexpr Duration kShortestLook = std::chrono::seconds(2);

}  // namespace

Duration LookEvery(std::int64_t idle_workers) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const Duration each = std::max(kShortestLook, kLookOfAll * idle_workers);
  return each - Duration(std::uniform_int_distribution<std::int64_t>(0, each.count() / 5)(random));
}

// Names the workers that are meant, by incarnation; empty: all.
void Driver::OnNotification(std::string_view payload) {
  {
    const std::lock_guard lock(work_mutex_);
    const std::vector<std::int64_t> meant = ParseIds(payload);
    const bool ours = meant.empty() || std::any_of(meant.begin(), meant.end(), [&](std::int64_t incarnation) {
                        return waiting_.contains(incarnation);
                      });
    if (!ours) return;
    ++work_;
    // Perhaps after the connection was lost: rows that say who is idle may be gone with the server's memory.
    if (meant.empty()) {
      for (auto& [incarnation, waiting] : waiting_) waiting.settled = false;
    }
  }
  work_changed_.notify_all();
}

std::uint64_t Driver::WorkSeen() {
  const std::lock_guard lock(work_mutex_);
  return work_;
}

// Whether producers that might not know of this worker have to be waited for.
Result<bool> Driver::DeclareIdle(const ClaimRequest& filter) {
  Params params;
  params.Int(filter.worker.incarnation);
  AddFilter(params, filter);
  MILLRACE_ASSIGN(const ResultSet rows, Run(statements_.declare_idle, params));
  const bool fresh = rows.row(0).boolean(0);
  const std::lock_guard lock(work_mutex_);
  Waiting& waiting = waiting_[filter.worker.incarnation];
  if (fresh) waiting.settled = false;
  waiting.idle = true;
  return !waiting.settled;
}

// One look: kWork, or how long to sleep at most until the next one.
Result<Driver::Looked> Driver::Look(const ClaimRequest& filter, std::string& bound) {
  Params params;
  params.Int(filter.worker.incarnation);
  AddFilter(params, filter);
  if (bound.empty()) {
    params.NullText();
  } else {
    params.Text(bound);
  }
  MILLRACE_ASSIGN(const ResultSet rows, Run(statements_.look, params));
  const ResultSet::Row row = rows.row(0);
  bound = row.text(0);
  Looked looked;
  looked.work = row.boolean(1);
  if (!row.is_null(2)) looked.due = Duration(row.integer(4));
  looked.idle_workers = row.integer(5);
  looked.settled = row.boolean(3);
  return looked;
}

// After a claim that found nothing while notifications were missing nothing: there is no need to look.
std::optional<Driver::Sleep> Driver::QuietSleep(std::int64_t incarnation) {
  const std::lock_guard lock(work_mutex_);
  Waiting& waiting = waiting_[incarnation];
  if (!waiting.idle || !waiting.settled) return std::nullopt;
  return std::exchange(waiting.quiet, std::nullopt);
}

// Declares the worker idle and looks. nullopt: there is work.
std::optional<Driver::Sleep> Driver::LookedSleep(const ClaimRequest& filter, Looks& looks) {
  Sleep sleep{WorkSeen(), kLongestPause};
  if (!looks.declared) looks.declared = DeclareIdle(filter).has_value();
  const auto looked = looks.declared ? Look(filter, looks.bound) : fail(ErrorCode::kDatabaseUnavailable, "");
  if (looked) {
    if (looked->work) return std::nullopt;
    const std::lock_guard lock(work_mutex_);
    Waiting& waiting = waiting_[filter.worker.incarnation];
    // Not when notified since: that may have been to say that the row is gone.
    waiting.settled = waiting.settled || (looked->settled && work_ == sleep.seen);
    waiting.idle_workers = looked->idle_workers;
    sleep.longest = waiting.settled ? LookEvery(looked->idle_workers) : looks.pause;
    if (looked->due) sleep.longest = std::min(sleep.longest, std::max(*looked->due, kFirstPause));
  } else {
    looks.declared = false;  // the database was away: what was declared may be gone
  }
  looks.pause = std::min(looks.pause * 2, kLongestPause);
  return sleep;
}

Wake Driver::WaitForWork(const ClaimRequest& filter, Duration timeout, std::stop_token stop) {
  const Clock::time_point end = Clock::now() + timeout;
  Looks looks{kFirstPause};
  std::optional<Sleep> sleep = QuietSleep(filter.worker.incarnation);
  while (true) {
    if (stop.stop_requested()) return Wake::kStopped;
    if (!sleep) sleep = LookedSleep(filter, looks);
    if (!sleep) return Wake::kWork;
    std::unique_lock lock(work_mutex_);
    const Clock::time_point until = std::min(end, Clock::now() + sleep->longest);
    const bool told = work_changed_.wait_until(lock, stop, until, [&] { return work_ != sleep->seen; });
    if (stop.stop_requested()) return Wake::kStopped;
    if (told) return Wake::kWork;
    if (Clock::now() >= end) return Wake::kTimeout;
    sleep.reset();
  }
}

}  // namespace millrace::storage::postgres
