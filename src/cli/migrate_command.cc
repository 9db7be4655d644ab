#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>

#include "base/try.h"
#include "cli/cli.h"
#include "storage/sqlite/migrate.h"
#include "storage/sqlite/owner_lock.h"

namespace millrace::cli {
namespace {

namespace json = base::json;
namespace sqlite = storage::sqlite;

struct MigrateOptions {
  int target = 0;
  bool yes = false;
};

// The file as it is; owned, unless it is only read.
struct OpenFile {
  std::optional<sqlite::OwnerLock> lock;
  std::unique_ptr<sqlite::Database> database;
};

enum class For { kReading, kWriting, kCreating };

Result<OpenFile> Open(const Cli& cli, For purpose) {
  MILLRACE_ASSIGN(const runtime::Config config, cli.CheckedConfig());
  std::error_code ignored;
  if (purpose != For::kCreating && !std::filesystem::exists(config.database(), ignored)) {
    return fail(ErrorCode::kNotFound, fmt::format("there is no database {}", config.database()));
  }
  OpenFile file;
  auto lock = sqlite::OwnerLock::Acquire(config.database(), "millrace migrate");
  // A schema in use can be read beside its owner.
  const bool beside = !lock && lock.error().code == ErrorCode::kOwned && purpose == For::kReading;
  if (!lock && !beside) return fail(lock.error());
  if (lock) file.lock = std::move(*lock);
  const auto mode = beside ? sqlite::Database::Mode::kReadOnly : sqlite::Database::Mode::kReadWriteCreate;
  MILLRACE_ASSIGN(file.database, sqlite::Database::Open(config.database(), mode));
  return file;
}

int PrintStatus(const Cli& cli, sqlite::Database& database) {
  const auto migrations = sqlite::ReadMigrations(database);
  if (!migrations) return PrintError(migrations.error());
  json::array list;
  Table table({"NUMBER", "NAME", "STATE"});
  table.AlignRight({0});
  for (const sqlite::MigrationStatus& migration : *migrations) {
    const std::string state = !migration.known    ? "applied by a newer program"
                              : migration.applied ? "applied"
                                                  : "missing";
    list.push_back({{"number", migration.number},
                    {"name", migration.name},
                    {"known", migration.known},
                    {"applied", migration.applied},
                    {"breaking", migration.breaking}});
    table.Add({std::to_string(migration.number), migration.name, state});
  }
  if (cli.json) {
    PrintJson(json::object{{"migrations", std::move(list)}});
  } else {
    table.Print();
  }
  return kOk;
}

int Up(const Cli& cli, const MigrateOptions& options) {
  const auto file = Open(cli, For::kCreating);
  if (!file) return PrintError(file.error());
  if (auto done = sqlite::MigrateUp(*file->database, options.target); !done) return PrintError(done.error());
  return PrintStatus(cli, *file->database);
}

int Down(const Cli& cli, const MigrateOptions& options) {
  if (!options.yes) {
    return PrintError(
        fmt::format("migrate down deletes the tables of every migration above {}, with their data", options.target),
        "the same with --yes, after a copy of the file", kUsage);
  }
  const auto file = Open(cli, For::kWriting);
  if (!file) return PrintError(file.error());
  if (auto done = sqlite::MigrateDown(*file->database, options.target); !done) return PrintError(done.error());
  return PrintStatus(cli, *file->database);
}

int Status(const Cli& cli) {
  const auto file = Open(cli, For::kReading);
  if (!file) return PrintError(file.error());
  return PrintStatus(cli, *file->database);
}

int Validate(const Cli& cli) {
  const auto file = Open(cli, For::kReading);
  if (!file) return PrintError(file.error());
  const auto valid = sqlite::ValidateSchema(*file->database);
  if (cli.json) {
    PrintJson(json::object{{"valid", valid.has_value()}, {"error", valid ? "" : valid.error().message}});
    return valid ? kOk : kFailed;
  }
  if (!valid) return PrintError(valid.error().message, "millrace migrate up, if migrations are missing");
  Print("the schema is as the migrations make it\n");
  return kOk;
}

}  // namespace

void AddMigrateCommand(CLI::App& app, Cli& cli) {
  CLI::App* group = AddGroup(app, "migrate", "The database's schema (workers bring it up to date by themselves)");
  auto options = std::make_shared<MigrateOptions>();
  CLI::App* up = AddCommand(*group, cli, "up", "Apply what is missing", "  millrace migrate up --db ./millrace.db\n",
                            Json::kYes, [&cli, options] { return Up(cli, *options); });
  up->add_option("--to", options->target, "Up to this number (default: all)")->check(CLI::NonNegativeNumber);
  CLI::App* down =
      AddCommand(*group, cli, "down", "Take back every migration above a number, with the data in its tables",
                 "  millrace migrate down 1 --yes\n", Json::kYes, [&cli, options] { return Down(cli, *options); });
  down->add_option("NUMBER", options->target, "The number to go back to; 0 leaves nothing")
      ->required()
      ->check(CLI::NonNegativeNumber);
  down->add_flag("--yes", options->yes, "Really delete");
  AddCommand(*group, cli, "status", "List migrations", "  millrace migrate status\n", Json::kYes,
             [&cli] { return Status(cli); });
  AddCommand(*group, cli, "validate", "Compare the schema with what the migrations make",
             "  millrace migrate validate\n", Json::kYes, [&cli] { return Validate(cli); });
}

}  // namespace millrace::cli
