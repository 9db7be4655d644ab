#include "storage/sqlite/migrate.h"

#include <fmt/format.h>

#include <array>
#include <map>

#include "base/clock.h"
#include "base/try.h"
#include "sqlite_migrations.h"

namespace millrace::storage::sqlite {
namespace {

// "MILR": says that the file is a Millrace database.
constexpr std::int64_t kApplicationId = 0x4D494C52;

constexpr std::array kMigrations = {
    Migration{1, "engine", migrations::k001EngineUp, migrations::k001EngineDown, true},
    Migration{2, "documents", migrations::k002DocumentsUp, migrations::k002DocumentsDown, true},
    Migration{3, "dependencies", migrations::k003DependenciesUp, migrations::k003DependenciesDown, true},
    Migration{4, "leaders", migrations::k004LeadersUp, migrations::k004LeadersDown, true},
};

Result<std::int64_t> ReadNumber(Database& database, std::string_view sql) {
  MILLRACE_ASSIGN(Statement * statement, database.Prepare(sql));
  const Resetting resetting(*statement);
  MILLRACE_ASSIGN(const bool row, statement->Step());
  return row ? statement->integer(0) : 0;
}

Result<void> InTransaction(Database& database, const std::function<Result<void>()>& body) {
  MILLRACE_TRY(database.ExecuteScript("BEGIN IMMEDIATE"));
  auto done = body();
  if (done) done = database.ExecuteScript("COMMIT");
  if (!done) (void)sqlite3_exec(database.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  return done;
}

// Marks an empty file as ours; refuses one that belongs to something else. In one transaction, and what a process
// killed in the middle of an earlier version of it left (the mark without the table) is completed.
Result<void> Claim(Database& database) {
  MILLRACE_ASSIGN(const std::int64_t id, ReadNumber(database, "PRAGMA application_id"));
  MILLRACE_ASSIGN(const std::int64_t tables, ReadNumber(database, "SELECT count(*) FROM sqlite_schema"));
  if (id == kApplicationId && tables != 0) return {};
  if (id != kApplicationId && (id != 0 || tables != 0)) {
    return fail(ErrorCode::kNotADatabase,
                fmt::format("{}: a SQLite file, but not a Millrace database; choose another --db path",
                            sqlite3_db_filename(database.handle(), "main")));
  }
  return InTransaction(database, [&] {
    return database.ExecuteScript(fmt::format(
        "CREATE TABLE schema_migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL, breaking INTEGER NOT NULL,"
        " applied_at INTEGER NOT NULL) STRICT; PRAGMA application_id={};",
        kApplicationId));
  });
}

Result<void> Apply(Database& database, const Migration& migration) {
  return InTransaction(database, [&]() -> Result<void> {
    MILLRACE_TRY(database.ExecuteScript(std::string(migration.up)));
    const std::array<SqlValue, 4> values = {std::int64_t{migration.number}, migration.name,
                                            std::int64_t{migration.breaking},
                                            base::Clock::System().Now().time_since_epoch().count()};
    return database.execute("INSERT INTO schema_migration (number, name, breaking, applied_at) VALUES (?, ?, ?, ?)",
                            values);
  });
}

Result<void> TakeBack(Database& database, const Migration& migration) {
  return InTransaction(database, [&]() -> Result<void> {
    MILLRACE_TRY(database.ExecuteScript(std::string(migration.down)));
    const std::array<SqlValue, 1> values = {std::int64_t{migration.number}};
    return database.execute("DELETE FROM schema_migration WHERE number = ?", values);
  });
}

Result<void> RefuseNewer(Database& database, const std::vector<MigrationStatus>& status) {
  for (const MigrationStatus& one : status) {
    if (one.applied && !one.known && one.breaking) {
      return fail(
          ErrorCode::kSchemaNew,
          fmt::format("{}: its schema has migration {} ({}), which this program does not know; use a newer millrace",
                      sqlite3_db_filename(database.handle(), "main"), one.number, one.name));
    }
  }
  return {};
}

}  // namespace

std::span<const Migration> Migrations() { return kMigrations; }

Result<std::vector<MigrationStatus>> ReadMigrations(Database& database) {
  MILLRACE_ASSIGN(const std::int64_t id, ReadNumber(database, "PRAGMA application_id"));
  MILLRACE_ASSIGN(const std::int64_t tables, ReadNumber(database, "SELECT count(*) FROM sqlite_schema"));
  if (id != kApplicationId && tables != 0) {
    return fail(ErrorCode::kNotADatabase,
                fmt::format("{}: a SQLite file, but not a Millrace database; choose another --db path",
                            sqlite3_db_filename(database.handle(), "main")));
  }
  std::map<int, MigrationStatus> all;
  for (const Migration& known : kMigrations) {
    all[known.number] = {known.number, std::string(known.name), true, false, known.breaking};
  }
  if (tables != 0) {
    MILLRACE_TRY(database.query("SELECT number, name, breaking FROM schema_migration ORDER BY number", {},
                                [&](const SqlRow& row) {
                                  MigrationStatus& status = all[static_cast<int>(row.integer(0))];
                                  status.number = static_cast<int>(row.integer(0));
                                  status.name = std::string(row.text(1));
                                  status.breaking = row.integer(2) != 0;
                                  status.applied = true;
                                  return true;
                                }));
  }
  std::vector<MigrationStatus> list;
  for (auto& [number, status] : all) list.push_back(std::move(status));
  return list;
}

Result<void> MigrateUp(Database& database, int target) {
  MILLRACE_TRY(Claim(database));
  MILLRACE_ASSIGN(const std::vector<MigrationStatus> status, ReadMigrations(database));
  MILLRACE_TRY(RefuseNewer(database, status));
  for (const MigrationStatus& one : status) {
    if (one.applied || (target != 0 && one.number > target)) continue;
    MILLRACE_TRY(Apply(database, kMigrations[static_cast<std::size_t>(one.number) - 1]));
  }
  return {};
}

Result<void> CheckMigrated(Database& database) {
  MILLRACE_ASSIGN(const std::vector<MigrationStatus> status, ReadMigrations(database));
  MILLRACE_TRY(RefuseNewer(database, status));
  for (const MigrationStatus& one : status) {
    if (one.applied) continue;
    return fail(ErrorCode::kSchemaOld,
                fmt::format("{}: its schema lacks migration {} ({}), and it cannot be written to add it",
                            sqlite3_db_filename(database.handle(), "main"), one.number, one.name));
  }
  return {};
}

Result<void> MigrateDown(Database& database, int target) {
  MILLRACE_ASSIGN(const std::vector<MigrationStatus> status, ReadMigrations(database));
  for (auto one = status.rbegin(); one != status.rend(); ++one) {
    if (!one->applied || one->number <= target) continue;
    if (!one->known) {
      return fail(ErrorCode::kSchemaNew,
                  fmt::format("migration {} ({}) is unknown to this program, so it cannot take it back; use "
                              "the millrace that made it",
                              one->number, one->name));
    }
    MILLRACE_TRY(TakeBack(database, kMigrations[static_cast<std::size_t>(one->number) - 1]));
  }
  return {};
}

Result<std::string> DumpSchema(Database& database) {
  std::string text;
  // Shadow tables of full-text indexes are SQLite's own business.
  MILLRACE_TRY(
      database.query("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
                     "AND name NOT GLOB "
                     "'*_fts_*' ORDER BY name",
                     {}, [&](const SqlRow& row) {
                       text += std::string(row.text(0)) + ";\n";
                       return true;
                     }));
  return text;
}

Result<void> ValidateSchema(Database& database) {
  MILLRACE_ASSIGN(const std::string found, DumpSchema(database));
  MILLRACE_ASSIGN(auto fresh, Database::Open(":memory:", Database::Mode::kReadWriteCreate));
  MILLRACE_TRY(MigrateUp(*fresh));
  MILLRACE_ASSIGN(const std::string expected, DumpSchema(*fresh));
  if (found == expected) return {};
  const auto differs = std::mismatch(expected.begin(), expected.end(), found.begin(), found.end()).first;
  const auto at = static_cast<std::size_t>(differs - expected.begin());
  const std::size_t begin =
      at == 0 ? 0 : expected.rfind(";\n", at - 1) + (expected.rfind(";\n", at - 1) == std::string::npos ? 1 : 2);
  return fail(ErrorCode::kCorrupt,
              fmt::format("the schema is not as its migrations make it, first at: {}; compare with 'millrace migrate "
                          "status'",
                          expected.substr(begin, 120)));
}

}  // namespace millrace::storage::sqlite
