#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <random>
#include <sstream>

#include "base/clock.h"
#include "base/log.h"
#include "base/try.h"
#include "cli/cli.h"
#include "cli/stress/handlers.h"
#include "cli/stress/report.h"
#include "cli/stress/run.h"
#include "runtime/client_impl.h"
#include "storage/storage.h"

namespace millrace::cli {
namespace {

using stress::Fault;

struct StressFlags {
  std::string duration = "60s", faults, fault_every = "1s", restart_every = "15s", jobs_per_second = "max";
  std::string heartbeat = "500ms", stale = "3s", work = "20ms", fault_for, restart_command, cut_command, mend_command,
              id, log;
  int workers = 4, concurrency = 4, partitions = 50, partitioned = 25, queue_concurrency = 0;
  std::int64_t jobs = 0;
  double queue_rate = 0;
  unsigned seed = 0;
  double load_seconds = 0;  // a worker's
};

std::atomic<bool> interrupted = false;

// The first ends the load, and what is open is worked off; a second one ends the program.
void Interrupt(int signal) {
  interrupted = true;
  std::signal(signal, SIG_DFL);
}

Result<void> ReadDuration(Duration& into, const std::string& flag, const std::string& text) {
  auto duration = base::ParseDuration(text);
  if (!duration) return fail(ErrorCode::kInvalidArgument, flag + ": " + duration.error().message);
  if (duration->count() <= 0) return fail(ErrorCode::kInvalidArgument, flag + ": must be longer than 0");
  into = *duration;
  return {};
}

constexpr std::array kFaults = {Fault::kKill,    Fault::kStop,        Fault::kBackends,
                                Fault::kRestart, Fault::kConnections, Fault::kNetwork};

Result<void> CheckFault(Fault fault, const stress::Options& options) {
  if (fault != Fault::kKill && !options.postgres) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("--faults {}: a SQLite file has one process, which can only be killed; choose kill, or a "
                            "PostgreSQL with --db",
                            stress::FaultName(fault)));
  }
  if (fault == Fault::kRestart && options.restart_command.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "--faults restart: give the command that restarts the server with --restart-command");
  }
  if (fault == Fault::kNetwork && (options.cut_command.empty() || options.mend_command.empty())) {
    return fail(ErrorCode::kInvalidArgument,
                "--faults network: give the commands that cut the network to the server and mend it again with "
                "--cut-command and --mend-command");
  }
  return {};
}

Result<void> ReadFaults(stress::Options& options, const std::string& text) {
  options.faults.clear();
  std::istringstream names(text);
  for (std::string name; std::getline(names, name, ',');) {
    if (name == "none") continue;
    const auto* const fault =
        std::find_if(kFaults.begin(), kFaults.end(), [&](Fault known) { return name == stress::FaultName(known); });
    if (fault == kFaults.end()) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("--faults: there is no fault '{}'; known: kill, stop, backends, restart, connections, "
                              "network, none",
                              name));
    }
    MILLRACE_TRY(CheckFault(*fault, options));
    options.faults.insert(*fault);
  }
  return {};
}

Result<void> ReadRate(stress::Options& options, const std::string& text) {
  if (text == "max") return {};
  char* end = nullptr;
  options.jobs_per_second = std::strtod(text.c_str(), &end);
  if (*end == '\0' && options.jobs_per_second > 0) return {};
  return fail(ErrorCode::kInvalidArgument,
              "--jobs-per-second: a number above 0 or 'max' is needed, not '" + text + "'");
}

Result<void> ReadQueueLimits(stress::Options& options, const StressFlags& flags) {
  if (flags.queue_concurrency > 0) options.queue_concurrency = flags.queue_concurrency;
  if (flags.queue_rate > 0) options.queue_rate = flags.queue_rate;
  if (!options.queue_concurrency && !options.queue_rate) return {};
  if (!options.postgres) {
    return fail(ErrorCode::kInvalidArgument,
                "--queue-concurrency and --queue-rate: a SQLite file has one worker process, which shares its limits "
                "with nobody; give a PostgreSQL with --db");
  }
  QueueOptions queue;
  queue.name = options.queue();
  queue.concurrency = options.queue_concurrency;
  queue.rate_limit = options.queue_rate;
  options.storage.queues.push_back(std::move(queue));
  return {};
}

