#include "cli/cli.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <set>

#include "base/log.h"
#include "base/yaml.h"

namespace millrace::cli {
namespace {

constexpr const char* kAbout =
    "Millrace runs background jobs and pipelines.\n\n"
    "Exit status: 0 ok, 1 failed, 2 wrong usage, 3 partly done (dead letters, or work given back).\n"
    "Precedence of settings: flag > environment > file > default; `millrace config show` says where each came from.";

constexpr const char* kExamples =
    "Examples:\n"
    "  millrace run documents ~/papers          ingest a folder into ./millrace.db\n"
    "  millrace search \"exact phrase\"           find it, and where it stands\n"
    "  millrace deadletter analyze              what went wrong, and what to do\n"
    "  millrace COMMAND --help                  options and examples of a command\n";

void AddCommonOptions(CLI::App& app, Cli& cli) {
  app.add_option("--db", cli.db, "Database: a path (default ./millrace.db), or postgres://user@host:port/database")
      ->type_name("PATH-or-URL")
      ->group("Common options");
  app.add_option("--config", cli.config, "Configuration file (default ./millrace.yaml if it exists)")
      ->type_name("FILE")
      ->group("Common options");
}

// The word on the command line that names no command, and the closest one that exists.
std::string UnknownCommand(const CLI::App& app, int argc, char** argv) {
  const CLI::App* at = &app;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.starts_with('-')) return "";
    const auto subcommands = at->get_subcommands([](const CLI::App*) { return true; });
    if (subcommands.empty()) return "";
    std::set<std::string, std::less<>> names;
    const CLI::App* next = nullptr;
    for (const CLI::App* sub : subcommands) {
      names.insert(sub->get_name());
      if (sub->get_name() == word) next = sub;
    }
    if (next == nullptr) {
      const std::string_view closest = base::ClosestWord(word, names);
      const std::string hint = closest.empty() ? fmt::format("known: {}", fmt::join(names, ", "))
                                               : fmt::format("did you mean '{}'?", closest);
      return fmt::format("unknown command '{}'; {}", word, hint);
    }
    at = next;
  }
  return "";
}

// The command the parser had come to, for "try: millrace jobs list --help".
std::string CommandPath(const CLI::App& app) {
  std::string path = "millrace";
  const CLI::App* at = &app;
  while (true) {
    const auto chosen = at->get_subcommands();
    if (chosen.empty()) return path;
    at = chosen.front();
    path += " " + at->get_name();
  }
}

int OnParseError(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return app.exit(error);
  if (argc <= 1) {
    fmt::print(stderr, "{}", app.help());
    return kUsage;
  }
  const std::string unknown = UnknownCommand(app, argc, argv);
  return PrintError(WithoutPasswords(unknown.empty() ? error.what() : unknown), CommandPath(app) + " --help", kUsage);
}

// An empty value is a variable of a script that nobody set: taken for "not given" it would choose everything.
void RefuseEmptyValues(CLI::App& app) {
  for (CLI::Option* option : app.get_options({})) {
    const bool takes_value = option->get_items_expected_max() > 0;
    if (!takes_value || option->check_lname("db")) continue;  // an empty --db is told with the setting it stands for
    option->check([](const std::string& value) { return std::string(value.empty() ? "must not be empty" : ""); });
  }
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) RefuseEmptyValues(*command);
}

// All users of a machine see the arguments of its processes.
void HidePasswords(int argc, char** argv) {
  for (int i = 0; i < argc; ++i) {
    const std::string hidden = WithoutPasswords(argv[i]);
    std::copy(hidden.begin(), hidden.end(), argv[i]);
  }
}

}  // namespace

runtime::Config Cli::LoadConfig() const {
  runtime::ConfigInputs inputs;
  inputs.environment = runtime::ProcessEnvironment();
  if (config) inputs.file = *config;
  inputs.flags = flags;
  if (db) inputs.flags.push_back({"storage.url", "--db", *db});
  return runtime::Config::Load(inputs);
}

Result<runtime::Config> Cli::CheckedConfig() const {
  runtime::Config loaded = LoadConfig();
  if (auto checked = loaded.Check(); !checked) return fail(checked.error());
  return loaded;
}

CLI::App* AddCommand(CLI::App& parent, Cli& cli, const std::string& name, const std::string& description,
                     const std::string& examples, Json json, std::function<int()> run) {
  CLI::App* command = parent.add_subcommand(name, description);
  if (!examples.empty()) command->footer("\nExamples:\n" + examples);
  AddCommonOptions(*command, cli);
  if (json == Json::kYes) command->add_flag("--json", cli.json, "Print JSON")->group("Common options");
  command->callback([&cli, run = std::move(run)] { cli.action = run; });
  return command;
}

CLI::App* AddGroup(CLI::App& parent, const std::string& name, const std::string& description) {
  CLI::App* group = parent.add_subcommand(name, description);
  group->require_subcommand(1);
  return group;
}

void RunByDefault(CLI::App& group, Cli& cli, std::function<int()> run) {
  AddCommonOptions(group, cli);
  group.add_flag("--json", cli.json, "Print JSON")->group("Common options");
  group.require_subcommand(0, 1);
  group.callback([&group, &cli, run = std::move(run)] {
    if (group.get_subcommands().empty()) cli.action = run;
  });
}

int Main(int argc, char** argv) {
  // A reader that has gone (`millrace jobs list | head`) is an error of write, not a reason to die.
  std::signal(SIGPIPE, SIG_IGN);
  Cli cli;
  cli.signals = std::make_unique<runtime::HeldSignals>();
  CLI::App app(kAbout, "millrace");
  cli.app = &app;
  app.footer(std::string("\n") + kExamples);
  app.require_subcommand(1);
  AddCommonOptions(app, cli);
  for (auto* add :
       {AddRunCommand,        AddWorkerCommand,  AddEnqueueCommand, AddJobsCommand,    AddQueuesCommand,
        AddDeadletterCommand, AddSearchCommand,  AddSourcesCommand, AddWorkersCommand, AddRunsCommand,
        AddConfigCommand,     AddMigrateCommand, AddBenchCommand,   AddStressCommand,  AddHealthcheckCommand,
        AddDebugCommand,      AddMonitorCommand, AddCleanupCommand, AddVersionCommand, AddCompletionCommand}) {
    add(app, cli);
  }
  RefuseEmptyValues(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return OnParseError(app, error, argc, argv);
  }
  HidePasswords(argc, argv);
  SetCommand(CommandPath(app));
  SetConfigFile(cli.config.value_or(""));
  if (!app.got_subcommand("worker") && !app.got_subcommand("run")) cli.signals.reset();
  const int status = cli.action ? cli.action() : kUsage;
  if (std::fflush(stdout) != 0 && status == kOk) return kFailed;
  return status;
}

}  // namespace millrace::cli
