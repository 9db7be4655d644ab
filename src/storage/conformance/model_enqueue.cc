// Producing jobs: what may be enqueued, where it goes, and runs, which enqueue by themselves.
#include <algorithm>
#include <limits>

#include "engine/dependencies.h"
#include "engine/validate.h"
#include "storage/conformance/model_state.h"

namespace millrace::storage {
namespace {

bool IsPending(JobState state) {
  return state == JobState::kWaiting || state == JobState::kScheduled || state == JobState::kAvailable ||
         state == JobState::kRetryable;
}

}  // namespace

Time After(Time time, Duration by) { return by > Time::max() - time ? Time::max() : time + by; }

MemoryState::MemoryState(StorageOptions with) : options(std::move(with)) {
  for (const QueueOptions& queue : options.queues) Queue(queue.name).options = queue;
}

QueueRecord& MemoryState::Queue(const std::string& name) {
  QueueRecord& queue = queues[name];
  queue.options.name = name;
  return queue;
}

void MemoryState::Tick(Time now) {
  for (auto& [id, record] : jobs) {
    if (record.job.run_at > now) continue;
    if (const auto next = engine::Next(record.job.state, engine::JobEvent::kDue)) record.job.state = *next;
  }
}

std::optional<JobId> MemoryState::HolderOf(const std::string& unique_key) const {
  for (const auto& [id, record] : jobs) {
    if (record.job.unique_key == unique_key && !engine::IsFinished(record.job.state)) return id;
  }
  return std::nullopt;
}

// The priority a job is enqueued with: its own while there is room. Counts it.
Result<Priority> MemoryState::LaneWithRoom(const NewJob& job,
                                           std::map<std::pair<std::string, Priority>, std::int64_t>& counts) const {
  const auto queue = queues.find(job.queue);
  const QueueOptions limits = queue == queues.end() ? QueueOptions() : queue->second.options;
  const auto capacity = limits.capacity ? limits.capacity : options.capacity[static_cast<std::size_t>(job.priority)];
  std::int64_t& count = counts[{job.queue, job.priority}];
  if (!capacity || count < *capacity) {
    ++count;
    return job.priority;
  }
  if (limits.overflow == Overflow::kSpill && limits.spill_to != job.priority) {
    ++counts[{job.queue, limits.spill_to}];
    return limits.spill_to;
  }
  return fail(ErrorCode::kQueueFull, "queue '" + job.queue + "' is full: its capacity for priority " +
                                         std::string(priority_name(job.priority)) + " is " + std::to_string(*capacity));
}

Result<std::vector<MemoryState::Placement>> MemoryState::Place(std::span<const NewJob> batch, bool limited) const {
  std::map<std::pair<std::string, Priority>, std::int64_t> counts;
  for (const auto& [id, record] : jobs) {
    if (IsPending(record.job.state)) ++counts[{record.job.queue, record.job.priority}];
  }
  std::map<std::string, std::size_t> keys_of_batch;
  std::vector<Placement> placements;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const NewJob& job = batch[i];
    Placement placement{.holder = std::nullopt, .holder_in_batch = std::nullopt, .priority = job.priority};
    if (!job.unique_key.empty()) {
      placement.holder = HolderOf(job.unique_key);
      const auto [earlier, first] = keys_of_batch.try_emplace(job.unique_key, i);
      if (!placement.holder && !first) placement.holder_in_batch = earlier->second;
    }
    if (limited && !placement.holder && !placement.holder_in_batch) {
      auto lane = LaneWithRoom(job, counts);
      if (!lane) return fail(lane.error());
      placement.priority = *lane;
    }
    placements.push_back(placement);
  }
  return placements;
}

JobId MemoryState::Insert(const NewJob& from, Priority priority, RunId run, Time now) {
  Job job;
  job.id = ++last_job_;
  job.kind = from.kind;
  job.args = from.args;
  job.queue = from.queue;
  job.priority = priority;
  job.created_at = now;
  job.run_at = std::max(now, from.run_at ? *from.run_at : After(now, from.delay.value_or(Duration(0))));
  job.state = job.run_at > now ? JobState::kScheduled : JobState::kAvailable;
  job.max_attempts = from.max_attempts;
  job.max_crashes = from.max_crashes;
  job.timeout = from.timeout;
  job.partition_key = from.partition_key;
  job.unique_key = from.unique_key;
  job.run_id = run;
  job.tags = from.tags;
  Queue(job.queue);
  jobs[job.id].job = job;
  return job.id;
}

std::vector<Enqueued> MemoryState::InsertAll(std::span<const NewJob> batch, const std::vector<Placement>& placements,
                                             std::optional<RunId> run, Time now) {
  std::vector<Enqueued> results;
  std::vector<std::size_t> waiting;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const Placement& placement = placements[i];
    if (placement.holder) {
      results.push_back({*placement.holder, true});
    } else if (placement.holder_in_batch) {
      results.push_back({results[*placement.holder_in_batch].id, true});
    } else {
      results.push_back({Insert(batch[i], placement.priority, run.value_or(batch[i].run_id), now), false});
      if (engine::Waits(batch[i])) waiting.push_back(i);
    }
  }
  for (const std::size_t i : waiting) AddDependencies(jobs.at(results[i].id), batch[i], results);
  for (const std::size_t i : waiting) DecideWaiting(jobs.at(results[i].id), now);
  SettleDependents(now);
  return results;
}

