// Schema versions: numbered up/down pairs of SQL files, and the schema's functions, which belong to the newest of them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/postgres/connection.h"

namespace millrace::storage::postgres {

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

// Known and applied ones together, by number. A schema that is not there has none applied.
Result<std::vector<MigrationStatus>> ReadMigrations(Connection& connection, std::string_view schema);

// Makes the schema if need be, applies what is missing up to `target` (0: all), installs this program's functions, and
// creates the roles SCHEMA_worker, SCHEMA_producer and SCHEMA_reader (left out, with a warning in the server's log,
// when the user may not create roles). One transaction; two at once take turns. kSchemaNew when a breaking migration is
// applied that this program does not know.
Result<void> MigrateUp(Connection& connection, std::string_view schema, int target = 0);

// Takes back every migration above `target`, newest first, with the data in its tables.
Result<void> MigrateDown(Connection& connection, std::string_view schema, int target);

// The schema as text: columns, indexes, constraints, and functions by signature, in order of name.
Result<std::string> DumpSchema(Connection& connection, std::string_view schema);

// An error that names the first line of DumpSchema that is not as the migrations make it, or is missing. Makes a schema
// of its own to compare with, in a transaction that it rolls back: kPermission when the user may not.
Result<void> ValidateSchema(Connection& connection, std::string_view schema);

// Whether this program can work with the schema: kSchemaOld or kSchemaNew say what to do; kReadOnly on a replica.
Result<void> CheckSchema(const ConnectOptions& options, std::string_view schema);

}  // namespace millrace::storage::postgres
