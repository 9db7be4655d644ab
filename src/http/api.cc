#include "http/api.h"

namespace millrace::http {

Api::Api(storage::Storage& storage, Health& health, ApiOptions options) {
  AddJobRoutes(router_, storage, options);
  AddQueueRoutes(router_, storage);
  AddDeadRoutes(router_, storage);
  AddWorkerRoutes(router_, storage);
  AddRunRoutes(router_, storage);
  AddOverviewRoutes(router_, storage);
  AddCleanupRoutes(router_, storage);
  AddHealthRoutes(router_, health, options.version);
}

}  // namespace millrace::http
