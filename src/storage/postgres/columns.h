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

// The queue and priority filters of a claim: NULL queues are all.
void AddFilter(Params& params, const ClaimRequest& request);

// Texts that people read, which PostgreSQL could refuse: NUL bytes and what is not UTF-8 become U+FFFD.
std::string CleanText(std::string_view text);

// "[\"a\",\"b\"]", or nothing when empty; and back.
std::string TagsToJson(const std::vector<std::string>& tags);
std::vector<std::string> TagsFromJson(std::string_view text);

// "1 2 3", as array_to_string writes.
std::vector<std::int64_t> ParseIds(std::string_view text);

}  // namespace millrace::storage::postgres
