// The JSON API over a storage: what the unix socket serves, and what the CLI calls in its own process when nobody owns
// the file. One handler, so that both do the same.
//
//   POST /api/v1/jobs                        enqueue one, or {"jobs": [..]} all or none; "any_kind": true takes unknown
//   kinds GET  /api/v1/jobs                        state queue kind tag priority run ids limit cursor GET
//   /api/v1/jobs/{id}                   with its attempts POST /api/v1/jobs/{id}/cancel|retry GET  /api/v1/queues POST
//   /api/v1/queues/{name}/pause|resume GET  /api/v1/dead                        queue kind run reason details limit
//   cursor GET  /api/v1/dead/analyze                POST /api/v1/dead/retry, /api/v1/dead/purge GET  /api/v1/workers
//   GET  /api/v1/runs                        GET /api/v1/runs/{id}, POST /api/v1/runs/{id}/cancel
//   GET  /api/v1/overview                    queues, workers and runs at one moment; run limit
//   GET  /api/v1/cleanup                     category older_than: how many would go
//   POST /api/v1/cleanup                     {"category", "before", "limit"}: deletes up to so many
//   GET  /health, /health/live, /health/ready
#pragma once

#include <set>
#include <string>

#include "http/health.h"
#include "http/router.h"
#include "storage/storage.h"

namespace millrace::http {

struct ApiOptions {
  std::string version;
  std::set<std::string> kinds;  // that this program handles, beside those the storage knows of
};

// Thread-safe once routes are added. The storage and the health must outlive it.
class Api {
 public:
  Api(storage::Storage& storage, Health& health, ApiOptions options);

  // Routes of other modules, such as search; add them before the first Handle.
  [[nodiscard]] Router& router() { return router_; }
  [[nodiscard]] ApiResponse Handle(const ApiRequest& request) const { return router_.Handle(request); }

 private:
  Router router_;
};

// By resource; each adds its routes. Used by Api's constructor.
void AddJobRoutes(Router& router, storage::Storage& storage, const ApiOptions& options);
void AddQueueRoutes(Router& router, storage::Storage& storage);
void AddDeadRoutes(Router& router, storage::Storage& storage);
void AddWorkerRoutes(Router& router, storage::Storage& storage);
void AddRunRoutes(Router& router, storage::Storage& storage);
void AddOverviewRoutes(Router& router, storage::Storage& storage);
void AddCleanupRoutes(Router& router, storage::Storage& storage);
void AddHealthRoutes(Router& router, Health& health, const std::string& version);

}  // namespace millrace::http
