// What scrapers and autoscalers ask: /metrics and /q/metrics in Prometheus's text format, /scale as JSON for KEDA. None
// of them queries the database.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "http/router.h"
#include "runtime/fleet_watch.h"
#include "storage/storage.h"

namespace millrace::http {

// The queues that each type of worker serves. A type that is not named serves all.
using QueuesOfTypes = std::map<std::string, std::vector<std::string>>;

// GET /metrics, GET /q/metrics and GET /scale[?type=T][&jobs_per_replica=N]. While no look at the fleet is there,
// /metrics leaves out what is of the whole database, and /scale is a 503. `metrics`, `storage` and `fleet` must outlive
// the router.
void AddMetricsRoutes(Router& router, base::Metrics& metrics, storage::Storage& storage, runtime::FleetWatch& fleet,
                      QueuesOfTypes queues_of_types);

// The gauges of the whole database, and of this process's connections to it.
std::vector<base::GaugeSample> FleetSamples(const runtime::FleetLook& look, base::Metrics& metrics);
std::vector<base::GaugeSample> PoolSamples(const storage::PoolStats& pool);

// The sizes of /health/detailed's components.database: size, min_size, max_size, idle_connections, active_connections,
// waiting; and recycled, timeouts. Without those on SQLite.
base::json::object PoolJson(storage::Storage& storage);

}  // namespace millrace::http
