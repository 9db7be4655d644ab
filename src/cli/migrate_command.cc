#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/try.h"
#include "cli/cli.h"
#include "cli/schema.h"

namespace millrace::cli {
namespace {

namespace json = base::json;
struct MigrateOptions {
  int target = 0;
  bool yes = false;
};

Result<std::unique_ptr<Schema>> Open(const Cli& cli, Schema::For purpose) {
  MILLRACE_ASSIGN(const runtime::Config config, cli.CheckedConfig());
  return Schema::Open(config, purpose);
}

int PrintStatus(const Cli& cli, Schema& schema) {
  const auto migrations = schema.Steps();
  if (!migrations) return PrintError(migrations.error());
  json::array list;
  Table table({"NUMBER", "NAME", "STATE"});
  table.AlignRight({0});
  for (const SchemaStep& migration : *migrations) {
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
  const auto schema = Open(cli, Schema::For::kCreating);
  if (!schema) return PrintError(schema.error());
  if (auto done = (*schema)->Up(options.target); !done) return PrintError(done.error());
  return PrintStatus(cli, **schema);
}

int Down(const Cli& cli, const MigrateOptions& options) {
  if (!options.yes) {
    return PrintError(
        fmt::format("migrate down deletes the tables of every migration above {}, with their data", options.target),
        "the same with --yes, after a copy of the database", kUsage);
  }
  const auto schema = Open(cli, Schema::For::kWriting);
  if (!schema) return PrintError(schema.error());
  if (auto done = (*schema)->Down(options.target); !done) return PrintError(done.error());
  return PrintStatus(cli, **schema);
}

int Status(const Cli& cli) {
  const auto schema = Open(cli, Schema::For::kReading);
  if (!schema) return PrintError(schema.error());
  return PrintStatus(cli, **schema);
}

int Validate(const Cli& cli) {
  const auto schema = Open(cli, Schema::For::kReading);
  if (!schema) return PrintError(schema.error());
  const auto valid = (*schema)->Validate();
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
  CLI::App* group =
      AddGroup(app, "migrate",
               "The database's schema (a worker brings a file up to date by itself; a PostgreSQL is migrated here)");
  auto options = std::make_shared<MigrateOptions>();
  CLI::App* up = AddCommand(*group, cli, "up", "Apply what is missing",
                            "  millrace migrate up --db ./millrace.db\n"
                            "  millrace migrate up --db postgres://owner@db.example/jobs\n",
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