Result<stress::Options> ReadOptions(const Cli& cli, const StressFlags& flags) {
  MILLRACE_ASSIGN(const runtime::Config config, cli.CheckedConfig());
  stress::Options options;
  options.storage = config.storage();
  // Settings and limits of the user's queues are neither to be written nor to be met.
  options.storage.queues.clear();
  options.storage.capacity = {};
  options.postgres = config.IsPostgres();
  options.restart_command = flags.restart_command;
  options.cut_command = flags.cut_command;
  options.mend_command = flags.mend_command;
  options.workers = flags.workers;
  options.concurrency = flags.concurrency;
  options.partitions = flags.partitions;
  options.partitioned = flags.partitioned;
  options.jobs = flags.jobs;
  options.seed = flags.seed;
  options.id = flags.id;
  MILLRACE_TRY(ReadQueueLimits(options, flags));
  MILLRACE_TRY(ReadDuration(options.duration, "--duration", flags.duration));
  MILLRACE_TRY(ReadDuration(options.fault_every, "--fault-every", flags.fault_every));
  MILLRACE_TRY(ReadDuration(options.restart_every, "--restart-every", flags.restart_every));
  if (!flags.fault_for.empty()) MILLRACE_TRY(ReadDuration(options.fault_for, "--fault-for", flags.fault_for));
  MILLRACE_TRY(ReadDuration(options.work, "--work", flags.work));
  MILLRACE_TRY(ReadDuration(options.heartbeat_interval, "--heartbeat-interval", flags.heartbeat));
  MILLRACE_TRY(ReadDuration(options.stale_threshold, "--stale-threshold", flags.stale));
  if (options.stale_threshold < 2 * options.heartbeat_interval) {
    return fail(ErrorCode::kInvalidArgument, "--stale-threshold: must be at least twice --heartbeat-interval");
  }
  MILLRACE_TRY(ReadRate(options, flags.jobs_per_second));
  const std::string usual = options.postgres ? "kill,stop,backends" : "kill";
  MILLRACE_TRY(ReadFaults(options, flags.faults.empty() ? usual : flags.faults));
  if (options.postgres) {
    options.storage.url += options.storage.url.find('?') == std::string::npos ? "?" : "&";
    options.storage.url += "application_name=millrace-stress-" + options.id;
  }
  return options;
}

// A rescuer takes the jobs of every worker that is silent for longer than its own threshold, whosever they are.
Result<void> CheckAlone(const stress::Options& options, const runtime::Config& config) {
  const Duration usual = config.worker().stale_threshold;
  if (!options.postgres || options.stale_threshold >= usual) return {};
  MILLRACE_ASSIGN(const Client client, Client::open(options.storage));
  MILLRACE_ASSIGN(const std::vector<storage::WorkerRow> workers, client.impl()->storage->Workers());
  MILLRACE_ASSIGN(const Time now, client.impl()->storage->Now());
  for (const storage::WorkerRow& worker : workers) {
    const bool ended = worker.state == storage::WorkerState::kStopped || worker.state == storage::WorkerState::kLost;
    if (ended || now - worker.last_heartbeat > usual) continue;
    return fail(
        ErrorCode::kConflict,
        fmt::format("worker {} works on this database, and workers of a stress run with a stale threshold of {} "
                    "would take its jobs from it; stop it first, or give --stale-threshold {}",
                    worker.info.id, base::FormatDuration(options.stale_threshold), base::FormatDuration(usual)));
  }
  return {};
}

