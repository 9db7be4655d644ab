#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/backend.h"
#include "cli/cli.h"

namespace millrace::cli {
namespace {

int List(const Cli& cli, int limit) {
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  auto backend = Backend::Open(*config, Create::kNo, "millrace runs");
  if (!backend) return PrintError(backend.error());
  const auto answer = (*backend)->Get("/api/v1/runs", {{"limit", std::to_string(limit)}});
  if (!answer) return PrintError(answer.error());
  if (cli.json) {
    PrintJson(*answer);
    return kOk;
  }
  Table table({"RUN", "PIPELINE", "GENERATION", "STATE", "LEADER", "OPEN", "COMPLETED", "DEAD", "STARTED", "FINISHED"});
  table.AlignRight({0, 2, 5, 6, 7});
  for (const base::json::value& value : answer->at("runs").as_array()) {
    const base::json::object& run = value.as_object();
    const base::json::object& counts = run.at("counts").as_object();
    table.Add({Field(run, "id"), Field(run, "pipeline"), Field(run, "generation"), Field(run, "state"),
               Field(run, "leader"), Field(run, "open"), Field(counts, "completed"), Field(counts, "dead"),
               Field(run, "started_at"), Field(run, "finished_at")});
  }
  if (table.empty()) {
    Print("no runs yet; start one: millrace run documents FOLDER\n");
  } else {
    table.Print();
  }
  return kOk;
}

int Show(const Cli& cli, std::int64_t id) {
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  auto backend = Backend::Open(*config, Create::kNo, "millrace runs");
  if (!backend) return PrintError(backend.error());
  const auto run = (*backend)->Get(fmt::format("/api/v1/runs/{}", id));
  if (!run) return PrintError(run.error());
  if (cli.json) {
    PrintJson(*run);
    return kOk;
  }
  for (const char* name : {"id", "pipeline", "generation", "state", "discovery_done", "finals_started", "stage_job",
                           "leader", "epoch", "open", "started_at", "finished_at", "identity"}) {
    Print(fmt::format("{:<15} {}\n", name, Printable(Field(*run, name))));
  }
  for (const auto& [state, count] : run->at("counts").as_object()) {
    if (count.to_number<std::int64_t>() != 0)
      Print(fmt::format("{:<15} {}\n", std::string(state.begin(), state.end()), base::ToJson(count)));
  }
  return kOk;
}

int Cancel(const Cli& cli, std::int64_t id) {
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  auto backend = Backend::Open(*config, Create::kNo, "millrace runs");
  if (!backend) return PrintError(backend.error());
  const auto run = (*backend)->Post(fmt::format("/api/v1/runs/{}/cancel", id));
  if (!run) return PrintError(run.error());
  if (cli.json) {
    PrintJson(*run);
  } else {
    Print(fmt::format("run {}: {}\n", id, Field(*run, "state")));
  }
  return kOk;
}

}  // namespace

void AddRunsCommand(CLI::App& app, Cli& cli) {
  CLI::App* group = AddGroup(app, "runs", "Look at executions of pipelines, cancel them");
  auto limit = std::make_shared<int>(20);
  auto id = std::make_shared<std::int64_t>(0);
  RunByDefault(*group, cli, [&cli] { return List(cli, 20); });
  CLI::App* list = AddCommand(*group, cli, "list", "List runs, newest first", "  millrace runs list --json\n",
                              Json::kYes, [&cli, limit] { return List(cli, *limit); });
  list->add_option("--limit", *limit, "At most so many (1 to 1000)")->capture_default_str();
  CLI::App* show = AddCommand(*group, cli, "show", "Show one run: where it stands, and who leads it",
                              "  millrace runs show 3 --json\n", Json::kYes, [&cli, id] { return Show(cli, *id); });
  show->add_option("RUN", *id, "The run's id")->required();
  CLI::App* cancel = AddCommand(*group, cli, "cancel", "Cancel a run's open jobs", "  millrace runs cancel 3\n",
                                Json::kYes, [&cli, id] { return Cancel(cli, *id); });
  cancel->add_option("RUN", *id, "The run's id")->required();
}

}  // namespace millrace::cli
