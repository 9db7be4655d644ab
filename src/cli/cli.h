// The command line: options every command has, the configuration they lead to, and the list of commands.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/output.h"
#include "runtime/config/config.h"
#include "runtime/shutdown.h"

namespace CLI {
class App;
}

namespace millrace::cli {

// Filled while the command line is parsed; the chosen command then runs `action`.
struct Cli {
  std::optional<std::string> db;          // --db
  std::optional<std::string> config;      // --config
  bool json = false;                      // --json
  std::vector<runtime::FlagValue> flags;  // flags of a command that override keys of the configuration
  std::function<int()> action;
  // SIGTERM and SIGINT from the program's first moment on, for the commands that end gently.
  std::unique_ptr<runtime::HeldSignals> signals;
  CLI::App* app = nullptr;

  // The effective configuration, not checked.
  [[nodiscard]] runtime::Config LoadConfig() const;
  // The same, or the error that keeps the command from starting. Warnings are printed.
  [[nodiscard]] Result<runtime::Config> CheckedConfig() const;
};

// The whole program but for `parser-child`. Returns the exit status.
int Main(int argc, char** argv);

// Whether a command has --json.
enum class Json { kNo, kYes };

// A command with the common options and examples at the end of its help. `run` gives the exit status.
CLI::App* AddCommand(CLI::App& parent, Cli& cli, const std::string& name, const std::string& description,
                     const std::string& examples, Json json, std::function<int()> run);
// A command that only holds others.
CLI::App* AddGroup(CLI::App& parent, const std::string& name, const std::string& description);
// What a group does when none of its commands is named: `millrace queues` lists them.
void RunByDefault(CLI::App& group, Cli& cli, std::function<int()> run);

// The commands, each in its own file.
void AddRunCommand(CLI::App& app, Cli& cli);
void AddWorkerCommand(CLI::App& app, Cli& cli);
void AddEnqueueCommand(CLI::App& app, Cli& cli);
void AddJobsCommand(CLI::App& app, Cli& cli);
void AddQueuesCommand(CLI::App& app, Cli& cli);
void AddDeadletterCommand(CLI::App& app, Cli& cli);
void AddSearchCommand(CLI::App& app, Cli& cli);
void AddSourcesCommand(CLI::App& app, Cli& cli);
void AddWorkersCommand(CLI::App& app, Cli& cli);
void AddRunsCommand(CLI::App& app, Cli& cli);
void AddConfigCommand(CLI::App& app, Cli& cli);
void AddMigrateCommand(CLI::App& app, Cli& cli);
void AddBenchCommand(CLI::App& app, Cli& cli);
void AddStressCommand(CLI::App& app, Cli& cli);
void AddHealthcheckCommand(CLI::App& app, Cli& cli);
void AddDebugCommand(CLI::App& app, Cli& cli);
void AddVersionCommand(CLI::App& app, Cli& cli);
void AddMonitorCommand(CLI::App& app, Cli& cli);
void AddCleanupCommand(CLI::App& app, Cli& cli);
void AddCompletionCommand(CLI::App& app, Cli& cli);

}  // namespace millrace::cli
