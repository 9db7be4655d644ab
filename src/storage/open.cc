#include "storage/open.h"

#include <fmt/format.h>

#include "base/try.h"
#include "engine/run_identity.h"
#include "storage/metered_storage.h"
#include "storage/postgres/driver.h"
#include "storage/postgres/url.h"
#include "storage/sqlite/driver.h"

namespace millrace::storage {

bool NamesPostgres(std::string_view url) { return postgres::IsPostgresUrl(url); }

namespace {

Result<std::unique_ptr<Storage>> OpenDriver(const StorageOptions& options, Purpose purpose) {
  if (NamesPostgres(options.url)) return postgres::OpenPostgres(options);
  StorageOptions local = options;
  if (local.url.starts_with("sqlite:")) local.url = local.url.substr(7);
  if (local.url.find("://") != std::string::npos) {
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: unknown kind of database; use a SQLite path such as ./millrace.db or a postgres:// URL",
                    engine::WithoutCredentials(local.url)));
  }
  if (local.url.empty()) return fail(ErrorCode::kInvalidArgument, "the database path is empty; use --db PATH");
  return purpose == Purpose::kLook ? sqlite::OpenSqliteToLook(local) : sqlite::OpenSqlite(local);
}

}  // namespace

Result<std::unique_ptr<Storage>> OpenStorage(const StorageOptions& options, Purpose purpose) {
  MILLRACE_ASSIGN(auto driver, OpenDriver(options, purpose));
  std::set<std::string> waiting;
  for (const QueueOptions& queue : options.queues) {
    if (queue.overflow == Overflow::kBlock) waiting.insert(queue.name);
  }
  return std::make_unique<MeteredStorage>(std::move(driver), base::Metrics::Process(), std::move(waiting));
}

}  // namespace millrace::storage