Result<std::vector<Enqueued>> MemoryState::Enqueue(std::span<const NewJob> batch, Time now) {
  if (auto valid = engine::ValidateNewJobs(batch); !valid) return fail(valid.error());
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (batch[i].run_id == 0) continue;
    const auto run = runs.find(batch[i].run_id);
    if (run == runs.end() || run->second.row.state != RunState::kActive) {
      return fail(ErrorCode::kInvalidArgument,
                  "job " + std::to_string(i) + ": run_id: run " + std::to_string(batch[i].run_id) + " is not active");
    }
  }
  if (auto there = CheckDependencies(batch); !there) return fail(there.error());
  auto placements = Place(batch, true);
  if (!placements) return fail(placements.error());
  return InsertAll(batch, *placements, std::nullopt, now);
}

Result<std::vector<Enqueued>> MemoryState::Emit(std::span<const NewJob> batch, RunId run, Time now) {
  if (batch.empty()) return std::vector<Enqueued>();
  if (auto valid = engine::ValidateNewJobs(batch); !valid) return fail(valid.error());
  if (run != 0 && runs.at(run).row.state == RunState::kCancelled)
    return fail(ErrorCode::kConflict, "run " + std::to_string(run) + " is cancelled");
  if (auto there = CheckDependencies(batch); !there) return fail(there.error());
  auto placements = Place(batch, false);
  if (!placements) return fail(placements.error());
  return InsertAll(batch, *placements, run, now);
}

// ---- Runs ----

Result<StartedRun> MemoryState::StartRun(const RunSpec& spec, Time now) {
  if (auto valid = engine::ValidateStages({&spec.discovery, 1}); !valid) return fail(valid.error());
  if (auto valid = engine::ValidateStages(spec.finals); !valid) return fail(valid.error());
  std::int64_t generation = 0;
  for (const auto& [id, run] : runs) {
    if (run.row.identity != spec.identity) continue;
    if (run.row.state == RunState::kActive) {
      if (!run.row.discovery_done && OpenJobs(id) == 0) {
        if (auto again = StartStage(runs.at(id).row, spec.discovery, now); !again) return fail(again.error());
      }
      return StartedRun{id, run.row.generation, true};
    }
    generation = std::max(generation, run.row.generation);
  }
  RunRow row;
  row.id = ++last_run_;
  row.pipeline = spec.pipeline;
  row.identity = spec.identity;
  row.spec = spec.spec;
  row.generation = generation + 1;
  row.started_at = now;
  runs[row.id] = RunRecord{row, spec.finals};
  if (auto started = StartStage(runs.at(row.id).row, spec.discovery, now); !started) return fail(started.error());
  return StartedRun{row.id, row.generation, false};
}

Result<void> MemoryState::StartStage(RunRow& run, const NewJob& job, Time now) {
  const auto emitted = Emit({&job, 1}, run.id, now);
  if (!emitted) return fail(emitted.error());
  run.stage_job = emitted->at(0).duplicate ? 0 : emitted->at(0).id;
  return {};
}

std::int64_t MemoryState::OpenJobs(RunId run) const {
  return std::count_if(jobs.begin(), jobs.end(), [&](const auto& entry) {
    return entry.second.job.run_id == run && !engine::IsFinished(entry.second.job.state);
  });
}

void MemoryState::SettleRuns(Time now) {
  for (auto& [id, run] : runs) {
    while (run.row.state == RunState::kActive && run.row.discovery_done && OpenJobs(id) == 0) {
      if (static_cast<std::size_t>(run.row.finals_started) < run.finals.size()) {
        const NewJob& final = run.finals[static_cast<std::size_t>(run.row.finals_started++)];
        (void)StartStage(run.row, final, now);  // was checked when the run started
      } else {
        run.row.state = RunState::kCompleted;
        run.row.finished_at = now;
      }
    }
  }
}

Result<void> MemoryState::CancelRun(RunId id, Time now) {
  const auto run = runs.find(id);
  if (run == runs.end()) return fail(ErrorCode::kNotFound, "no run " + std::to_string(id));
  if (run->second.row.state == RunState::kCompleted) return {};
  if (run->second.row.state == RunState::kActive) {
    run->second.row.state = RunState::kCancelled;
    run->second.row.finished_at = now;
  }
  JobFilter filter;
  filter.run_id = id;
  filter.limit = std::numeric_limits<int>::max();
  Cancel(filter, now);
  return {};
}

RunRow MemoryState::Row(const RunRecord& run) const {
  RunRow row = run.row;
  row.open = OpenJobs(row.id);
  for (const auto& [id, record] : jobs) {
    if (record.job.run_id == row.id) ++row.counts[static_cast<int>(record.job.state)];
    if (id != row.stage_job || record.job.state != JobState::kRunning) continue;
    row.leader = record.job.worker;
    row.epoch = record.token;
  }
  return row;
}

QueueRow MemoryState::Row(const QueueRecord& queue) const {
  QueueRow row;
  row.name = queue.options.name;
  row.paused = queue.paused;
  row.options = queue.options;
  for (const auto& [id, record] : jobs) {
    const Job& job = record.job;
    if (job.queue != row.name) continue;
    ++row.counts[static_cast<int>(job.priority)][static_cast<int>(job.state)];
    if (job.state != JobState::kAvailable) continue;
    auto& oldest = row.oldest_of[static_cast<int>(job.priority)];
    if (!oldest || job.run_at < *oldest) oldest = job.run_at;
    if (!row.oldest_available || job.run_at < *row.oldest_available) row.oldest_available = job.run_at;
  }
  return row;
}

WorkerRow MemoryState::Row(const WorkerRecord& worker) const {
  WorkerRow row = worker.row;
  for (const auto& [id, record] : jobs) {
    if (record.job.state == JobState::kRunning && record.job.worker == row.info.id) ++row.running;
  }
  return row;
}

}  // namespace millrace::storage
