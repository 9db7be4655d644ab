#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/backend.h"
#include "cli/checks.h"
#include "cli/cli.h"
#include "cli/run_plan.h"

namespace millrace::cli {
namespace {

int List(const Cli& cli, int limit) {
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  auto backend = Backend::Open(*config, Intent::kLook, "millrace runs");
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
  auto backend = Backend::Open(*config, Intent::kLook, "millrace runs");
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

// Workers take it up: those of the PostgreSQL, the owner of the file, or whoever will own it.
int Start(const Cli& cli, const std::vector<std::string>& words) {
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  const auto plan = ReadRunPlan(*config, words);
  if (!plan) return PrintError(plan.error().message, "millrace runs start --help", StatusOf(plan.error()));
  const auto spec = SpecOfPlan(*config, *plan);
  if (!spec) return PrintError(spec.error().message, "millrace runs start documents FOLDER");
  auto sources = base::ParseJson(documents::SpecToJson(*spec));
  if (!sources) return PrintError(sources.error());
  auto backend = Backend::Open(*config, Intent::kCreate, "millrace runs");
  if (!backend) return PrintError(backend.error());
  const auto run = (*backend)->Post("/api/v1/documents/runs", {{"spec", std::move(*sources)}});
  if (!run) return PrintError(run.error());
  if (cli.json) {
    PrintJson(*run);
    return kOk;
  }
  for (const base::json::value& note : run->at("notes").as_array())
    fmt::print(stderr, "{}\n", Printable(std::string_view(note.as_string())));
  const bool joined = run->at("joined").as_bool();
  Print(fmt::format("run {}{}\n", Field(*run, "run_id"), joined ? " is at work on it already" : " started"));
  if ((*backend)->OwnsFile())
    fmt::print(stderr, "nobody works on it yet; try: millrace worker --db {}\n", QuoteForShell(config->database()));
  return kOk;
}

int Cancel(const Cli& cli, std::int64_t id) {
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  auto backend = Backend::Open(*config, Intent::kChange, "millrace runs");
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
  CLI::App* group = AddGroup(app, "runs", "Look at executions of pipelines, start and cancel them");
  auto limit = std::make_shared<int>(20);
  auto id = std::make_shared<std::int64_t>(0);
  RunByDefault(*group, cli, [&cli] { return List(cli, 20); });
  CLI::App* list = AddCommand(*group, cli, "list", "List runs, newest first", "  millrace runs list --json\n",
                              Json::kYes, [&cli, limit] { return List(cli, *limit); });
  list->add_option("--limit", *limit, "At most so many")->check(IsPageSize())->capture_default_str();
  CLI::App* show = AddCommand(*group, cli, "show", "Show one run: where it stands, and who leads it",
                              "  millrace runs show 3 --json\n", Json::kYes, [&cli, id] { return Show(cli, *id); });
  show->add_option("RUN", *id, "The run's id")->required()->check(IsId());
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* start =
      AddCommand(*group, cli, "start", "Start a run and leave it to the workers, which must see its files",
                 "  millrace runs start documents /srv/papers --db postgres://db.example/jobs\n"
                 "  millrace runs start documents --config m.yaml   the sources the configuration names\n",
                 Json::kYes, [&cli, words] { return Start(cli, *words); });
  start->add_option("WORDS", *words, "[PIPELINE] [INPUT...], as for run");
  CLI::App* cancel = AddCommand(*group, cli, "cancel", "Cancel a run's open jobs", "  millrace runs cancel 3\n",
                                Json::kYes, [&cli, id] { return Cancel(cli, *id); });
  cancel->add_option("RUN", *id, "The run's id")->required()->check(IsId());
}

}  // namespace millrace::cli
