// The driver's statements: the files in queries/ with the schema's name in place.
#pragma once

#include <string>
#include <string_view>

#include "storage/postgres/connection.h"

namespace millrace::storage::postgres {

// `text` with @schema@ replaced.
std::string WithSchema(std::string_view text, std::string_view schema);

// Whether the name can stand in SQL as it is: a lower-case letter or _, then letters, digits, _; at most 40 bytes.
Result<void> CheckSchemaName(std::string_view schema);

struct Statements {
  explicit Statements(std::string_view schema);

  Query now, enqueue, emit_jobs, holds_lease, claim, claim_plan, report, advance_runs, advance_all_runs;
  Query register_worker, heartbeat, stop_worker, release_lost, to_rescue, rescue, maintain, make_history_partitions;
  Query cancel_jobs, retry_dead, purge_dead, delete_finished, delete_old_runs, delete_old_workers;
  Query count_finished, count_dead, count_old_runs, count_old_workers;
  Query pause_queue, configure_queue, wake_all, wake_idle;
  Query attempts, lane_counts, queues, oldest_available, workers, known_kinds;
  Query start_run, runs, cancel_run, cancel_open_jobs;
  Query declare_idle, look, not_idle, lead, resign, lead_in, leaders;
};

}  // namespace millrace::storage::postgres
