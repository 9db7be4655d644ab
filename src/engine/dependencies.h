// What becomes of a job that waits for others. The PostgreSQL driver has the same rules in
// functions/45_dependencies.sql.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/job_state.h"
#include "millrace/job.h"

namespace millrace::engine {

// Whether it waits for others at all.
inline bool Waits(const NewJob& job) { return !job.after.empty() || !job.after_in_batch.empty(); }

// Adds a batch to others, as jobs of `run`. Its entries go on naming one another.
void AppendBatch(std::vector<NewJob>& all, std::span<const NewJob> batch, RunId run);

// What has happened so far to the jobs a waiting job depends on.
struct DependencyProgress {
  std::int64_t open = 0;  // not finished yet
  JobId failed = 0;       // one that ended dead or cancelled, or 0
};

// What happens now to a waiting job: kReady, kCancel, or nothing yet.
std::optional<JobEvent> Decide(DependencyPolicy policy, const DependencyProgress& progress);

// The error of a job that Decide cancelled.
std::string WhyCancelled(const DependencyProgress& progress);

}  // namespace millrace::engine
