// What people ask for: cancel, retry, purge, pause, configure; and retention.
#include <fmt/format.h>

#include <algorithm>

#include "engine/job_state.h"
#include "storage/sqlite/driver_impl.h"

namespace millrace::storage::sqlite {
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

}  // namespace

Result<std::vector<JobId>> Driver::CancelJobs(const JobFilter& given) {
  std::vector<JobId> cancelled;
  JobFilter filter = given;
  filter.states = Allowed(given, {JobState::kWaiting, JobState::kScheduled, JobState::kAvailable, JobState::kRunning,
                                  JobState::kRetryable});
  if (filter.states.empty()) return cancelled;
  const Time now = clock_.Now();
  MILLRACE_ASSIGN(const std::vector<Job> jobs, FindJobs(*writer_, filter));
  MILLRACE_ASSIGN(Statement * request, writer_->Prepare(queries::kRequestCancel));
  for (const Job& job : jobs) {
    state_.touched = true;
    cancelled.push_back(job.id);
    if (job.state == JobState::kRunning) {
      MILLRACE_TRY(request->Bind(job.id).Run());
      state_.running.at(job.id).cancel_requested = true;
      continue;
    }
    MILLRACE_TRY(WriteFinished(job.id, JobState::kCancelled, now, std::nullopt));
    if (job.state == JobState::kWaiting) MILLRACE_TRY(DropWaiting(job.id));
    NoteFinished(job.id, JobState::kCancelled);
    QueueState& queue = *state_.queue_by_name.at(job.queue);
    Moved(queue, job.priority, job.run_id, job.state, JobState::kCancelled);
    if (!job.partition_key.empty()) TouchPartition(queue, job.priority, job.partition_key);
  }
  MILLRACE_TRY(SettleDependents(now));
  return cancelled;
}

Result<std::vector<JobId>> Driver::Cancel(const JobFilter& filter) {
  MILLRACE_TRY(SettleDue());
  std::vector<JobId> cancelled;
  const std::lock_guard lock(writer_mutex_);
  MILLRACE_TRY(InTransaction([&]() -> Result<void> {
    MILLRACE_ASSIGN(cancelled, CancelJobs(filter));
    return {};
  }));
  return cancelled;
}

Result<std::vector<JobId>> Driver::RetryDead(const JobFilter& given) {
  std::vector<JobId> retried;
  JobFilter filter = given;
  filter.states = Allowed(given, {JobState::kDead});
  if (filter.states.empty()) return retried;
  filter.limit = INT32_MAX;  // those whose unique key is taken do not count
  const std::lock_guard lock(writer_mutex_);
  MILLRACE_TRY(InTransaction([&]() -> Result<void> {
    const Time now = clock_.Now();
    MILLRACE_ASSIGN(const std::vector<Job> jobs, FindJobs(*writer_, filter));
    MILLRACE_ASSIGN(Statement * retry, writer_->Prepare(queries::kRetryDeadJob));
    for (const Job& job : jobs) {
      if (static_cast<int>(retried.size()) >= given.limit) break;
      if (!job.unique_key.empty()) {
        MILLRACE_ASSIGN(const std::optional<JobId> holder, HolderOf(job.unique_key));
        if (holder) continue;
      }
      state_.touched = true;
      MILLRACE_TRY(retry->Bind(job.id, Micros(now)).Run());
      QueueState& queue = *state_.queue_by_name.at(job.queue);
      Moved(queue, job.priority, job.run_id, JobState::kDead, JobState::kAvailable);
      if (!job.partition_key.empty()) TouchPartition(queue, job.priority, job.partition_key);
      retried.push_back(job.id);
    }
    return {};
  }));
  return retried;
}

// Deletes finished jobs with their history. Counters are of what history still holds.
Result<std::int64_t> Driver::DeleteJobs(const std::vector<JobId>& ids) {
  if (ids.empty()) return 0;
  state_.touched = true;
  JobFilter filter;
  filter.ids = ids;
  filter.limit = INT32_MAX;
  MILLRACE_ASSIGN(const std::vector<Job> jobs, FindJobs(*writer_, filter));
  MILLRACE_ASSIGN(Statement * attempts, writer_->Prepare(queries::kDeleteAttempts));
  MILLRACE_ASSIGN(Statement * remove, writer_->Prepare(queries::kDeleteJob));
  for (const Job& job : jobs) {
    MILLRACE_TRY(attempts->Bind(job.id).Run());
    MILLRACE_TRY(remove->Bind(job.id).Run());
    Count(*state_.queue_by_name.at(job.queue), job.priority, job.state, -1);
    if (job.run_id != 0) --state_.runs[job.run_id].states[static_cast<int>(job.state)];
  }
  // Ids are never given out twice, even when the newest job is deleted.
  MILLRACE_ASSIGN(Statement * next, writer_->Prepare(queries::kPutNextJob));
  MILLRACE_TRY(next->Bind(state_.next_job).Run());
  return static_cast<std::int64_t>(jobs.size());
}

Result<std::int64_t> Driver::CountOld(Old what, Time before) {
  constexpr std::string_view kCounts[] = {queries::kCountFinished, queries::kCountDead, queries::kCountOldRuns,
                                          queries::kCountOldWorkers};
  std::int64_t count = 0;
  const std::lock_guard lock(reader_mutex_);
  const SqlValue value = Micros(before);
  MILLRACE_TRY(reader_->query(kCounts[static_cast<int>(what)], {&value, 1}, [&](const SqlRow& row) {
    count = row.integer(0);
    return true;
  }));
  return count;
}

