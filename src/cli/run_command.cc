#include <fmt/format.h>
#include <pthread.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/documents_worker.h"
#include "cli/progress_bar.h"
#include "cli/run_plan.h"
#include "cli/search_hint.h"
#include "cli/thread_dump.h"
#include "pipelines/documents/known_sources.h"

namespace millrace::cli {
namespace {

namespace json = base::json;

constexpr Duration kPatience = std::chrono::seconds(3);
constexpr auto kLook = std::chrono::milliseconds(25);

struct RunOptions {
  std::vector<std::string> words;
  std::string concurrency;
};

// Looks at a run until it is over, or cannot go on because its discovery is dead, then stops the worker.
class RunWatch {
 public:
  RunWatch(storage::Storage& storage, RunId run, Worker& worker, ProgressBar::Style style)
      : thread_([this, &storage, run, &worker, style](const std::stop_token& stop) {
          Watch(storage, run, worker, style, stop);
        }) {}

  void Join() {
    thread_.request_stop();
    thread_.join();
  }
  // After Join.
  [[nodiscard]] bool finished() const { return finished_; }
  [[nodiscard]] bool stalled() const { return stalled_; }

 private:
  void Watch(storage::Storage& storage, RunId run, Worker& worker, ProgressBar::Style style,
             const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "progress");
    ProgressBar bar(style);
    while (true) {
      const bool last = stop.stop_requested();
      const auto progress = documents::ProgressOfRun(storage, run);
      if (progress) {
        if (!last) bar.Show(*progress);
        finished_ = progress->finished;
      }
      const auto row = storage.GetRun(run);
      stalled_ =
          row && *row && (*row)->state == storage::RunState::kActive && !(*row)->discovery_done && (*row)->open == 0;
      if ((finished_ || stalled_) && !last) worker.stop();
      if (finished_ || stalled_ || last) return;
      std::this_thread::sleep_for(kLook);
    }
  }

