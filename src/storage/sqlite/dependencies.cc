// Jobs that wait for others. What finishes in a transaction is noted, and settled once the call has finished all it
// finishes: level by level, since a job that is cancelled finishes in turn.
#include "engine/dependencies.h"

#include <fmt/format.h>

#include "storage/sqlite/driver_impl.h"

namespace millrace::storage::sqlite {

Result<std::optional<JobState>> Driver::StateOf(JobId id) {
  MILLRACE_ASSIGN(Statement * read, writer_->Prepare(queries::kJobState));
  const Resetting resetting(*read);
  MILLRACE_ASSIGN(const bool found, read->Bind(id).Step());
  return found ? std::optional(static_cast<JobState>(read->integer(0))) : std::nullopt;
}

Result<void> Driver::CheckDependencies(std::span<const NewJob> jobs) {
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    for (const JobId id : jobs[i].after) {
      MILLRACE_ASSIGN(const std::optional<JobState> state, StateOf(id));
      if (state) continue;
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("job {} of the batch: after: there is no job {}, or its history was deleted", i, id));
    }
  }
  return {};
}

Result<void> Driver::AddDependencies(JobId id, const NewJob& job, const std::vector<Enqueued>& batch) {
  std::set<JobId> needs(job.after.begin(), job.after.end());
  for (const std::size_t earlier : job.after_in_batch) needs.insert(batch[earlier].id);
  engine::DependencyProgress progress;
  MILLRACE_ASSIGN(Statement * insert, writer_->Prepare(queries::kInsertDependency));
  for (const JobId needed : needs) {
    MILLRACE_ASSIGN(const std::optional<JobState> state, StateOf(needed));
    if (state && !engine::IsFinished(*state)) {
      MILLRACE_TRY(insert->Bind(needed, id).Run());
      ++progress.open;
    } else if (state != JobState::kCompleted && progress.failed == 0) {
      progress.failed = needed;
    }
  }
  state_.dependencies += progress.open;
  MILLRACE_ASSIGN(Statement * wait, writer_->Prepare(queries::kInsertWaiting));
  return wait->Bind(id, progress.open, static_cast<int>(job.when), progress.failed).Run();
}

// Of a batch just inserted, whose waiting jobs are in that state.
Result<void> Driver::LinkBatch(std::span<const NewJob> jobs, const std::vector<Enqueued>& batch, Time now) {
  std::vector<JobId> waiting;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (!engine::Waits(jobs[i]) || batch[i].duplicate) continue;
    MILLRACE_TRY(AddDependencies(batch[i].id, jobs[i], batch));
    waiting.push_back(batch[i].id);
  }
  if (waiting.empty()) return {};
  for (const JobId id : waiting) MILLRACE_TRY(DecideWaiting(id, now));
  return SettleDependents(now);
}

void Driver::NoteFinished(JobId id, JobState state) {
  if (state_.dependencies > 0 && engine::IsFinished(state)) state_.finished[id] = state != JobState::kCompleted;
}

Result<void> Driver::DropWaiting(JobId id) {
  MILLRACE_ASSIGN(Statement * drop, writer_->Prepare(queries::kDeleteDependencies));
  MILLRACE_TRY(drop->Bind(id).Run());
  state_.dependencies -= writer_->changes();
  MILLRACE_ASSIGN(Statement * wait, writer_->Prepare(queries::kDeleteWaiting));
  return wait->Bind(id).Run();
}

Result<void> Driver::DecideWaiting(JobId id, Time now) {
  MILLRACE_ASSIGN(Statement * read, writer_->Prepare(queries::kWaitingJob));
  const Resetting resetting(*read);
  MILLRACE_ASSIGN(const bool found, read->Bind(id).Step());
  if (!found) return fail(ErrorCode::kCorrupt, fmt::format("job {} waits, but the database does not say for what", id));
  const engine::DependencyProgress progress{read->integer(0), read->integer(2)};
  const auto event = engine::Decide(static_cast<DependencyPolicy>(read->integer(1)), progress);
  if (!event) return {};
  QueueState& queue = *state_.queue_by_id.at(read->integer(3));
  const auto priority = static_cast<Priority>(read->integer(4));
  const RunId run = read->integer(5);
  const std::string partition(read->text(6));
  const bool later = FromMicros(read->integer(7)) > now;
  state_.touched = true;
  MILLRACE_TRY(DropWaiting(id));
  if (*event == engine::JobEvent::kCancel) {
    MILLRACE_TRY(WriteFinished(id, JobState::kCancelled, now, engine::WhyCancelled(progress)));
    Moved(queue, priority, run, JobState::kWaiting, JobState::kCancelled);
    NoteFinished(id, JobState::kCancelled);
    return {};
  }
  const JobState to = later ? JobState::kScheduled : JobState::kAvailable;
  MILLRACE_ASSIGN(Statement * release, writer_->Prepare(queries::kReleaseWaiting));
  MILLRACE_TRY(release->Bind(id, static_cast<int>(to)).Run());
  Moved(queue, priority, run, JobState::kWaiting, to);
  if (!partition.empty()) TouchPartition(queue, priority, partition);
  return {};
}

Result<void> Driver::SettleDependents(Time now) {
  MILLRACE_ASSIGN(Statement * take, writer_->Prepare(queries::kTakeDependents));
  MILLRACE_ASSIGN(Statement * settle, writer_->Prepare(queries::kSettleWaiting));
  while (!state_.finished.empty()) {
    struct Change {
      std::int64_t closed = 0;
      JobId failed = 0;
    };
    std::map<JobId, Change> changes;
    for (const auto& [needed, failed] : std::exchange(state_.finished, {})) {
      const Resetting resetting(*take);
      take->Bind(needed);
      while (true) {
        MILLRACE_ASSIGN(const bool found, take->Step());
        if (!found) break;
        Change& change = changes[take->integer(0)];
        ++change.closed;
        if (failed && change.failed == 0) change.failed = needed;
      }
    }
    for (const auto& [id, change] : changes) {
      state_.touched = true;
      state_.dependencies -= change.closed;
      MILLRACE_TRY(settle->Bind(id, change.closed, change.failed).Run());
    }
    for (const auto& [id, change] : changes) MILLRACE_TRY(DecideWaiting(id, now));
  }
  return {};
}

}  // namespace millrace::storage::sqlite
