// Enqueue: check everything first, so that a refusal costs nothing; then insert.
#include <fmt/format.h>

#include "base/json.h"
#include "engine/dependencies.h"
#include "engine/validate.h"
#include "storage/sqlite/driver_impl.h"

namespace millrace::storage::sqlite {
namespace {

std::optional<std::string_view> NullIfEmpty(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string_view>(text);
}

}  // namespace

// The priority each job is enqueued with (a full queue may spill it), or kQueueFull.
Result<std::vector<Priority>> Driver::CheckCapacity(std::span<const NewJob> jobs) {
  std::vector<Priority> priorities;
  priorities.reserve(jobs.size());
  std::map<std::pair<QueueState*, Priority>, std::int64_t> added;
  std::set<std::string_view> keys;
  for (const NewJob& job : jobs) {
    priorities.push_back(job.priority);
    const auto found = state_.queue_by_name.find(job.queue);
    const QueueOptions* options = found == state_.queue_by_name.end() ? nullptr : &found->second->options;
    auto capacity =
        options != nullptr && options->capacity ? options->capacity : options_.capacity[static_cast<int>(job.priority)];
    const bool repeated = !job.unique_key.empty() && !keys.insert(job.unique_key).second;
    if (!capacity || repeated) continue;
    if (!job.unique_key.empty()) {  // a duplicate takes no room
      MILLRACE_ASSIGN(const std::optional<JobId> holder, HolderOf(job.unique_key));
      if (holder) continue;
    }
    MILLRACE_ASSIGN(QueueState * queue, QueueByName(job.queue));
    const auto& count = queue->count[static_cast<int>(job.priority)];
    std::int64_t waiting = added[{queue, job.priority}];
    for (const JobState state :
         {JobState::kWaiting, JobState::kScheduled, JobState::kAvailable, JobState::kRetryable}) {
      waiting += count[static_cast<int>(state)];
    }
    const bool spills = queue->options.overflow == Overflow::kSpill && queue->options.spill_to != job.priority;
    if (waiting < *capacity) {
      ++added[{queue, job.priority}];
    } else if (spills) {
      priorities.back() = queue->options.spill_to;
      ++added[{queue, queue->options.spill_to}];
    } else {
      return fail(ErrorCode::kQueueFull,
                  fmt::format("queue '{}' is full: {} jobs of priority {} wait, its capacity is {}; try again later "
                              "or raise the capacity",
                              job.queue, waiting, priority_name(job.priority), *capacity));
    }
  }
  return priorities;
}

// The unfinished job that has a unique key.
Result<std::optional<JobId>> Driver::HolderOf(std::string_view unique_key) {
  MILLRACE_ASSIGN(Statement * find, writer_->Prepare(queries::kFindUnique));
  const Resetting resetting(*find);
  MILLRACE_ASSIGN(const bool taken, find->Bind(unique_key).Step());
  return taken ? std::optional<JobId>(find->integer(0)) : std::nullopt;
}

Result<Enqueued> Driver::EnqueueOne(const NewJob& job, Priority priority, Time now, Statement& insert) {
  if (!job.unique_key.empty()) {
    MILLRACE_ASSIGN(const std::optional<JobId> holder, HolderOf(job.unique_key));
    if (holder) return Enqueued{*holder, true};
  }
  MILLRACE_ASSIGN(QueueState * queue, QueueByName(job.queue));
  MILLRACE_ASSIGN(const std::int64_t kind, KindByName(job.kind));
  const Time run_at = std::max(now, job.run_at ? *job.run_at : now + job.delay.value_or(Duration(0)));
  const JobState state = engine::Waits(job) ? JobState::kWaiting
                         : run_at > now     ? JobState::kScheduled
                                            : JobState::kAvailable;
  const JobId id = state_.next_job++;
  const std::string tags = base::TextsToJson(job.tags);
  const auto run = job.run_id == 0 ? std::nullopt : std::optional<std::int64_t>(job.run_id);
  insert.Bind(id, queue->id, kind, static_cast<int>(priority), static_cast<int>(state), job.max_attempts,
              job.max_crashes, job.timeout.count(), Micros(now), Micros(run_at), run, NullIfEmpty(job.partition_key),
              NullIfEmpty(job.unique_key), NullIfEmpty(tags), std::string_view(job.args));
  MILLRACE_TRY(insert.Run());
  Count(*queue, priority, state, 1);
  if (job.run_id != 0) ++state_.runs[job.run_id].states[static_cast<int>(state)];
  if (!job.partition_key.empty()) TouchPartition(*queue, priority, job.partition_key);
  return Enqueued{id, false};
}

Result<std::vector<Enqueued>> Driver::EnqueueJobs(std::span<const NewJob> jobs, Limits limits) {
  MILLRACE_TRY(engine::ValidateNewJobs(jobs));
  if (limits == Limits::kApply) MILLRACE_TRY(CheckRuns(jobs));
  MILLRACE_TRY(CheckDependencies(jobs));
  std::vector<Priority> priorities;
  if (limits == Limits::kApply) {
    MILLRACE_ASSIGN(priorities, CheckCapacity(jobs));
  }
  const Time now = clock_.Now();
  MILLRACE_ASSIGN(Statement * insert, writer_->Prepare(queries::kInsertJob));
  std::vector<Enqueued> enqueued;
  enqueued.reserve(jobs.size());
  state_.touched = true;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    MILLRACE_ASSIGN(const Enqueued one,
                    EnqueueOne(jobs[i], priorities.empty() ? jobs[i].priority : priorities[i], now, *insert));
    enqueued.push_back(one);
  }
  MILLRACE_TRY(LinkBatch(jobs, enqueued, now));
  return enqueued;
}

