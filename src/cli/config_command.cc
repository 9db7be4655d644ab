#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/cli.h"

namespace millrace::cli {
namespace {

namespace json = base::json;

int Check(const Cli& cli) {
  const runtime::Config config = cli.LoadConfig();
  const bool good = config.problems().empty();
  if (cli.json) {
    json::array problems;
    for (const base::YamlProblem& problem : config.problems()) {
      problems.push_back({{"file", problem.file},
                          {"line", problem.line},
                          {"column", problem.column},
                          {"key", problem.path},
                          {"message", problem.message}});
    }
    json::array warnings(config.warnings().begin(), config.warnings().end());
    PrintJson(json::object{
        {"ok", good}, {"file", config.file()}, {"problems", std::move(problems)}, {"warnings", std::move(warnings)}});
    return good ? kOk : kFailed;
  }
  for (const std::string& warning : config.warnings()) PrintWarning(warning);
  for (const base::YamlProblem& problem : config.problems()) PrintError(base::FormatProblem(problem), "");
  if (!good) {
    fmt::print(stderr, "{} problem{}\n", config.problems().size(), config.problems().size() == 1 ? "" : "s");
    return kFailed;
  }
  Print(fmt::format("the configuration is good ({})\n",
                    config.file().empty() ? "no file; defaults and environment" : config.file()));
  return kOk;
}

int Show(const Cli& cli) {
  const runtime::Config config = cli.LoadConfig();
  if (cli.json) {
    PrintJson(config.ShowJson());
  } else {
    Print(config.ShowYaml());
  }
  if (config.problems().empty()) return kOk;
  return PrintError(config.Check().error().message, ConfigCheckCommand());
}

}  // namespace

void AddConfigCommand(CLI::App& app, Cli& cli) {
  CLI::App* group = AddGroup(app, "config", "Check and show the effective configuration");
  AddCommand(*group, cli, "check", "Tell every mistake at once",
             "  millrace config check --config millrace.yaml\n  millrace config check --json\n", Json::kYes,
             [&cli] { return Check(cli); });
  AddCommand(*group, cli, "show", "Print every value and where it came from, secrets redacted",
             "  millrace config show\n", Json::kYes, [&cli] { return Show(cli); });
}

}  // namespace millrace::cli
