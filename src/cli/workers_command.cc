#include <CLI/CLI.hpp>

#include "cli/backend.h"
#include "cli/cli.h"

namespace millrace::cli {
namespace {

// The scopes a worker leads.
std::string Leads(const base::json::object& worker) {
  std::string scopes;
  for (const base::json::value& one : worker.at("leads").as_array())
    scopes += (scopes.empty() ? "" : ",") + Field(one.as_object(), "scope");
  return scopes;
}

int List(const Cli& cli) {
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  auto backend = Backend::Open(*config, Intent::kLook, "millrace workers");
  if (!backend) return PrintError(backend.error());
  const auto answer = (*backend)->Get("/api/v1/workers");
  if (!answer) return PrintError(answer.error());
  if (cli.json) {
    PrintJson(*answer);
    return kOk;
  }
  Table table({"WORKER", "STATE", "TYPE", "HOST", "PID", "SLOTS", "RUNNING", "LEADS", "HEARTBEAT", "STARTED"});
  table.AlignRight({4, 5, 6});
  for (const base::json::value& value : answer->at("workers").as_array()) {
    const base::json::object& worker = value.as_object();
    table.Add({Field(worker, "id"), Field(worker, "state"), Field(worker, "type"), Field(worker, "host"),
               Field(worker, "pid"), Field(worker, "slots"), Field(worker, "running"), Leads(worker),
               Ago(Field(worker, "last_heartbeat")), Ago(Field(worker, "started_at"))});
  }
  if (table.empty()) {
    Print("no workers yet; start one: millrace worker\n");
  } else {
    table.Print();
  }
  return kOk;
}

}  // namespace

void AddWorkersCommand(CLI::App& app, Cli& cli) {
  AddCommand(app, cli, "workers", "List workers and their heartbeats", "  millrace workers --json\n", Json::kYes,
             [&cli] { return List(cli); });
}

}  // namespace millrace::cli
