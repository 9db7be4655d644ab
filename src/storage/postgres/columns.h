// Jobs as whole columns: what the schema's functions take.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/postgres/params.h"
#include "storage/storage.h"

namespace millrace::storage::postgres {

// The columns of new jobs, in the order insert_jobs, report and emit_jobs take them: kinds, argss, queues, priorities,
// run_ats, delays, max_attemptss, max_crashess, timeouts, partition_keys, unique_keys, then runs if `with_runs`, then
// tagss. Jobs without a time of their own pass NULL for both run_ats and delays.
void AddJobs(Params& params, std::span<const NewJob* const> jobs, bool with_runs);

// Who of them waits for whom, as insert_jobs, report and emit_jobs take it (see functions/45_dependencies.sql): naming,
// needs, policies; three NULLs when nobody does. firsts: of each job, the place among `jobs` of the first of its batch;
// empty: they are one batch.
void AddDependencies(Params& params, std::span<const NewJob* const> jobs, std::span<const std::size_t> firsts = {});

// The queue and priority filters of a claim: NULL queues are all.
void AddFilter(Params& params, const ClaimRequest& request);

// "1 2 3", as array_to_string writes.
std::vector<std::int64_t> ParseIds(std::string_view text);

}  // namespace millrace::storage::postgres
