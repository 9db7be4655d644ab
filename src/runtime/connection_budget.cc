#include "runtime/connection_budget.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/try.h"

namespace millrace::runtime {
namespace {

constexpr std::string_view kLimits = R"(
  SELECT current_setting('max_connections')::int,
         current_setting('superuser_reserved_connections')::int +
           coalesce(current_setting('reserved_connections', true), '0')::int,
         (SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = current_user),
         (SELECT datconnlimit FROM pg_catalog.pg_database WHERE datname = current_database()))";

// -1 in the catalogue is no limit.
std::optional<int> Limit(const SqlRow& row, int column) {
  if (row.is_null(column) || row.integer(column) < 0) return std::nullopt;
  return static_cast<int>(row.integer(column));
}

}  // namespace

std::string ConnectionBudget::Text() const {
  const std::string sum =
      fmt::format("{} worker{} with up to {} connections each may open {}; there is room for {} ({})", workers,
                  workers == 1 ? "" : "s", each, needed(), allowed, why);
  if (fits()) return sum;
  return sum +
         ": lower storage.pool_size or max_overflow, run fewer workers, raise the limit, or put a PgBouncer between";
}

int ConnectionsOfProcess(const StorageOptions& options) { return options.pool_size + options.max_overflow + 1; }

ConnectionBudget BudgetOf(int workers, int each, const ServerConnections& server) {
  ConnectionBudget budget{workers, each, std::max(server.max - server.reserved, 0),
                          fmt::format("max_connections {} less {} reserved", server.max, server.reserved)};
  if (server.of_login && *server.of_login < budget.allowed) {
    budget.allowed = *server.of_login;
    budget.why = "the login's own limit";
  }
  if (server.of_database && *server.of_database < budget.allowed) {
    budget.allowed = *server.of_database;
    budget.why = "the database's own limit";
  }
  return budget;
}

Result<std::optional<ConnectionBudget>> LookAtConnections(storage::Storage& storage, const StorageOptions& options,
                                                          int more) {
  if (storage.Name() != "postgresql") return std::nullopt;
  ServerConnections server;
  MILLRACE_TRY(storage.Read([&](SqlSession& sql) {
    return sql.query(kLimits, {}, [&](const SqlRow& row) {
      server = {static_cast<int>(row.integer(0)), static_cast<int>(row.integer(1)), Limit(row, 2), Limit(row, 3)};
      return false;
    });
  }));
  MILLRACE_ASSIGN(const auto workers, storage.Workers());
  const auto present = std::count_if(workers.begin(), workers.end(), [](const storage::WorkerRow& worker) {
    return worker.state == storage::WorkerState::kActive || worker.state == storage::WorkerState::kDraining;
  });
  return BudgetOf(static_cast<int>(present) + more, ConnectionsOfProcess(options), server);
}

}  // namespace millrace::runtime