  std::atomic<bool> finished_ = false;
  std::atomic<bool> stalled_ = false;
  std::jthread thread_;
};

base::LogOptions LogOptionsOf(const runtime::Config& config) {
  base::LogOptions log = config.log(IsTerminal(stderr));
  if (config.Get("log.level").value != "auto") return log;
  // Nobody asked for a log: trouble with the machine is shown, single documents are left to the summary.
  log.level = base::Level::kError;
  log.filter = FilterLogUnderBar;
  if (config.Get("log.structured").value == "auto") log.structured = false;
  return log;
}

std::string DbFlag(const runtime::Config& config) {
  const char* key = config.IsPostgres() ? "storage.backend" : "storage.path";
  const bool given = config.Get(key).origin.kind == runtime::OriginKind::kFlag ||
                     (!config.IsPostgres() && config.Get(key).origin.kind != runtime::OriginKind::kDefault);
  return given ? " --db " + QuoteForShell(config.database()) : "";
}

int Interrupted(storage::Storage& storage, const runtime::Config& config, const Cli& cli, const RunPlan& plan,
                RunId run, int status) {
  const auto progress = documents::ProgressOfRun(storage, run);
  const std::int64_t open = progress ? progress->open : 0;
  std::string again = "millrace run " + QuoteForShell(plan.pipeline);
  for (const std::string& input : plan.inputs) again += " " + QuoteForShell(input);
  again += DbFlag(config);
  if (cli.json) {
    PrintJson(json::object{{"run_id", run}, {"finished", false}, {"open", open}, {"resume", again}});
  }
  return PrintError(
      fmt::format("stopped before the end: {} documents found so far are still to do; nothing was lost", Grouped(open)),
      again + "   (goes on where it stopped)", status == kOk ? kPartial : status);
}

Result<json::object> ReportBody(const documents::DocumentsReport& report) {
  auto body = base::ParseJson(documents::ReportToJson(report));
  if (!body || !body->is_object()) return fail(ErrorCode::kInternal, "the report is no JSON object");
  return std::move(body->get_object());
}

// before: what came of the interrupted run that this process has ended first.
int Finished(storage::Storage& storage, const runtime::Config& config, const Cli& cli, RunId run,
             const std::optional<documents::DocumentsReport>& before) {
  const auto report = documents::RunReport(storage, run);
  if (!report) return PrintError(report.error());
  const auto row = storage.GetRun(run);
  if (!row) return PrintError(row.error());
  const bool cancelled = *row && (*row)->state == storage::RunState::kCancelled;
  const bool dead = report->dead > 0 || (before && before->dead > 0);
  const int status = dead || cancelled ? kPartial : kOk;
  if (cli.json) {
    auto body = ReportBody(*report);
    if (!body) return PrintError(body.error());
    (*body)["finished"] = !cancelled;
    if (before) {
      auto resumed = ReportBody(*before);
      if (!resumed) return PrintError(resumed.error());
      (*body)["resumed"] = std::move(*resumed);
    }
    PrintJson(*body);
    return status;
  }
  Print(documents::ReportToText(*report));
  if (cancelled) {
    PrintWarning(fmt::format("run {} was cancelled before its end; started again, a run reads what is left", run));
  }
  const std::string phrase = FindSearchHint(storage);
  if (!phrase.empty()) Print(fmt::format("try: millrace search {}{}\n", QuoteForShell(phrase), DbFlag(config)));
  if (dead) Print(fmt::format("try: millrace deadletter analyze{}\n", DbFlag(config)));
  return status;
}

ProgressBar::Style StyleOf(const Cli& cli) {
  if (cli.json) return ProgressBar::Style::kNone;
  return HasColours(stderr) ? ProgressBar::Style::kBar : ProgressBar::Style::kLines;
}

// The queues of the pipeline's own jobs.
std::vector<std::string> DocumentsQueues() {
  std::vector<std::string> queues;
  for (const auto kind :
       {documents::kDiscoverKind, documents::kParseKind, documents::kRecordKind, documents::kReportKind}) {
    queues.emplace_back(kind);
  }
  return queues;
}

// Fails when this process would never take one of the pipeline's jobs: the run would not end.
Result<void> CheckTakesItsJobs(const WorkerOptions& worker) {
  const auto never = [](const std::string& why) {
    return fail(ErrorCode::kInvalidArgument, why + ": this process would not take the run's jobs, and never end");
  };
  if (!worker.scheduler_enabled) return never("worker.scheduler_enabled is false");
  const auto& priorities = worker.priorities;
  if (!priorities.empty() && std::find(priorities.begin(), priorities.end(), Priority::kDefault) == priorities.end()) {
    return never("worker.priorities leaves out 'default'");
  }
  for (const std::string& queue : DocumentsQueues()) {
    if (std::find(worker.queues.begin(), worker.queues.end(), queue) == worker.queues.end()) {
      return never("worker.queues leaves out '" + queue + "'");
    }
  }
  return {};
}

// Tells which of the pipeline's queues are paused: the run waits for them.
void WarnOfPausedQueues(storage::Storage& storage, const std::string& db_flag) {
  const auto rows = storage.Queues();
  if (!rows) return;  // whoever needs the database next says why
  for (const std::string& queue : DocumentsQueues()) {
    const auto paused = [&](const storage::QueueRow& row) { return row.name == queue && row.paused; };
    if (std::any_of(rows->begin(), rows->end(), paused)) {
      PrintWarning("the queue '" + queue + "' is paused, and the run waits for it: millrace queues resume " + queue +
                   db_flag);
    }
  }
}

// Which loop is stuck of the worker that is at work now. Thread-safe.
class StuckLoop {
 public:
  void Ask(std::function<std::string()> whom) {
    const std::lock_guard lock(mutex_);
    whom_ = std::move(whom);
  }
  std::string operator()() {
    const std::lock_guard lock(mutex_);
    return whom_ ? whom_() : "";
  }

