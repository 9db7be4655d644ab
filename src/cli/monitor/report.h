// The monitor's figures as JSON.
#pragma once

#include "cli/monitor/source.h"

namespace millrace::cli::monitor {

// What /api/v1/overview said, with what follows from it: ages, who is silent, progress, throughput, alerts. `look` may
// be null while there was none; then, and when view.trouble says so, "stale" is true.
base::json::object ReportJson(const View& view, const Look* look);

}  // namespace millrace::cli::monitor
