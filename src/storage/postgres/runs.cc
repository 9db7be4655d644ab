// Runs: what the schema's functions start and count.
#include <fmt/format.h>

#include "base/json.h"
#include "engine/job_state.h"
#include "engine/validate.h"
#include "storage/postgres/driver_impl.h"

namespace millrace::storage::postgres {
namespace {

// A job template as insert_stage reads it.
base::json::object ToObject(const NewJob& job) {
  base::json::object object = {{"kind", job.kind},
                               {"args", job.args},
                               {"queue", job.queue},
                               {"priority", static_cast<int>(job.priority)},
                               {"max_attempts", job.max_attempts},
                               {"max_crashes", job.max_crashes},
                               {"timeout", job.timeout.count()}};
  if (!job.partition_key.empty()) object["partition_key"] = job.partition_key;
  if (!job.unique_key.empty()) object["unique_key"] = job.unique_key;
  if (!job.tags.empty()) object["tags"] = base::TextsToJson(job.tags);
  if (job.run_at) {
    object["run_at"] = job.run_at->time_since_epoch().count();
  } else if (job.delay) {
    object["delay"] = job.delay->count();
  }
  return object;
}

RunRow ReadRun(const ResultSet::Row& row) {
  RunRow run;
  run.id = row.integer(0);
  run.pipeline = row.text(1);
  run.identity = row.text(2);
  run.spec = row.text(3);
  run.generation = row.integer(4);
  run.state = static_cast<RunState>(row.integer(5));
  run.discovery_done = row.boolean(6);
  run.finals_started = static_cast<int>(row.integer(7));
  run.started_at = row.time(8);
  if (!row.is_null(9)) run.finished_at = row.time(9);
  for (int s = 0; s < kJobStateCount; ++s) run.counts[s] = row.integer(10 + s);
  run.stage_job = row.integer(20);
  run.leader = row.text(21);
  run.epoch = row.integer(22);
  // Those that became due since they were counted.
  const std::int64_t scheduled = row.integer(18);
  const std::int64_t retryable = row.integer(19);
  run.counts[static_cast<int>(JobState::kScheduled)] -= scheduled;
  run.counts[static_cast<int>(JobState::kRetryable)] -= retryable;
  run.counts[static_cast<int>(JobState::kAvailable)] += scheduled + retryable;
  for (int s = 0; s < kJobStateCount; ++s) {
    if (!engine::IsFinished(static_cast<JobState>(s))) run.open += run.counts[s];
  }
  return run;
}

}  // namespace

Result<StartedRun> Driver::StartRun(const RunSpec& spec) {
  MILLRACE_TRY(engine::ValidateStages({&spec.discovery, 1}));
  MILLRACE_TRY(engine::ValidateStages(spec.finals));
  base::json::array finals;
  for (const NewJob& job : spec.finals) finals.push_back(ToObject(job));
  Params params;
  params.Text(spec.pipeline).Text(spec.identity).Text(spec.spec).Text(base::ToJson(ToObject(spec.discovery)));
  params.Text(base::ToJson(finals));
  MILLRACE_ASSIGN(const ResultSet rows, Run(statements_.start_run, params));
  return StartedRun{rows.row(0).integer(0), rows.row(0).integer(1), rows.row(0).boolean(2)};
}

Result<std::vector<RunRow>> Driver::ReadRuns(RunId id, int limit) {
  MILLRACE_ASSIGN(const ResultSet rows, Run(statements_.runs, Params().Int(id).Int(limit)));
  std::vector<RunRow> runs;
  for (int i = 0; i < rows.rows(); ++i) runs.push_back(ReadRun(rows.row(i)));
  return runs;
}

Result<std::optional<RunRow>> Driver::GetRun(RunId id) {
  if (id <= 0) return std::nullopt;
  MILLRACE_ASSIGN(std::vector<RunRow> runs, ReadRuns(id, 1));
  return runs.empty() ? std::nullopt : std::optional(std::move(runs.front()));
}

Result<std::vector<RunRow>> Driver::ListRuns(int limit) { return ReadRuns(0, limit); }

Result<void> Driver::CancelRun(RunId id) {
  MILLRACE_TRY(Run(statements_.cancel_run, Params().Int(id)));
  for (std::int64_t found = kPiece; found == kPiece;) {
    MILLRACE_ASSIGN(const ResultSet rows, Run(statements_.cancel_open_jobs, Params().Int(id).Int4(kPiece)));
    found = rows.row(0).integer(0);
  }
  MILLRACE_TRY(Run(statements_.advance_all_runs, Params()));  // jobs of others may have been waiting for these
  return {};
}

}  // namespace millrace::storage::postgres