 private:
  std::mutex mutex_;
  std::function<std::string()> whom_;
};

// What a process has that works on runs, one after the other.
struct Works {
  Cli& cli;
  const runtime::Config& config;
  const RunPlan& plan;
  Owner& owner;
  WorkerOptions options;
  std::shared_ptr<StuckLoop> stuck = std::make_shared<StuckLoop>();
};

// Works on the run until it is over. Without a value it is; else the exit code, and why has been told.
std::optional<int> WorkOn(Works& works, RunId run) {
  auto& storage = works.owner.storage();
  DocumentsWorker documents(works.owner, works.config);
  Worker worker(works.owner.client(), works.options);
  documents.Register(worker);
  works.stuck->Ask(worker.stuck_loop());
  RunWatch watch(storage, run, worker, StyleOf(works.cli));
  const auto status = worker.run();
  watch.Join();
  if (!status) return PrintError(status.error());
  if (watch.stalled()) {
    return PrintError(
        fmt::format("run {}: its discovery failed for good; started again, the run goes on from there", run),
        "millrace deadletter list --details" + DbFlag(works.config));
  }
  if (!watch.finished()) return Interrupted(storage, works.config, works.cli, works.plan, run, *status);
  return std::nullopt;
}

// Starts a run, or goes on with one that was interrupted, to its end. Of the one that was interrupted, what was found
// before is worked off; what has changed since is not looked for. So the next one follows, unless others may have
// worked on it all the time.
int WorkToTheEnd(Works& works, const documents::DocumentsSpec& spec) {
  auto& storage = works.owner.storage();
  std::optional<documents::DocumentsReport> before;
  while (true) {
    const auto run = documents::StartDocumentsRun(storage, spec);
    if (!run) return PrintError(run.error());
    if (run->joined && !works.cli.json) fmt::print(stderr, "going on with run {}\n", run->id);
    if (const auto ended = WorkOn(works, run->id)) return *ended;
    const auto row = storage.GetRun(run->id);
    const bool completed = row && *row && (*row)->state == storage::RunState::kCompleted;
    if (before || !run->joined || !completed || works.config.IsPostgres()) {
      works.cli.signals.reset();  // what follows only looks
      return Finished(storage, works.config, works.cli, run->id, before);
    }
    auto report = documents::RunReport(storage, run->id);
    if (!report) return PrintError(report.error());
    before = std::move(*report);
    if (works.cli.json) continue;
    Print(documents::ReportToText(*before));
    fmt::print(stderr, "looking for what changed since run {} began\n", run->id);
  }
}

int Run(Cli& cli, const RunOptions& options) {
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  for (const std::string& warning : config->warnings()) PrintWarning(warning);
  base::ConfigureLog(LogOptionsOf(*config));
  const auto plan = ReadRunPlan(*config, options.words);
  if (!plan) return PrintError(plan.error().message, "millrace run --help", StatusOf(plan.error()));
  const auto spec = SpecOfPlan(*config, *plan);
  if (!spec) return PrintError(spec.error().message, "millrace run documents FOLDER");
  auto owner = Owner::Open(*config, "millrace run " + plan->pipeline, kPatience);
  if (!owner) return PrintError(owner.error());
  Works works{cli, *config, *plan, **owner, config->worker()};
  works.options.handle_signals = true;
  if (works.options.queues.empty()) works.options.queues = DocumentsQueues();
  if (auto takes = CheckTakesItsJobs(works.options); !takes) {
    return PrintError(takes.error().message, "millrace config show");
  }
  auto& storage = (*owner)->storage();
  WarnOfPausedQueues(storage, DbFlag(*config));
  const auto merged = documents::MergeWithKnown(storage, *spec);
  if (!merged) return PrintError(merged.error());
  for (const std::string& note : merged->notes) fmt::print(stderr, "{}\n", Printable(note));
  const DumpOnSigquit dump;
  (*owner)->health().Watch(storage, Duration(config->Get("http.health_check_interval").number),
                           [stuck = works.stuck] { return (*stuck)(); });
  (*owner)->WatchFleet(works.options.type);
  // Some file systems take no sockets; the work itself needs none.
  if (auto serving = (*owner)->Serve(); !serving) {
    PrintWarning("other commands cannot reach this run: " + serving.error().message);
  }
  (*owner)->health().SetPhase(http::Phase::kServing);
  return WorkToTheEnd(works, merged->spec);
}

}  // namespace

void AddRunCommand(CLI::App& app, Cli& cli) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command =
      AddCommand(app, cli, "run", "Run a pipeline to its end in this process: discover, work, report",
                 "  millrace run documents ~/papers             ingest a folder, or what changed in it\n"
                 "  millrace run documents --config m.yaml      the sources the configuration names\n"
                 "  millrace run ~/papers --db p.db --json      for programs\n",
                 Json::kYes, [&cli, options] {
                   if (!options->concurrency.empty()) {
                     cli.flags.push_back({"worker.concurrency", "--concurrency", options->concurrency});
                   }
                   return Run(cli, *options);
                 });
  command->add_option("WORDS", options->words,
                      "[PIPELINE] [INPUT...]: a pipeline's name (default documents), folders and files");
  command->add_option("--concurrency", options->concurrency, "Jobs at once (default: one per core)");
}

}  // namespace millrace::cli
