// What may be enqueued at all, the same for every driver and for whoever wants to know before.
#pragma once

#include <span>

#include "millrace/job.h"

namespace millrace::engine {

// kInvalidArgument with the job's place in the batch and its field.
Result<void> ValidateNewJobs(std::span<const NewJob> jobs);

}  // namespace millrace::engine
