#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/backend.h"
#include "cli/cli.h"

namespace millrace::cli {
namespace {

namespace json = base::json;

int List(const Cli& cli) {
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  auto backend = Backend::Open(*config, Intent::kLook, "millrace queues");
  if (!backend) return PrintError(backend.error());
  const auto answer = (*backend)->Get("/api/v1/queues");
  if (!answer) return PrintError(answer.error());
  if (cli.json) {
    PrintJson(*answer);
    return kOk;
  }
  Table table(
      {"QUEUE", "STATE", "AVAILABLE", "SCHEDULED", "RUNNING", "RETRYABLE", "DEAD", "COMPLETED", "OLDEST", "CAPACITY"});
  table.AlignRight({2, 3, 4, 5, 6, 7, 8, 9});
  for (const json::value& value : answer->at("queues").as_array()) {
    const json::object& queue = value.as_object();
    const json::object& counts = queue.at("counts").as_object();
    const std::string capacity = Field(queue, "capacity");
    table.Add({Field(queue, "name"), queue.at("paused").as_bool() ? "paused" : "open", Field(counts, "available"),
               Field(counts, "scheduled"), Field(counts, "running"), Field(counts, "retryable"), Field(counts, "dead"),
               Field(counts, "completed"), Ago(Field(queue, "oldest_available")), capacity.empty() ? "-" : capacity});
  }
  if (table.empty()) {
    Print("no queues yet; the first enqueue makes one\n");
  } else {
    table.Print();
  }
  return kOk;
}

int Pause(const Cli& cli, const std::vector<std::string>& names, bool paused) {
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  auto backend = Backend::Open(*config, Intent::kChange, "millrace queues");
  if (!backend) return PrintError(backend.error());
  json::array done;
  for (const std::string& name : names) {
    auto answer =
        (*backend)->Post(fmt::format("/api/v1/queues/{}/{}", http::PercentEncode(name), paused ? "pause" : "resume"));
    if (!answer) return PrintError(answer.error());
    if (answer->at("created").as_bool()) PrintWarning(fmt::format("no job has used the queue '{}' yet", name));
    if (!cli.json)
      Print(fmt::format("queue {}: {}\n", Printable(name), paused ? "paused; running jobs finish" : "open"));
    done.push_back(std::move(*answer));
  }
  if (cli.json) PrintJson(json::object{{"queues", std::move(done)}});
  return kOk;
}

}  // namespace

void AddQueuesCommand(CLI::App& app, Cli& cli) {
  CLI::App* group = AddGroup(app, "queues", "Look at queues, pause and resume them");
  auto names = std::make_shared<std::vector<std::string>>();
  RunByDefault(*group, cli, [&cli] { return List(cli); });
  AddCommand(*group, cli, "list", "List queues with their counts", "  millrace queues list --json\n", Json::kYes,
             [&cli] { return List(cli); });
  CLI::App* pause =
      AddCommand(*group, cli, "pause", "Let no job of these queues start", "  millrace queues pause mail\n", Json::kYes,
                 [&cli, names] { return Pause(cli, *names, true); });
  pause->add_option("QUEUES", *names, "Names of queues")->required();
  CLI::App* resume =
      AddCommand(*group, cli, "resume", "Let jobs of these queues start again", "  millrace queues resume mail\n",
                 Json::kYes, [&cli, names] { return Pause(cli, *names, false); });
  resume->add_option("QUEUES", *names, "Names of queues")->required();
}

}  // namespace millrace::cli