std::vector<std::string> WorkerArguments(const Cli& cli, const StressFlags& flags) {
  std::vector<std::string> arguments = {"stress-worker",
                                        "--id=" + flags.id,
                                        fmt::format("--workers={}", flags.workers),
                                        fmt::format("--concurrency={}", flags.concurrency),
                                        fmt::format("--partitions={}", flags.partitions),
                                        fmt::format("--partitioned={}", flags.partitioned),
                                        fmt::format("--jobs={}", flags.jobs),
                                        fmt::format("--queue-concurrency={}", flags.queue_concurrency),
                                        fmt::format("--queue-rate={}", flags.queue_rate),
                                        fmt::format("--seed={}", flags.seed),
                                        "--jobs-per-second=" + flags.jobs_per_second,
                                        "--work=" + flags.work,
                                        "--heartbeat-interval=" + flags.heartbeat,
                                        "--stale-threshold=" + flags.stale};
  if (cli.db) arguments.push_back("--db=" + *cli.db);
  if (cli.config) arguments.push_back("--config=" + *cli.config);
  return arguments;
}

// Whether the run shows what it was asked for, once it has been told.
int Judge(const stress::Findings& findings, const std::string& place, const std::string& log) {
  if (findings.account.enqueued == 0) {
    return PrintError(fmt::format("no job was enqueued, so that nothing was shown{}{}; the workers' log is {}",
                                  findings.trouble.empty() ? "" : ": ", findings.trouble, log),
                      "the same as another user, or with a longer --duration");
  }
  if (!findings.account.exact()) {
    return PrintError(
        fmt::format("the books are not exact; what handlers wrote is in {}, the workers' log in {}", place, log),
        "millrace jobs show ID");
  }
  for (const Fault fault : findings.missed_faults) {
    PrintWarning(fmt::format("the books are exact, but no fault '{}' happened in {:.1f} s of load", FaultName(fault),
                             findings.load_seconds));
  }
  if (findings.missed_faults.empty()) return kOk;
  return PrintError("not all of --faults happened", "the same with a longer --duration, or more --jobs", kPartial);
}

int Stress(Cli& cli, StressFlags flags) {
  base::ConfigureLog({base::Level::kOff, false});  // the run's own faults would fill the screen
  flags.id = fmt::format("{}_{}", std::time(nullptr), getpid());
  if (flags.seed == 0) flags.seed = std::random_device{}();
  const auto options = ReadOptions(cli, flags);
  if (!options) return PrintError(options.error());
  if (auto alone = CheckAlone(*options, cli.LoadConfig()); !alone) return PrintError(alone.error());
  const stress::Ledger ledger(*options);
  stress::ProgressLine line(IsTerminal(stderr) && !cli.json);
  stress::Context context;
  context.worker_arguments = WorkerArguments(cli, flags);
  context.log = flags.log;
  if (flags.log.empty())
    context.log = (std::filesystem::temp_directory_path() / ("millrace-stress-" + flags.id + ".log")).string();
  context.interrupted = &interrupted;
  context.progress = [&](const stress::Progress& progress) { line.Show(progress); };
  std::signal(SIGINT, Interrupt);
  std::signal(SIGTERM, Interrupt);
  const auto findings = stress::RunStress(*options, ledger, context);
  line.Clear();
  if (!findings) return PrintError(findings.error());
  if (cli.json) {
    PrintJson(stress::ToJson(*options, *findings));
  } else {
    stress::PrintFindings(*options, *findings);
  }
  std::error_code ignored;
  if (findings->account.exact() && flags.log.empty()) std::filesystem::remove(context.log, ignored);
  return Judge(*findings, ledger.place(), context.log);
}

int StressWorker(const Cli& cli, const StressFlags& flags) {
  base::ConfigureLog({base::Level::kInfo, false});
  const auto options = ReadOptions(cli, flags);
  if (!options) return PrintError(options.error());
  return stress::WorkHere(*options, std::chrono::milliseconds(static_cast<std::int64_t>(flags.load_seconds * 1000)));
}

