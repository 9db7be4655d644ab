// Runs: their open work is counted in the transactions that change it, and their final stages start exactly once.
#include <fmt/format.h>

#include "base/json.h"
#include "engine/job_state.h"
#include "engine/validate.h"
#include "storage/sqlite/driver_impl.h"

namespace millrace::storage::sqlite {
namespace {

namespace json = base::json;

// A job template as stored with its run.
json::object ToObject(const NewJob& job) {
  return {{"kind", job.kind},
          {"args", job.args},
          {"queue", job.queue},
          {"priority", static_cast<int>(job.priority)},
          {"max_attempts", job.max_attempts},
          {"max_crashes", job.max_crashes},
          {"timeout", job.timeout.count()},
          {"partition_key", job.partition_key},
          {"unique_key", job.unique_key},
          {"tags", base::TextsToJson(job.tags)},
          {"delay", job.delay ? job.delay->count() : 0},
          {"run_at", job.run_at ? Micros(*job.run_at) : 0}};
}

NewJob FromObject(const json::object& object) {
  const auto text = [&](std::string_view name) { return std::string(object.at(name).as_string()); };
  NewJob job;
  job.kind = text("kind");
  job.args = text("args");
  job.queue = text("queue");
  job.priority = static_cast<Priority>(object.at("priority").as_int64());
  job.max_attempts = static_cast<int>(object.at("max_attempts").as_int64());
  job.max_crashes = static_cast<int>(object.at("max_crashes").as_int64());
  job.timeout = Duration(object.at("timeout").as_int64());
  job.partition_key = text("partition_key");
  job.unique_key = text("unique_key");
  job.tags = base::TextsFromJson(text("tags"));
  if (const auto delay = object.at("delay").as_int64(); delay > 0) job.delay = Duration(delay);
  if (const auto run_at = object.at("run_at").as_int64(); run_at > 0) job.run_at = FromMicros(run_at);
  return job;
}

RunRow ReadRun(const SqlRow& row) {
  RunRow run;
  run.id = row.integer(0);
  run.pipeline = row.text(1);
  run.identity = row.text(2);
  run.spec = row.text(3);
  run.generation = row.integer(4);
  run.state = static_cast<RunState>(row.integer(5));
  run.discovery_done = row.integer(6) != 0;
  run.finals_started = static_cast<int>(row.integer(7));
  run.open = row.integer(8);
  run.started_at = FromMicros(row.integer(9));
  if (!row.is_null(10)) run.finished_at = FromMicros(row.integer(10));
  run.stage_job = row.is_null(11) ? 0 : row.integer(11);
  if (!row.is_null(12)) run.leader = row.text(12);
  run.epoch = row.is_null(13) ? 0 : row.integer(13);
  return run;
}

Result<std::vector<RunRow>> ReadRuns(Database& database, RunId id, int limit) {
  std::vector<RunRow> runs;
  const std::array<SqlValue, 2> values = {id, std::int64_t{limit}};
  MILLRACE_TRY(database.query(queries::kRuns, values, [&](const SqlRow& row) {
    runs.push_back(ReadRun(row));
    return true;
  }));
  for (RunRow& run : runs) {
    const SqlValue value = run.id;
    MILLRACE_TRY(database.query(queries::kRunCounts, {&value, 1}, [&](const SqlRow& row) {
      run.counts[row.integer(0)] = row.integer(1);
      return true;
    }));
  }
  return runs;
}

}  // namespace

Result<void> Driver::FlushRuns() {
  const std::map<RunId, RunDelta> deltas = std::exchange(state_.runs, {});
  for (const auto& [id, delta] : deltas) MILLRACE_TRY(FlushRun(id, delta));
  // Only when all counters are written: a final stage belongs after everything its run did in this transaction.
  for (const auto& [id, delta] : deltas) MILLRACE_TRY(AdvanceRun(id));
  return {};
}

Result<void> Driver::FlushRun(RunId id, const RunDelta& delta) {
  std::int64_t open = 0;
  MILLRACE_ASSIGN(Statement * count, writer_->Prepare(queries::kAddRunCount));
  for (int s = 0; s < kJobStateCount; ++s) {
    const std::int64_t by = delta.states[static_cast<std::size_t>(s)];
    if (by == 0) continue;
    MILLRACE_TRY(count->Bind(id, s, by).Run());
    if (!engine::IsFinished(static_cast<JobState>(s))) open += by;
  }
  MILLRACE_ASSIGN(Statement * change, writer_->Prepare(queries::kChangeRun));
  return change->Bind(id, open, delta.discovery_done).Run();
}

Result<void> Driver::AdvanceRun(RunId id) {
  int started = 0;
  std::string finals;
  {
    MILLRACE_ASSIGN(Statement * progress, writer_->Prepare(queries::kRunProgress));
    const Resetting resetting(*progress);
    MILLRACE_ASSIGN(const bool found, progress->Bind(id).Step());
    const bool idle = found && static_cast<RunState>(progress->integer(0)) == RunState::kActive &&
                      progress->integer(1) != 0 && progress->integer(3) == 0;
    if (!idle) return {};
    started = static_cast<int>(progress->integer(2));
    finals = progress->text(4);
  }
  MILLRACE_ASSIGN(const json::value stages, base::ParseJson(finals));
  const json::array& list = stages.as_array();
  if (static_cast<std::size_t>(started) >= list.size()) {
    MILLRACE_ASSIGN(Statement * finish, writer_->Prepare(queries::kFinishRun));
    return finish->Bind(id, static_cast<int>(RunState::kCompleted), Micros(clock_.Now())).Run();
  }
  MILLRACE_ASSIGN(Statement * start, writer_->Prepare(queries::kStartFinal));
  MILLRACE_TRY(start->Bind(id).Run());
  const NewJob final = FromObject(list[static_cast<std::size_t>(started)].as_object());
  state_.runs[id];  // looked at again even when the job turns out to be a duplicate
  return StartStage(id, final);
}

Result<void> Driver::StartStage(RunId id, const NewJob& stage) {
  MILLRACE_ASSIGN(const std::vector<Enqueued> enqueued, EmitJobs({&stage, 1}, id));
  const Enqueued& job = enqueued.front();
  MILLRACE_ASSIGN(Statement * set, writer_->Prepare(queries::kSetStageJob));
  return set->Bind(id, job.duplicate ? std::optional<JobId>() : std::optional(job.id)).Run();
}

Result<void> Driver::ResumeDiscovery(RunId id, const NewJob& discovery) {
  bool stalled = false;
  {
    MILLRACE_ASSIGN(Statement * progress, writer_->Prepare(queries::kRunProgress));
    const Resetting resetting(*progress);
    MILLRACE_ASSIGN(const bool found, progress->Bind(id).Step());
    stalled = found && progress->integer(1) == 0 && progress->integer(3) == 0;
  }
  if (stalled) MILLRACE_TRY(StartStage(id, discovery));
  return {};
}

Result<StartedRun> Driver::StartRun(const RunSpec& spec) {
  MILLRACE_TRY(engine::ValidateStages({&spec.discovery, 1}));
  MILLRACE_TRY(engine::ValidateStages(spec.finals));
  json::array finals;
  for (const NewJob& job : spec.finals) finals.push_back(ToObject(job));
  const std::string finals_text = base::ToJson(finals);
  StartedRun started;
  const std::lock_guard lock(writer_mutex_);
  MILLRACE_TRY(InTransaction([&]() -> Result<void> {
    const SqlValue identity = std::string_view(spec.identity);
    MILLRACE_TRY(writer_->query(queries::kActiveRun, {&identity, 1}, [&](const SqlRow& row) {
      started = {row.integer(0), row.integer(1), true};
      return false;
    }));
    if (started.joined) return ResumeDiscovery(started.id, spec.discovery);
    MILLRACE_TRY(writer_->query(queries::kNextGeneration, {&identity, 1}, [&](const SqlRow& row) {
      started.generation = row.integer(0);
      return false;
    }));
    MILLRACE_ASSIGN(Statement * insert, writer_->Prepare(queries::kInsertRun));
    MILLRACE_TRY(insert
                     ->Bind(std::string_view(spec.pipeline), std::string_view(spec.identity), started.generation,
                            std::string_view(spec.spec), std::string_view(finals_text), Micros(clock_.Now()))
                     .Run());
    started.id = sqlite3_last_insert_rowid(writer_->handle());
    return StartStage(started.id, spec.discovery);
  }));
  return started;
}

Result<std::optional<RunRow>> Driver::GetRun(RunId id) {
  MILLRACE_TRY(SettleDue());
  const std::lock_guard lock(reader_mutex_);
  if (id <= 0) return std::nullopt;
  MILLRACE_ASSIGN(std::vector<RunRow> runs, ReadRuns(*reader_, id, 1));
  return runs.empty() ? std::nullopt : std::optional(std::move(runs.front()));
}

Result<std::vector<RunRow>> Driver::ListRuns(int limit) {
  MILLRACE_TRY(SettleDue());
  const std::lock_guard lock(reader_mutex_);
  return ReadRuns(*reader_, 0, limit);
}

Result<void> Driver::CancelRun(RunId id) {
  const std::lock_guard lock(writer_mutex_);
  return InTransaction([&]() -> Result<void> {
    MILLRACE_ASSIGN(const std::vector<RunRow> runs, ReadRuns(*writer_, id, 1));
    if (id <= 0 || runs.empty())
      return fail(ErrorCode::kNotFound, fmt::format("no run {}; 'millrace runs list' shows them", id));
    if (runs.front().state == RunState::kCompleted) return {};
    if (runs.front().state == RunState::kActive) {
      MILLRACE_ASSIGN(Statement * finish, writer_->Prepare(queries::kFinishRun));
      MILLRACE_TRY(finish->Bind(id, static_cast<int>(RunState::kCancelled), Micros(clock_.Now())).Run());
    }
    JobFilter filter;
    filter.run_id = id;
    filter.limit = INT32_MAX;
    MILLRACE_TRY(CancelJobs(filter));
    return {};
  });
}

}  // namespace millrace::storage::sqlite
