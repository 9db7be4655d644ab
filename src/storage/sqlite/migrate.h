// Schema versions: numbered up/down pairs of SQL files, applied in order, each in one transaction.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "storage/sqlite/database.h"

namespace millrace::storage::sqlite {

struct Migration {
  int number;
  std::string_view name;
  std::string_view up, down;
  bool breaking;  // programs that do not know it must not use the schema
};

// All this program knows, by number from 1.
std::span<const Migration> Migrations();

struct MigrationStatus {
  int number = 0;
  std::string name;
  bool known = false;  // to this program
  bool applied = false;
  bool breaking = false;
};

// Known and applied ones together, by number. Fails with kNotADatabase when the file is a SQLite database of something
// else.
Result<std::vector<MigrationStatus>> ReadMigrations(Database& database);

// Applies what is missing up to `target` (0: all). kSchemaNew when a breaking migration is applied that this program
// does not know; unknown ones that are not breaking are left alone.
Result<void> MigrateUp(Database& database, int target = 0);

// Whether the schema can be used as it is, by one who may not change it: kSchemaNew as MigrateUp, kSchemaOld when a
// migration is missing, kNotADatabase.
Result<void> CheckMigrated(Database& database);

// Takes back every migration above `target`, newest first, with the data in its tables. kSchemaNew when one of them is
// unknown.
Result<void> MigrateDown(Database& database, int target);

// The schema as text: every table and index in order of name, for comparing with what migrations should have made.
Result<std::string> DumpSchema(Database& database);

// An error that names the first table or index that is not as the migrations make it, or that is missing.
Result<void> ValidateSchema(Database& database);

}  // namespace millrace::storage::sqlite
