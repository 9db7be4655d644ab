// Report: what became of attempts. A report whose lease is not the job's current one changes nothing.
#include <fmt/format.h>

#include "engine/dependencies.h"
#include "engine/validate.h"
#include "storage/sqlite/driver_impl.h"

namespace millrace::storage::sqlite {
RunningJob* Driver::FindLease(const WorkerRef& worker, JobId id, int attempt, std::int64_t token) {
  if (!CheckWorker(worker)) return nullptr;
  const auto found = state_.running.find(id);
  if (found == state_.running.end()) return nullptr;
  RunningJob& job = found->second;
  const bool mine = job.token == token && job.attempt == attempt && IncarnationOf(token) == worker.incarnation;
  return mine ? &job : nullptr;
}

void Driver::LeaveRunning(JobId id, JobState to) {
  const auto found = state_.running.find(id);
  RunningJob& job = found->second;
  state_.touched = true;
  Moved(*job.queue, job.priority, job.run, JobState::kRunning, to);
  NoteFinished(id, to);
  if (job.queue->options.concurrency) state_.new_work = true;
  if (!job.partition.empty()) {
    const auto hold = state_.partitions.find(job.partition);
    if (--hold->second.running == 0) {
      state_.partitions.erase(hold);
      state_.new_work = true;
    }
    TouchPartition(*job.queue, job.priority, job.partition);
  }
  const auto lease = state_.leases.find(job.token);
  if (--lease->second.open == 0) {
    emptied_leases_.push_back(job.token);
    state_.leases.erase(lease);
  }
  state_.running.erase(found);
}

Result<void> Driver::DropLeases() {
  if (emptied_leases_.empty()) return {};
  MILLRACE_ASSIGN(Statement * drop, writer_->Prepare(queries::kDeleteLease));
  for (const std::int64_t token : emptied_leases_) MILLRACE_TRY(drop->Bind(token).Run());
  emptied_leases_.clear();
  return {};
}

Result<void> Driver::AddAttempt(JobId id, const RunningJob& job, std::string_view outcome, std::string_view error,
                                Time now) {
  MILLRACE_ASSIGN(Statement * insert, writer_->Prepare(queries::kInsertAttempt));
  const std::string worker = WorkerName(job.token);
  return insert->Bind(id, job.attempt, outcome, error, std::string_view(worker), Micros(job.started_at), Micros(now))
      .Run();
}

Result<void> Driver::WriteState(JobId id, JobState state, Time run_at, int uncounted,
                                std::optional<std::string_view> error) {
  MILLRACE_ASSIGN(Statement * put, writer_->Prepare(queries::kPutBackJob));
  const auto when = run_at == Time() ? std::nullopt : std::optional(Micros(run_at));
  return put->Bind(id, static_cast<int>(state), when, uncounted, error).Run();
}

Result<void> Driver::WriteFinished(JobId id, JobState state, Time now, std::optional<std::string_view> error) {
  MILLRACE_ASSIGN(Statement * finish, writer_->Prepare(queries::kFinishJob));
  return finish->Bind(id, static_cast<int>(state), Micros(now), error).Run();
}

Result<void> Driver::PutBack(JobId id, const RunningJob& job, JobState state, Time run_at, int uncounted,
                             std::optional<std::string_view> error, Time now) {
  const JobState to = job.cancel_requested ? JobState::kCancelled : state;
  MILLRACE_TRY(WriteState(id, to, run_at, uncounted, error));
  if (to == JobState::kCancelled) MILLRACE_TRY(WriteFinished(id, to, now, std::nullopt));
  LeaveRunning(id, to);
  return {};
}

Result<void> Driver::Complete(JobId id, const std::string& result, Time now) {
  if (result.empty()) {
    MILLRACE_ASSIGN(Statement * complete, writer_->Prepare(queries::kCompleteJob));
    MILLRACE_TRY(complete->Bind(id, Micros(now)).Run());
  } else {
    MILLRACE_ASSIGN(Statement * complete, writer_->Prepare(queries::kCompleteJobWithResult));
    MILLRACE_TRY(complete->Bind(id, Micros(now), std::string_view(result)).Run());
  }
  LeaveRunning(id, JobState::kCompleted);
  return {};
}

Result<void> Driver::FinishAttempt(const RunningJob& job, const Report& report, Time now) {
  const JobId id = report.id;
  const Time later = now + std::clamp(report.delay, Duration(0), engine::kLongestDelay);
  switch (report.verdict) {
    case Verdict::kCompleted:
      return Complete(id, report.text, now);
    case Verdict::kRetry: {
      MILLRACE_TRY(AddAttempt(id, job, report.timed_out ? "timeout" : "failed", report.text, now));
      return PutBack(id, job, later > now ? JobState::kRetryable : JobState::kAvailable, later, 0, report.text, now);
    }
    case Verdict::kSnooze: {
      const auto why = report.text.empty() ? std::nullopt : std::optional<std::string_view>(report.text);
      return PutBack(id, job, later > now ? JobState::kScheduled : JobState::kAvailable, later, 1, why, now);
    }
    case Verdict::kReleased:
      return PutBack(id, job, JobState::kAvailable, Time(), 1, std::nullopt, now);
    case Verdict::kDead:
    case Verdict::kCancelled: {
      const bool dead = report.verdict == Verdict::kDead;
      const std::string_view outcome = !dead              ? "cancelled"
                                       : report.timed_out ? "timeout"
                                       : report.fatal     ? "fatal"
                                                          : "failed";
      const JobState state = dead ? JobState::kDead : JobState::kCancelled;
      MILLRACE_TRY(AddAttempt(id, job, outcome, report.text, now));
      // A cancel is no failure: without a text of its own it leaves the latest one's.
      const bool has_error = dead || !report.text.empty();
      MILLRACE_TRY(
          WriteFinished(id, state, now, has_error ? std::optional<std::string_view>(report.text) : std::nullopt));
      LeaveRunning(id, state);
      return {};
    }
  }
  return fail(ErrorCode::kInternal, "a verdict outside its enum");
}

Result<bool> Driver::ReportOne(const WorkerRef& worker, const Report& report, Time now) {
  const RunningJob* found = FindLease(worker, report.id, report.attempt, report.token);
  if (found == nullptr) return false;
  state_.touched = true;
  const RunningJob job = *found;
  MILLRACE_TRY(FinishAttempt(job, report, now));
  if (report.verdict == Verdict::kCompleted && report.discovery_done && job.run != 0)
    state_.runs[job.run].discovery_done = true;
  return true;
}

Result<Accepted> Driver::ReportJobs(const WorkerRef& worker, std::span<const Report> reports) {
  Accepted accepted;
  accepted.reserve(reports.size());
  const Time now = clock_.Now();
  std::vector<NewJob> emitted;
  for (const Report& report : reports) {
    const bool emits = !report.emits.empty();
    const RunningJob* emitter = emits ? FindLease(worker, report.id, report.attempt, report.token) : nullptr;
    const RunId run = emitter == nullptr ? 0 : emitter->run;
    MILLRACE_ASSIGN(const bool taken, ReportOne(worker, report, now));
    accepted.push_back(taken);
    if (!taken || !emits) continue;
    MILLRACE_TRY(engine::ValidateNewJobs(report.emits));
    MILLRACE_ASSIGN(const bool takes, TakesEmits(run));
    if (takes) engine::AppendBatch(emitted, report.emits, run);
  }
  MILLRACE_TRY(SettleDependents(now));
  // Emitted after the jobs have finished, so that one may emit its own successor under its unique key; the run's
  // counters only meet at the end of the transaction, so it never looks finished in between.
  if (!emitted.empty()) MILLRACE_TRY(EnqueueJobs(emitted, Limits::kIgnore));
  return accepted;
}

Result<Accepted> Driver::ReportOutcomes(const WorkerRef& worker, std::span<const Report> reports) {
  Accepted accepted;
  const std::lock_guard lock(writer_mutex_);
  MILLRACE_TRY(InTransaction([&]() -> Result<void> {
    MILLRACE_ASSIGN(accepted, ReportJobs(worker, reports));
    return {};
  }));
  return accepted;
}

}  // namespace millrace::storage::sqlite
