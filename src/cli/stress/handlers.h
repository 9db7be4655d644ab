// The worker processes of a stress run: the program itself, started again.
#pragma once

#include "cli/stress/ledger.h"

namespace millrace::cli::stress {

// Works the run's queue until SIGTERM; in SQLite, whose file has one process, it also orders the jobs, for `load`.
// Tells its parent on standard output, a line each: "refused JOB" (a write came too late and the database refused it),
// "broken NUMBER" (the order's unique key did not hold), and in SQLite "standing FINISHED OPEN ALL_ORDERED". Returns
// the exit status.
int WorkHere(const Options& options, Duration load);

}  // namespace millrace::cli::stress
