#include "storage/postgres/migrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/try.h"
#include "postgres_functions.h"
#include "postgres_migrations.h"
#include "storage/postgres/statements.h"

namespace millrace::storage::postgres {
namespace {

constexpr std::array kMigrations = {
    Migration{1, "engine", migrations::k001EngineUp, migrations::k001EngineDown, true},
    Migration{2, "documents", migrations::k002DocumentsUp, migrations::k002DocumentsDown, false},
    Migration{3, "dependencies", migrations::k003DependenciesUp, migrations::k003DependenciesDown, true},
    Migration{4, "leaders", migrations::k004LeadersUp, migrations::k004LeadersDown, true},
    Migration{5, "spares", migrations::k005SparesUp, migrations::k005SparesDown, true},
};

// In the order they must be made.
constexpr std::array kFunctions = {functions::k10Counts,      functions::k20Enqueue,      functions::k30Claim,
                                   functions::k40Report,      functions::k45Dependencies, functions::k50Runs,
                                   functions::k60Workers,     functions::k65Leaders,      functions::k70Requests,
                                   functions::k80Looks,       functions::k85Producers,    functions::k86Bulk,
                                   functions::k90Maintenance, functions::k99Roles};

Result<bool> HasTable(Connection& connection, std::string_view schema) {
  MILLRACE_ASSIGN(const ResultSet rows, connection.Run({"has_schema", "SELECT to_regclass($1::text) IS NOT NULL"},
                                                       Params().Text(fmt::format("{}.schema_migration", schema))));
  return rows.row(0).boolean(0);
}

Result<void> CheckNoneNewer(const std::vector<MigrationStatus>& status, std::string_view schema) {
  for (const MigrationStatus& one : status) {
    if (one.applied && !one.known && one.breaking) {
      return fail(
          ErrorCode::kSchemaNew,
          fmt::format("schema '{}' has migration {} ({}), which this program does not know; use a newer millrace",
                      schema, one.number, one.name));
    }
  }
  return {};
}

Result<void> InTransaction(Connection& connection, const std::function<Result<void>()>& body) {
  MILLRACE_TRY(connection.Begin());
  if (auto done = body(); !done) {
    (void)connection.Rollback();
    return done;
  }
  return connection.Commit();
}

// Migrations of one schema take turns. Lock and look are two statements, so that the look sees what the one before did.
Result<void> TakeTurn(Connection& connection, std::string_view schema) {
  MILLRACE_TRY(connection.Run({"migrate_lock", "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"},
                              Params().Text(fmt::format("{} migrate", schema))));
  return {};
}

Result<void> MakeRecord(Connection& connection, std::string_view schema) {
  return connection.Script(
      fmt::format("SET LOCAL client_min_messages = warning; CREATE SCHEMA IF NOT EXISTS {0};"
                  "CREATE TABLE IF NOT EXISTS {0}.schema_migration (number int PRIMARY KEY, name text NOT NULL,"
                  " breaking boolean NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())",
                  schema));
}

}  // namespace

std::span<const Migration> Migrations() { return kMigrations; }

Result<std::vector<MigrationStatus>> ReadMigrations(Connection& connection, std::string_view schema) {
  MILLRACE_TRY(CheckSchemaName(schema));
  std::map<int, MigrationStatus> all;
  for (const Migration& known : kMigrations)
    all[known.number] = {known.number, std::string(known.name), true, false, known.breaking};
  MILLRACE_ASSIGN(const bool there, HasTable(connection, schema));
  if (there) {
    MILLRACE_ASSIGN(
        const ResultSet rows,
        connection.Run({"read_migrations",
                        fmt::format("SELECT number, name, breaking FROM {}.schema_migration ORDER BY number", schema)},
                       Params()));
    for (int i = 0; i < rows.rows(); ++i) {
      const ResultSet::Row row = rows.row(i);
      MigrationStatus& status = all[static_cast<int>(row.integer(0))];
      status.number = static_cast<int>(row.integer(0));
      status.name = row.text(1);
      status.breaking = row.boolean(2);
      status.applied = true;
    }
  }
  std::vector<MigrationStatus> list;
  for (auto& [number, status] : all) list.push_back(std::move(status));
  return list;
}

Result<void> MigrateUp(Connection& connection, std::string_view schema, int target) {
  MILLRACE_TRY(CheckSchemaName(schema));
  return InTransaction(connection, [&]() -> Result<void> {
    MILLRACE_TRY(TakeTurn(connection, schema));
    MILLRACE_TRY(MakeRecord(connection, schema));
    MILLRACE_ASSIGN(const std::vector<MigrationStatus> status, ReadMigrations(connection, schema));
    MILLRACE_TRY(CheckNoneNewer(status, schema));
    for (const MigrationStatus& one : status) {
      if (one.applied || (target != 0 && one.number > target)) continue;
      const Migration& migration = kMigrations[static_cast<std::size_t>(one.number) - 1];
      MILLRACE_TRY(connection.Script(WithSchema(migration.up, schema)));
      MILLRACE_TRY(connection.Run(
          {"migrated",
           fmt::format("INSERT INTO {}.schema_migration (number, name, breaking) VALUES ($1, $2, $3)", schema)},
          Params().Int4(migration.number).Text(migration.name).Bool(migration.breaking)));
    }
    for (const std::string_view functions : kFunctions) MILLRACE_TRY(connection.Script(WithSchema(functions, schema)));
    return {};
  });
}

Result<void> MigrateDown(Connection& connection, std::string_view schema, int target) {
  MILLRACE_TRY(CheckSchemaName(schema));
  return InTransaction(connection, [&]() -> Result<void> {
    MILLRACE_TRY(TakeTurn(connection, schema));
    MILLRACE_ASSIGN(const std::vector<MigrationStatus> status, ReadMigrations(connection, schema));
    for (auto one = status.rbegin(); one != status.rend(); ++one) {
      if (!one->applied || one->number <= target) continue;
      if (!one->known) {
        return fail(ErrorCode::kSchemaNew,
                    fmt::format("migration {} ({}) is unknown to this program, so it cannot take it back; use the "
                                "millrace that made it",
                                one->number, one->name));
      }
      // The first one takes the schema with it, the record of migrations included.
      if (one->number > 1) {
        MILLRACE_TRY(
            connection.Run({"unmigrated", fmt::format("DELETE FROM {}.schema_migration WHERE number = $1", schema)},
                           Params().Int4(one->number)));
      }
      const Migration& migration = kMigrations[static_cast<std::size_t>(one->number) - 1];
      MILLRACE_TRY(connection.Script("SET LOCAL client_min_messages = warning;" + WithSchema(migration.down, schema)));
    }
    return {};
  });
}

Result<std::string> DumpSchema(Connection& connection, std::string_view schema) {
  constexpr std::string_view kLines = R"(
    SELECT line FROM (
      SELECT c.relname AS name, 1 AS part, a.attnum AS no,
             format('%s.%s %s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
                    CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END) AS line
      FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
      WHERE c.relnamespace = to_regnamespace($1::text) AND c.relkind IN ('r', 'p', 'v', 'c') AND a.attnum > 0
        AND NOT a.attisdropped AND c.relname !~ '^job_history_[0-9]{8}$'
      UNION ALL
      SELECT tablename, 2, 0, replace(indexdef, $1::text || '.', '') FROM pg_indexes
      WHERE schemaname = $1::text AND tablename !~ '^job_history_[0-9]{8}$'
      UNION ALL
      SELECT p.proname, 3, 0, format('function %s(%s)', p.proname, replace(pg_get_function_identity_arguments(p.oid), $1::text || '.', ''))
      FROM pg_proc AS p WHERE p.pronamespace = to_regnamespace($1::text)
    ) AS lines ORDER BY part, name COLLATE "C", no, line COLLATE "C")";
  MILLRACE_ASSIGN(const ResultSet rows, connection.Run({"dump_schema", std::string(kLines)}, Params().Text(schema)));
  std::string text;
  for (int i = 0; i < rows.rows(); ++i) text += std::string(rows.row(i).text(0)) + '\n';
  return text;
}

