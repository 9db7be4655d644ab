// What may be enqueued at all, the same for every driver and for whoever wants to know before.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "millrace/job.h"

namespace millrace::engine {

// No job waits or runs longer than this, and no time lies further from 1970: sums of times must not overflow.
inline constexpr Duration kLongestDelay = std::chrono::hours(24 * 365 * 100);
inline constexpr Time kLatestTime{std::chrono::hours(24 * 365 * 500)};

// kInvalidArgument with the job's place in the batch and its field.
Result<void> ValidateNewJobs(std::span<const NewJob> jobs);

// As that; and a run's own stages, which start when their turn comes, wait for no other jobs.
Result<void> ValidateStages(std::span<const NewJob> jobs);

// Whether a job may have this result: empty, or one JSON value of at most 16 MiB. kInvalidArgument says what is wrong.
Result<void> ValidateResult(std::string_view result);

// The text of an error as every database takes it: UTF-8 without zero bytes (U+FFFD stands for what is none), and cut
// after 64 KiB.
std::string CleanErrorText(std::string text);

}  // namespace millrace::engine