void AddSharedFlags(CLI::App& command, StressFlags& flags) {
  command.add_option("--workers", flags.workers, "Worker processes (SQLite: one)")
      ->check(CLI::Range(1, 500))
      ->capture_default_str();
  command.add_option("--concurrency", flags.concurrency, "Jobs at once in each")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_option("--partitions", flags.partitions, "Keys that a quarter of the jobs have; 0: none")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  command.add_option("--partitioned", flags.partitioned, "Percent of the jobs that have one of those keys")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  command.add_option("--jobs", flags.jobs, "End when so many are worked off, if that is before --duration; 0: do not")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--queue-concurrency", flags.queue_concurrency, "Most jobs of the run's queue at once; 0: no limit")
      ->check(CLI::Range(0, 100'000))
      ->capture_default_str();
  command.add_option("--queue-rate", flags.queue_rate, "Most starts a second in the run's queue; 0: no limit")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--jobs-per-second", flags.jobs_per_second, "How many are enqueued; max: as fast as they are worked")
      ->capture_default_str();
  command.add_option("--seed", flags.seed, "Of the mix of jobs and of who is hit (default: another each time)");
  command.add_option("--work", flags.work, "How long one job in ten takes, which faults then find in the middle")
      ->capture_default_str();
  command.add_option("--heartbeat-interval", flags.heartbeat, "Of the workers")->capture_default_str();
  command.add_option("--stale-threshold", flags.stale, "Silence after which a worker's jobs are taken from it")
      ->capture_default_str();
}

}  // namespace

void AddStressCommand(CLI::App& app, Cli& cli) {
  auto flags = std::make_shared<StressFlags>();
  CLI::App* command = AddCommand(
      app, cli, "stress", "Work jobs under faults against your own database, and account for every one",
      "  millrace stress --db postgres://localhost/jobs\n"
      "  millrace stress --db postgres://localhost/jobs --duration 5m --workers 8 --faults kill,stop,backends\n"
      "  millrace stress --db postgres://localhost/jobs --faults restart --restart-command "
      "'pg_ctlcluster 15 main restart -m immediate'\n"
      "  millrace stress --db ./try.db --json\n"
      "Exit status 1: a job was lost or counted twice; its id is printed. 3: all is exact, but a fault asked for "
      "never\n"
      "happened.\n",
      Json::kYes, [&cli, flags] { return Stress(cli, *flags); });
  command->add_option("--duration", flags->duration, "Of load and faults; what is left is worked off afterwards")
      ->capture_default_str();
  command->add_option(
      "--faults", flags->faults,
      "With commas between them: kill (SIGKILL of workers), stop (SIGSTOP past their lease, then "
      "SIGCONT), backends (pg_terminate_backend of the run's own connections), restart (by "
      "--restart-command), connections (idle ones fill the server), network (cut by --cut-command), none "
      "(default: kill,stop,backends; SQLite: kill)");
  command->add_option("--fault-every", flags->fault_every, "Between kills, and between terminated connections")
      ->capture_default_str();
  command->add_option("--restart-command", flags->restart_command, "A shell command that restarts the server");
  command->add_option("--cut-command", flags->cut_command, "A shell command that cuts the network to the server");
  command->add_option("--mend-command", flags->mend_command, "A shell command that undoes it");
  command->add_option("--restart-every", flags->restart_every, "Between restarts, cuts, and fillings of the server")
      ->capture_default_str();
  command->add_option("--fault-for", flags->fault_for,
                      "How long a stop, a cut, and a filling last (default: a little longer than --stale-threshold)");
  command->add_option("--log", flags->log, "A file for what the workers log (default: one that goes when all is well)");
  AddSharedFlags(*command, *flags);

  auto worker = std::make_shared<StressFlags>();
  CLI::App* hidden = AddCommand(app, cli, "stress-worker", "A worker process of millrace stress", "", Json::kNo,
                                [&cli, worker] { return StressWorker(cli, *worker); });
  hidden->group("");
  hidden->add_option("--id", worker->id)->required();
  hidden->add_option("--load-seconds", worker->load_seconds);
  AddSharedFlags(*hidden, *worker);
}

}  // namespace millrace::cli
