// Rescue: taking jobs back from workers that are gone, and ending attempts that ran too long. The schema's functions
// say which jobs those are and check again when they take them; the engine's retry policy says what becomes of each.
#include "engine/retry_policy.h"
#include "storage/postgres/driver_impl.h"

namespace millrace::storage::postgres {

struct Driver::Verdicts {
  std::vector<bool> silent;
  std::vector<std::int64_t> ids;
  std::vector<std::int32_t> attempts;
  std::vector<std::int64_t> tokens;
  std::vector<std::int16_t> states;
  std::vector<std::int64_t> delays;
  std::vector<std::int32_t> uncounted;
  std::vector<std::int32_t> crashed;
  std::vector<std::optional<std::string_view>> outcomes;
  std::vector<std::optional<std::string_view>> errors;
  std::vector<Rescued> rescued;
  std::vector<RunId> runs;

  void Add(JobState state, Duration delay, bool crash) {
    states.push_back(static_cast<std::int16_t>(state));
    delays.push_back(delay.count());
    uncounted.push_back(crash ? 1 : 0);
    crashed.push_back(crash ? 1 : 0);
    outcomes.emplace_back(crash ? "crashed" : "timeout");
    errors.emplace_back(crash ? "worker lost" : "timeout");
  }
};

// Rows of to_rescue: silent, id, attempt, token, worker, max_attempts, crashes, max_crashes, priority, queue,
// cancel_requested, run.
Driver::Verdicts Driver::JudgeRescued(const ResultSet& rows) {
  Verdicts verdicts;
  const std::lock_guard lock(retries_mutex_);
  for (int i = 0; i < rows.rows(); ++i) {
    const ResultSet::Row row = rows.row(i);
    const bool silent = row.boolean(0);
    const auto priority = static_cast<Priority>(row.integer(8));
    verdicts.silent.push_back(silent);
    verdicts.ids.push_back(row.integer(1));
    verdicts.attempts.push_back(static_cast<std::int32_t>(row.integer(2)));
    verdicts.tokens.push_back(row.integer(3));
    JobState state = JobState::kDead;
    Duration delay(-1);  // run_at stays
    if (silent) {
      const std::int64_t most = row.integer(7) > 0 ? row.integer(7) : options_.max_crashes;
      if (row.integer(6) + 1 <= most || row.boolean(10)) state = JobState::kAvailable;
    } else {
      engine::RetrySources sources;
      sources.job_max_attempts = static_cast<int>(row.integer(5));
      if (const auto found = queue_retries_.find(std::string(row.text(9))); found != queue_retries_.end())
        sources.queue = found->second;
      sources.everywhere_max_attempts = engine::EverywhereMaxAttempts(options_, priority);
      const RetryPolicy policy = engine::EffectiveRetryPolicy(sources, priority);
      if (row.integer(2) < policy.max_attempts || row.boolean(10)) {
        state = JobState::kRetryable;
        delay = engine::RetryDelay(policy, static_cast<int>(row.integer(2)), 0);
      }
    }
    verdicts.Add(state, delay, silent);
    if (state == JobState::kRetryable && delay.count() <= 0) state = JobState::kAvailable;
    if (row.boolean(10)) state = JobState::kCancelled;
    verdicts.rescued.push_back({row.integer(1), std::string(row.text(4)), state, !silent});
    if (row.integer(11) != 0) verdicts.runs.push_back(row.integer(11));
  }
  return verdicts;
}

Result<std::vector<Rescued>> Driver::Rescue(Duration stale_threshold, Duration grace, const Leadership& as) {
  MILLRACE_ASSIGN(const ResultSet rows,
                  Run(statements_.to_rescue, Params().Int(stale_threshold.count()).Int(grace.count())));
  const Verdicts verdicts = JudgeRescued(rows);
  Params params;
  params.Int(stale_threshold.count()).Bools(verdicts.silent).Ints(verdicts.ids).Int4s(verdicts.attempts);
  params.Ints(verdicts.tokens).Int2s(verdicts.states).Ints(verdicts.delays).Int4s(verdicts.uncounted);
  params.Int4s(verdicts.crashed).NullableTexts(verdicts.outcomes).NullableTexts(verdicts.errors);
  MILLRACE_ASSIGN(const ResultSet taken, RunAs(as, statements_.rescue, params));
  const std::string_view flags = taken.row(0).text(0);
  std::vector<Rescued> rescued;
  for (std::size_t i = 0; i < verdicts.rescued.size() && i < flags.size(); ++i) {
    if (flags[i] == '1') rescued.push_back(verdicts.rescued[i]);
  }
  AdvanceRuns(verdicts.runs);
  MILLRACE_TRY(RunAs(as, statements_.maintain, Params()));
  return rescued;
}

}  // namespace millrace::storage::postgres