Result<void> ValidateSchema(Connection& connection, std::string_view schema) {
  constexpr std::string_view kFresh = "millrace_validation";
  MILLRACE_ASSIGN(const std::string found, DumpSchema(connection, schema));
  MILLRACE_TRY(connection.Begin());
  auto expected = [&]() -> Result<std::string> {
    MILLRACE_TRY(TakeTurn(connection, kFresh));
    MILLRACE_TRY(MakeRecord(connection, kFresh));
    for (const Migration& migration : kMigrations) MILLRACE_TRY(connection.Script(WithSchema(migration.up, kFresh)));
    for (const std::string_view functions : kFunctions) {
      if (functions == functions::k99Roles) continue;  // roles outlive schemas
      MILLRACE_TRY(connection.Script(WithSchema(functions, kFresh)));
    }
    return DumpSchema(connection, kFresh);
  }();
  (void)connection.Rollback();
  if (!expected) return fail(expected.error());
  if (found == *expected) return {};
  const auto differs = std::mismatch(expected->begin(), expected->end(), found.begin(), found.end()).first;
  const auto at = static_cast<std::size_t>(differs - expected->begin());
  const std::size_t before = at == 0 ? std::string::npos : expected->rfind('\n', at - 1);
  const std::size_t begin = before == std::string::npos ? 0 : before + 1;
  return fail(ErrorCode::kCorrupt, fmt::format("schema '{}' is not as its migrations make it, first at: {}", schema,
                                               expected->substr(begin, expected->find('\n', begin) - begin)));
}

Result<void> CheckSchema(const ConnectOptions& options, std::string_view schema) {
  MILLRACE_ASSIGN(const auto connection, Connection::Open(options));
  MILLRACE_ASSIGN(
      const ResultSet replica,
      connection->Run(
          {"is_replica", "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean"}));
  if (replica.row(0).boolean(0)) {
    return fail(
        ErrorCode::kReadOnly,
        fmt::format("{} is a read-only replica (or default_transaction_read_only is on there); run the same with "
                    "--db and the primary: on the replica `SELECT conninfo FROM pg_stat_wal_receiver` tells it",
                    connection->endpoint().Server()));
  }
  MILLRACE_ASSIGN(const std::vector<MigrationStatus> status, ReadMigrations(*connection, schema));
  MILLRACE_TRY(CheckNoneNewer(status, schema));
  for (const MigrationStatus& one : status) {
    if (one.applied || !one.known) continue;
    return fail(ErrorCode::kSchemaOld,
                fmt::format("schema '{}' at {} lacks migration {} ({}); run 'millrace migrate up --db {}'", schema,
                            connection->endpoint().Place(), one.number, one.name,
                            fmt::format("postgres://{}", connection->endpoint().Place())));
  }
  return {};
}

}  // namespace millrace::storage::postgres
