#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/documents_worker.h"
#include "cli/thread_dump.h"
#include "runtime/connection_budget.h"

namespace millrace::cli {
namespace {

struct WorkerFlags {
  std::string id, type, priorities, queues, concurrency;
  std::int64_t max_jobs = 0;
};

// How long a short command that holds the file is waited for.
constexpr Duration kPatience = std::chrono::seconds(3);

// The queues of the stages this worker type serves; empty: all.
std::vector<std::string> QueuesOfType(const runtime::Config& config, const std::string& type) {
  std::vector<std::string> queues;
  if (type == "all") return queues;
  for (const runtime::PipelineConfig& pipeline : config.pipelines()) {
    for (const runtime::StageConfig& stage : pipeline.stages) {
      if (stage.worker_type == type) queues.push_back(stage.handler);
    }
  }
  return queues;
}

// A fleet that may open more connections than the server has works on, with delays that nobody would understand.
void WarnOfConnections(storage::Storage& storage, const StorageOptions& options) {
  const auto budget = runtime::LookAtConnections(storage, options, 1);
  if (!budget || !*budget || (*budget)->fits()) return;
  base::Log(base::Level::kWarn, "The fleet may need more connections than there are", {{"why", (*budget)->Text()}});
}

int Work(Cli& cli, const WorkerFlags& flags) {
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  base::ConfigureLog(config->log(IsTerminal(stderr)));
  for (const std::string& warning : config->warnings())
    base::Log(base::Level::kWarn, "Setting ignored", {{"why", warning}});
  auto owner = Owner::Open(*config, "millrace worker", kPatience);
  if (!owner) return PrintError(owner.error());
  WorkerOptions options = config->worker();
  options.handle_signals = true;
  options.max_jobs = flags.max_jobs;
  if (options.queues.empty()) options.queues = QueuesOfType(*config, options.type);
  WarnOfConnections((*owner)->storage(), config->storage());
  DocumentsWorker documents(**owner, *config);
  Worker worker((*owner)->client(), options);
  documents.Register(worker);
  const DumpOnSigquit dump;
  (*owner)->health().Watch((*owner)->storage(), Duration(config->Get("http.health_check_interval").number),
                           worker.stuck_loop());
  (*owner)->WatchFleet(options.type);
  if (auto serving = (*owner)->Serve(); serving) {
    base::Log(base::Level::kInfo, "Serving",
              {{"database", config->database()}, {"socket", config->IsPostgres() ? "" : SocketOf(config->database())}});
  } else {
    // Some file systems take no sockets; the work itself needs none.
    base::Log(base::Level::kWarn, "Other commands cannot reach this worker", {{"error", serving.error().message}});
  }
  (*owner)->health().SetPhase(http::Phase::kServing);
  const auto status = worker.run();
  cli.signals.reset();  // nothing is left that a signal could interrupt gently
  (*owner)->health().SetPhase(http::Phase::kShuttingDown);
  return status ? *status : PrintError(status.error());
}

}  // namespace

void AddWorkerCommand(CLI::App& app, Cli& cli) {
  auto flags = std::make_shared<WorkerFlags>();
  CLI::App* command = AddCommand(
      app, cli, "worker", "Work jobs until SIGTERM or SIGINT; a second signal skips the wait",
      "  millrace worker --db ./millrace.db\n"
      "  millrace worker --priorities critical,high --concurrency 8\n"
      "  millrace worker --max-jobs 1000           stop by itself\n",
      Json::kNo, [&cli, flags] {
        for (const auto& [key, flag, value] : {std::tuple{"worker.id", "--worker-id", &flags->id},
                                               {"worker.type", "--type", &flags->type},
                                               {"worker.priorities", "--priorities", &flags->priorities},
                                               {"worker.queues", "--queues", &flags->queues},
                                               {"worker.concurrency", "--concurrency", &flags->concurrency}}) {
          if (!value->empty()) cli.flags.push_back({key, flag, *value});
        }
        return Work(cli, *flags);
      });
  command->add_option("--worker-id", flags->id, "Its name (default: host, process and a random part)");
  command->add_option("--type", flags->type, "Serve the stages of this worker type (default: all)");
  command->add_option("--priorities", flags->priorities, "Only these, with commas between them");
  command->add_option("--queues", flags->queues, "Only these, with commas between them");
  command->add_option("--concurrency", flags->concurrency, "Jobs at once (default: one per core)");
  command->add_option("--max-jobs", flags->max_jobs, "Stop after so many")->check(CLI::PositiveNumber);
}

}  // namespace millrace::cli
