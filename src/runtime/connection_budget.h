// Whether the connections that a fleet may open fit into its PostgreSQL.
#pragma once

#include <optional>
#include <string>

#include "millrace/options.h"
#include "storage/storage.h"

namespace millrace::runtime {

// What a server lets its users have.
struct ServerConnections {
  int max = 0;                     // max_connections
  int reserved = 0;                // of them, for superusers and reserved roles
  std::optional<int> of_login;     // the login's own limit, if it has one
  std::optional<int> of_database;  // the database's
};

struct ConnectionBudget {
  int workers = 0;
  int each = 0;     // the most that one of them opens
  int allowed = 0;  // the least of what the server, the login and the database allow
  std::string why;  // where `allowed` comes from

  [[nodiscard]] int needed() const { return workers * each; }
  [[nodiscard]] bool fits() const { return needed() <= allowed; }
  // In a sentence, with what to do when it does not fit.
  [[nodiscard]] std::string Text() const;
  bool operator==(const ConnectionBudget&) const = default;
};

// The most connections that a process with these options opens: its pool in full, and one for notifications.
[[nodiscard]] int ConnectionsOfProcess(const StorageOptions& options);

[[nodiscard]] ConnectionBudget BudgetOf(int workers, int each, const ServerConnections& server);

// The budget of the workers that are active or draining now and `more` to come, each taken to be set up as `options`
// says. Asks the database: fails as its look does. Nothing on SQLite, where there is no such limit. Behind a pooler the
// server's limit is not what counts, and the answer errs on the careful side.
Result<std::optional<ConnectionBudget>> LookAtConnections(storage::Storage& storage, const StorageOptions& options,
                                                          int more);

}  // namespace millrace::runtime
