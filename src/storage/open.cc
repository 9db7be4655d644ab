#include "storage/open.h"

#include <fmt/format.h>

#include "engine/run_identity.h"
#include "storage/sqlite/driver.h"

namespace millrace::storage {

Result<std::unique_ptr<Storage>> OpenStorage(const StorageOptions& options) {
  StorageOptions local = options;
  if (local.url.starts_with("sqlite:")) local.url = local.url.substr(7);
  if (local.url.starts_with("jdbc:")) local.url = local.url.substr(5);
  if (local.url.starts_with("postgres://") || local.url.starts_with("postgresql://")) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("{}: PostgreSQL storage is not part of this build; use a SQLite path such as ./millrace.db",
                            engine::WithoutCredentials(local.url)));
  }
  if (local.url.find("://") != std::string::npos) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: unknown kind of database; use a SQLite path such as ./millrace.db",
                            engine::WithoutCredentials(local.url)));
  }
  if (local.url.empty()) return fail(ErrorCode::kInvalidArgument, "the database path is empty; use --db PATH");
  return sqlite::OpenSqlite(local);
}

}  // namespace millrace::storage
