// A database this process has open: the storage and the API over it. Of a file it is the owner, and other commands
// reach it through its socket; a PostgreSQL they reach themselves.
#pragma once

#include <memory>
#include <string>

#include "http/api.h"
#include "http/unix_server.h"
#include "millrace/client.h"
#include "runtime/config/config.h"
#include "runtime/fleet_watch.h"
#include "storage/open.h"

namespace millrace::cli {

// Where the owner of a database listens.
std::string SocketOf(const std::string& database);

class Owner {
 public:
  // Whether opening writes the configuration's queues; see StorageOptions::configure.
  enum class Configure { kNo, kYes };
  // Opens the database. `purpose` is what the lock tells others ("millrace worker"). A short command that holds the
  // file is waited for, up to `patience`; then kOwned. To look, a file is opened that may only be read, too: there is
  // no owner then, and none can begin. Fails as storage::OpenStorage.
  static Result<std::unique_ptr<Owner>> Open(const runtime::Config& config, const std::string& purpose,
                                             Duration patience, Configure configure = Configure::kYes,
                                             storage::Purpose for_what = storage::Purpose::kWork);
  ~Owner();
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;

  // Serves the API on the socket until destroyed. Fails as UnixServer::Start. On PostgreSQL it does nothing.
  Result<void> Serve();

  [[nodiscard]] http::ApiResponse Handle(const http::ApiRequest& request) const { return api_->Handle(request); }
  [[nodiscard]] storage::Storage& storage() const { return *storage_; }
  [[nodiscard]] http::Health& health() { return health_; }
  // For a process that stays and may be scraped: looks at the whole database from time to time, for /metrics and
  // /scale; on PostgreSQL it does not, as long as nobody can ask there (see Serve). `type` says what it is: its
  // worker's type. Call once.
  void WatchFleet(const std::string& type);
  // For a Worker of this process.
  [[nodiscard]] Client client() const;

 private:
  Owner(std::shared_ptr<storage::Storage> storage, StorageOptions options, const runtime::Config& config);

  std::shared_ptr<storage::Storage> storage_;
  StorageOptions options_;
  http::Health health_;
  runtime::FleetWatch fleet_;
  std::unique_ptr<http::Api> api_;
  std::unique_ptr<http::UnixServer> server_;  // last: it uses the others
};

}  // namespace millrace::cli
