// What people ask for: cancel, retry, purge, pause, configure; and retention.
#include <fmt/format.h>

#include <algorithm>

#include "storage/postgres/driver_impl.h"

namespace millrace::storage::postgres {
namespace {

// The filter's states that are also in `allowed`; empty when none is.
std::vector<JobState> Allowed(const JobFilter& filter, std::initializer_list<JobState> allowed) {
  if (filter.states.empty()) return allowed;
  std::vector<JobState> both;
  for (const JobState state : allowed) {
    if (std::find(filter.states.begin(), filter.states.end(), state) != filter.states.end()) both.push_back(state);
  }
  return both;
}

std::vector<JobId> IdsOf(const std::vector<Job>& jobs) {
  std::vector<JobId> ids;
  ids.reserve(jobs.size());
  for (const Job& job : jobs) ids.push_back(job.id);
  return ids;
}

}  // namespace

Result<std::vector<JobId>> Driver::CancelIds(const std::vector<JobId>& ids) {
  MILLRACE_ASSIGN(const ResultSet rows, Run(statements_.cancel_jobs, Params().Ints(ids)));
  return ParseIds(rows.row(0).text(0));
}

Result<std::vector<JobId>> Driver::Cancel(const JobFilter& given) {
  JobFilter filter = given;
  filter.states = Allowed(given, {JobState::kWaiting, JobState::kScheduled, JobState::kAvailable, JobState::kRunning,
                                  JobState::kRetryable});
  if (filter.states.empty()) return std::vector<JobId>();
  MILLRACE_ASSIGN(const std::vector<Job> jobs, ListJobs(filter));
  if (jobs.empty()) return std::vector<JobId>();
  const std::vector<JobId> ids = IdsOf(jobs);
  // The newest first: what waits goes before what it waits for, and is not let go by its end.
  std::vector<JobId> cancelled;
  for (std::size_t end = ids.size(); end > 0; end -= std::min<std::size_t>(kPiece, end)) {
    const auto piece = std::min<std::size_t>(kPiece, end);
    const auto last = ids.begin() + static_cast<std::ptrdiff_t>(end);
    MILLRACE_ASSIGN(const std::vector<JobId> some, CancelIds({last - static_cast<std::ptrdiff_t>(piece), last}));
    cancelled.insert(cancelled.begin(), some.begin(), some.end());
  }
  // Of any run: jobs elsewhere may have been waiting for these.
  MILLRACE_TRY(Run(statements_.advance_all_runs, Params()));
  return cancelled;
}

Result<std::vector<JobId>> Driver::RetryDead(const JobFilter& given) {
  JobFilter filter = given;
  filter.states = Allowed(given, {JobState::kDead});
  if (filter.states.empty()) return std::vector<JobId>();
  filter.limit = INT32_MAX;  // those whose unique key is taken do not count
  MILLRACE_ASSIGN(const std::vector<Job> jobs, ListJobs(filter));
  MILLRACE_ASSIGN(const ResultSet rows, Run(statements_.retry_dead, Params().Ints(IdsOf(jobs)).Int4(given.limit)));
  return ParseIds(rows.row(0).text(0));
}

Result<std::int64_t> Driver::CountOld(Old what, Time before) {
  const Query* const counts[] = {&statements_.count_finished, &statements_.count_dead, &statements_.count_old_runs,
                                 &statements_.count_old_workers};
  MILLRACE_ASSIGN(const ResultSet rows, Run(*counts[static_cast<int>(what)], Params().Time(before)));
  return rows.row(0).integer(0);
}

Result<std::int64_t> Driver::DeleteOld(Old what, Time before, int limit, const Leadership& as) {
  const Query* const deletes[] = {&statements_.delete_finished, &statements_.purge_dead, &statements_.delete_old_runs,
                                  &statements_.delete_old_workers};
  if (what == Old::kFinishedJobs) MILLRACE_TRY(RunAs(as, statements_.make_history_partitions, Params().Int4(3)));
  std::int64_t deleted = 0;
  while (deleted < limit) {
    const int piece = static_cast<int>(std::min<std::int64_t>(kPiece, limit - deleted));
    MILLRACE_ASSIGN(const ResultSet rows,
                    RunAs(as, *deletes[static_cast<int>(what)], Params().Time(before).Int4(piece)));
    deleted += rows.row(0).integer(0);
    if (rows.row(0).integer(0) < piece) break;
  }
  return deleted;
}

Result<void> Driver::PauseQueue(const std::string& name, bool paused) {
  if (name.empty()) return fail(ErrorCode::kInvalidArgument, "a queue needs a name");
  MILLRACE_TRY(Run(statements_.pause_queue, Params().Text(name).Bool(paused)));
  if (!paused) MILLRACE_TRY(Run(statements_.wake_all, Params()));
  return {};
}

Result<void> Driver::ConfigureOne(const QueueOptions& options) {
  if (options.name.empty()) return fail(ErrorCode::kInvalidArgument, "a queue needs a name");
  const bool negative = (options.capacity && *options.capacity < 0) ||
                        (options.rate_limit && *options.rate_limit <= 0) ||
                        (options.concurrency && *options.concurrency < 0);
  if (negative) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("queue '{}': capacity and concurrency must not be negative, rate_limit must be above 0",
                            options.name));
  }
  Params params;
  params.Text(options.name);
  options.capacity ? params.Int(*options.capacity) : params.UntypedNull();
  params.Int2(static_cast<std::int16_t>(options.overflow)).Int2(static_cast<std::int16_t>(options.spill_to));
  options.rate_limit ? params.Real(*options.rate_limit) : params.UntypedNull();
  options.concurrency ? params.Int4(*options.concurrency) : params.UntypedNull();
  MILLRACE_ASSIGN(const ResultSet changed, Run(statements_.configure_queue, params));
  if (changed.affected() > 0) MILLRACE_TRY(Run(statements_.wake_all, Params()));  // a limit may have been raised
  const std::lock_guard lock(retries_mutex_);
  queue_retries_.erase(options.name);
  if (options.retry) queue_retries_[options.name] = *options.retry;
  return {};
}

Result<void> Driver::ConfigureQueues(std::span<const QueueOptions> queues) {
  for (const QueueOptions& queue : queues) MILLRACE_TRY(ConfigureOne(queue));
  if (!queues.empty()) MILLRACE_TRY(Run(statements_.wake_all, Params()));
  return {};
}

}  // namespace millrace::storage::postgres