// Jobs that belong to `run` whatever they say, and that no capacity rejects.
Result<std::vector<Enqueued>> Driver::EmitJobs(std::span<const NewJob> jobs, RunId run) {
  std::vector<NewJob> emits(jobs.begin(), jobs.end());
  for (NewJob& emit : emits) emit.run_id = run;
  return EnqueueJobs(emits, Limits::kIgnore);
}

// Whether a run takes what its jobs emit.
Result<bool> Driver::TakesEmits(RunId run) {
  if (run == 0) return true;
  MILLRACE_ASSIGN(Statement * progress, writer_->Prepare(queries::kRunProgress));
  const Resetting resetting(*progress);
  MILLRACE_ASSIGN(const bool found, progress->Bind(run).Step());
  return found && static_cast<RunState>(progress->integer(0)) != RunState::kCancelled;
}

// Producers may add to a run only while it is active.
Result<void> Driver::CheckRuns(std::span<const NewJob> jobs) {
  RunId checked = 0;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const RunId run = jobs[i].run_id;
    if (run == 0 || run == checked) continue;
    MILLRACE_ASSIGN(Statement * progress, writer_->Prepare(queries::kRunProgress));
    const Resetting resetting(*progress);
    MILLRACE_ASSIGN(const bool found, progress->Bind(run).Step());
    if (!found || static_cast<RunState>(progress->integer(0)) != RunState::kActive) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("job {} of the batch: run_id: run {} is not active", i, run));
    }
    checked = run;
  }
  return {};
}

Result<std::vector<Enqueued>> Driver::Enqueue(std::span<const NewJob> jobs) {
  std::vector<Enqueued> enqueued;
  const std::lock_guard lock(writer_mutex_);
  MILLRACE_TRY(InTransaction([&]() -> Result<void> {
    MILLRACE_ASSIGN(enqueued, EnqueueJobs(jobs, Limits::kApply));
    return {};
  }));
  return enqueued;
}

Result<std::vector<Enqueued>> Driver::EmitNow(const WorkerRef& worker, JobId id, int attempt, std::int64_t token,
                                              std::span<const NewJob> jobs) {
  std::vector<Enqueued> enqueued;
  const std::lock_guard lock(writer_mutex_);
  const RunningJob* emitter = FindLease(worker, id, attempt, token);
  if (emitter == nullptr)
    return fail(ErrorCode::kLeaseLost,
                fmt::format("job {} attempt {}: its lease is lost; nothing was enqueued", id, attempt));
  const RunId run = emitter->run;
  MILLRACE_TRY(InTransaction([&]() -> Result<void> {
    MILLRACE_TRY(engine::ValidateNewJobs(jobs));
    MILLRACE_ASSIGN(const bool takes, TakesEmits(run));
    if (!takes) return fail(ErrorCode::kConflict, fmt::format("run {} is cancelled; nothing was enqueued", run));
    MILLRACE_ASSIGN(enqueued, EmitJobs(jobs, run));
    return {};
  }));
  return enqueued;
}

}  // namespace millrace::storage::sqlite