Result<std::int64_t> Driver::DeleteOld(Old what, Time before, int limit, const Leadership& as) {
  if (what == Old::kFinishedJobs) return DeleteOldFinished(before, limit, as);
  constexpr int kPiece = 500;  // per transaction, so that workers get their turns
  std::int64_t deleted = 0;
  while (deleted < limit) {
    const std::int64_t piece = std::min<std::int64_t>(kPiece, limit - deleted);
    std::vector<std::int64_t> ids;
    const std::lock_guard lock(writer_mutex_);
    MILLRACE_TRY(CheckLeads(as, clock_.Now()));
    MILLRACE_TRY(InTransaction([&] { return DeletePiece(what, before, piece, ids); }));
    deleted += static_cast<std::int64_t>(ids.size());
    if (static_cast<std::int64_t>(ids.size()) < piece) break;
  }
  return deleted;
}

// Deletes up to `piece` of what is not a finished job, and tells which.
Result<void> Driver::DeletePiece(Old what, Time before, std::int64_t piece, std::vector<std::int64_t>& ids) {
  const std::string_view list = what == Old::kDeadLetters ? queries::kDeadBefore
                                : what == Old::kRuns      ? queries::kOldRuns
                                                          : queries::kOldWorkers;
  const std::array<SqlValue, 2> values = {Micros(before), piece};
  MILLRACE_TRY(writer_->query(list, values, [&](const SqlRow& row) {
    ids.push_back(row.integer(0));
    return true;
  }));
  if (what == Old::kDeadLetters) {
    MILLRACE_TRY(DeleteJobs(ids));
    return {};
  }
  MILLRACE_ASSIGN(Statement * counts, writer_->Prepare(queries::kDeleteRunCounts));
  MILLRACE_ASSIGN(Statement * remove,
                  writer_->Prepare(what == Old::kRuns ? queries::kDeleteRun : queries::kDeleteWorker));
  for (const std::int64_t id : ids) {
    if (what == Old::kRuns) MILLRACE_TRY(counts->Bind(id).Run());
    MILLRACE_TRY(remove->Bind(id).Run());
    if (what != Old::kWorkers) continue;
    state_.touched = true;
    state_.workers.erase(id);
  }
  return {};
}

Result<std::int64_t> Driver::DeleteOldFinished(Time before, int limit, const Leadership& as) {
  constexpr int kPiece = 1000;  // rows looked at per transaction
  std::int64_t deleted = 0;
  JobId at = 0;
  // What finishes from here on is younger: once all jobs were looked at, nothing is older than the oldest that was
  // kept.
  Time oldest = clock_.Now();
  while (deleted < limit) {
    const std::lock_guard lock(writer_mutex_);
    int seen = 0;
    MILLRACE_TRY(CheckLeads(as, clock_.Now()));
    // Of a clock that was set back nothing is known.
    if (oldest < oldest_finished_) oldest_finished_ = {};
    if (before <= oldest_finished_) return 0;
    MILLRACE_TRY(InTransaction([&]() -> Result<void> {
      std::vector<JobId> ids;
      const std::array<SqlValue, 2> values = {at, std::int64_t{kPiece}};
      MILLRACE_TRY(writer_->query(queries::kFinishedBefore, values, [&](const SqlRow& row) {
        ++seen;
        at = row.integer(0);
        const auto state = static_cast<JobState>(row.integer(3));
        if (state == JobState::kCompleted || state == JobState::kCancelled) {
          const Time finished_at = FromMicros(row.integer(5));
          if (finished_at < before) ids.push_back(at);
          if (finished_at >= before) oldest = std::min(oldest, finished_at);
        }
        return static_cast<std::int64_t>(ids.size()) < limit - deleted;
      }));
      MILLRACE_ASSIGN(const std::int64_t gone, DeleteJobs(ids));
      deleted += gone;
      return {};
    }));
    if (seen < kPiece) {
      if (deleted < limit) oldest_finished_ = oldest;
      break;
    }
  }
  return deleted;
}

Result<void> Driver::PauseQueue(const std::string& name, bool paused) {
  if (name.empty()) return fail(ErrorCode::kInvalidArgument, "a queue needs a name");
  const std::lock_guard lock(writer_mutex_);
  return InTransaction([&]() -> Result<void> {
    MILLRACE_ASSIGN(QueueState * queue, QueueByName(name));
    state_.touched = true;
    queue->paused = paused;
    if (!paused) state_.new_work = true;
    MILLRACE_ASSIGN(Statement * pause, writer_->Prepare(queries::kPauseQueue));
    return pause->Bind(queue->id, paused).Run();
  });
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
  MILLRACE_ASSIGN(QueueState * queue, QueueByName(options.name));
  state_.touched = true;
  state_.new_work = true;
  queue->options = options;
  MILLRACE_ASSIGN(Statement * put, writer_->Prepare(queries::kConfigureQueue));
  return put
      ->Bind(queue->id, options.capacity, static_cast<int>(options.overflow), static_cast<int>(options.spill_to),
             options.rate_limit, options.concurrency)
      .Run();
}

Result<void> Driver::ConfigureQueues(std::span<const QueueOptions> queues) {
  const std::lock_guard lock(writer_mutex_);
  return InTransaction([&]() -> Result<void> {
    for (const QueueOptions& queue : queues) MILLRACE_TRY(ConfigureOne(queue));
    return {};
  });
}

}  // namespace millrace::storage::sqlite
