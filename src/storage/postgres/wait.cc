// Waiting for work without asking all the time, and without missing any.
//
// A worker that found nothing says so in a row (idle_worker); producers that see one send a notification. A producer
// that looked before the row was committed sends none, and may commit at any later time: so the worker goes on looking,
// ever less often, until every transaction that was under way when the row was committed has ended, and once more. From
// then on, as long as the row stands, notifications miss nothing.
#include <algorithm>

#include "storage/postgres/driver_impl.h"

namespace millrace::storage::postgres {
namespace {

using Clock = std::chrono::steady_clock;

constexpr Duration kFirstPause = std::chrono::milliseconds(2);
constexpr Duration kLongestPause = std::chrono::milliseconds(500);

}  // namespace

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
  looked.settled = row.boolean(3);
  return looked;
}

Wake Driver::WaitForWork(const ClaimRequest& filter, Duration timeout, std::stop_token stop) {
  const Clock::time_point end = Clock::now() + timeout;
  const std::int64_t me = filter.worker.incarnation;
  Duration pause = kFirstPause;
  std::string bound;
  auto unsettled = DeclareIdle(filter);
  while (true) {
    if (stop.stop_requested()) return Wake::kStopped;
    const std::uint64_t before = WorkSeen();
    Duration sleep = kLongestPause;
    if (const auto looked = unsettled ? Look(filter, bound) : fail(unsettled.error())) {
      if (looked->work) return Wake::kWork;
      const std::lock_guard lock(work_mutex_);
      Waiting& waiting = waiting_[me];
      waiting.settled = waiting.settled || looked->settled;
      sleep = waiting.settled ? Duration::max() : pause;
      if (looked->due) sleep = std::min(sleep, std::max(*looked->due, kFirstPause));
    } else {
      unsettled = DeclareIdle(filter);  // the database was away: what was declared may be gone
    }
    pause = std::min(pause * 2, kLongestPause);
    std::unique_lock lock(work_mutex_);
    const Clock::time_point until = sleep == Duration::max() ? end : std::min(end, Clock::now() + sleep);
    const bool notified = work_changed_.wait_until(lock, stop, until, [&] { return work_ != before; });
    if (stop.stop_requested()) return Wake::kStopped;
    if (!notified && Clock::now() >= end) return Wake::kTimeout;
  }
}

}  // namespace millrace::storage::postgres
