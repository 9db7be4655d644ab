#include "storage/postgres/statements.h"

#include <fmt/format.h>

#include <algorithm>

#include "postgres_queries.h"

namespace millrace::storage::postgres {

std::string WithSchema(std::string_view text, std::string_view schema) {
  constexpr std::string_view kMark = "@schema@";
  std::string out;
  out.reserve(text.size());
  while (true) {
    const std::size_t at = text.find(kMark);
    out += text.substr(0, at);
    if (at == std::string_view::npos) return out;
    out += schema;
    text.remove_prefix(at + kMark.size());
  }
}

Result<void> CheckSchemaName(std::string_view schema) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  const bool good = !schema.empty() && schema.size() <= 40 && !(schema[0] >= '0' && schema[0] <= '9') &&
                    std::all_of(schema.begin(), schema.end(), plain) && !schema.starts_with("pg_");
  if (good) return {};
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("storage.schema '{}': use lower-case letters, digits and _, at most 40, not beginning with a "
                          "digit or pg_",
                          schema));
}

Statements::Statements(std::string_view schema) {
  const auto set = [&](Query& query, std::string_view name, std::string_view text) {
    query = {name, WithSchema(text, schema)};
  };
  set(now, "now", queries::kNow);
  set(enqueue, "enqueue", queries::kEnqueue);
  set(emit_jobs, "emit_jobs", queries::kEmitJobs);
  set(holds_lease, "holds_lease", queries::kHoldsLease);
  set(claim, "claim", queries::kClaim);
  set(claim_plan, "claim_plan", queries::kClaimPlan);
  set(report, "report", queries::kReport);
  set(advance_runs, "advance_runs", queries::kAdvanceRuns);
  set(advance_all_runs, "advance_all_runs", queries::kAdvanceAllRuns);
  set(register_worker, "register_worker", queries::kRegisterWorker);
  set(heartbeat, "heartbeat", queries::kHeartbeat);
  set(stop_worker, "stop_worker", queries::kStopWorker);
  set(release_lost, "release_lost", queries::kReleaseLost);
  set(to_rescue, "to_rescue", queries::kToRescue);
  set(rescue, "rescue", queries::kRescue);
  set(maintain, "maintain", queries::kMaintain);
  set(make_history_partitions, "make_history_partitions", queries::kMakeHistoryPartitions);
  set(cancel_jobs, "cancel_jobs", queries::kCancelJobs);
  set(retry_dead, "retry_dead", queries::kRetryDead);
  set(purge_dead, "purge_dead", queries::kPurgeDead);
  set(delete_finished, "delete_finished", queries::kDeleteFinished);
  set(delete_old_runs, "delete_old_runs", queries::kDeleteOldRuns);
  set(delete_old_workers, "delete_old_workers", queries::kDeleteOldWorkers);
  set(count_finished, "count_finished", queries::kCountFinished);
  set(count_dead, "count_dead", queries::kCountDead);
  set(count_old_runs, "count_old_runs", queries::kCountOldRuns);
  set(count_old_workers, "count_old_workers", queries::kCountOldWorkers);
  set(pause_queue, "pause_queue", queries::kPauseQueue);
  set(configure_queue, "configure_queue", queries::kConfigureQueue);
  set(wake_all, "wake_all", queries::kWakeAll);
  set(wake_idle, "wake_idle", queries::kWakeIdle);
  set(attempts, "attempts", queries::kAttempts);
  set(lane_counts, "lane_counts", queries::kLaneCounts);
  set(queues, "queues", queries::kQueues);
  set(oldest_available, "oldest_available", queries::kOldestAvailable);
  set(workers, "workers", queries::kWorkers);
  set(known_kinds, "known_kinds", queries::kKnownKinds);
  set(start_run, "start_run", queries::kStartRun);
  set(runs, "runs", queries::kRuns);
  set(cancel_run, "cancel_run", queries::kCancelRun);
  set(cancel_open_jobs, "cancel_open_jobs", queries::kCancelOpenJobs);
  set(declare_idle, "declare_idle", queries::kDeclareIdle);
  set(look, "look", queries::kLook);
  set(not_idle, "not_idle", queries::kNotIdle);
  set(lead, "lead", queries::kLead);
  set(resign, "resign", queries::kResign);
  set(lead_in, "lead_in", queries::kLeadIn);
  set(leaders, "leaders", queries::kLeaders);
}

}  // namespace millrace::storage::postgres
