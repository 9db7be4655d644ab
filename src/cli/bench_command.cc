#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/log.h"
#include "base/try.h"
#include "cli/cli.h"
#include "millrace/worker.h"

namespace millrace::cli {
namespace {

struct BenchOptions {
  std::string workload = "noop";
  std::string folder;
  std::int64_t jobs = 200'000;
  int concurrency = 0;
};

struct BenchResult {
  std::int64_t jobs = 0;
  double enqueue_seconds = 0, work_seconds = 0;
};

constexpr std::size_t kBatch = 1000;
constexpr const char* kQueue = "millrace-bench";

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// A folder of its own, removed at the end.
class TemporaryFolder {
 public:
  static Result<std::unique_ptr<TemporaryFolder>> Make(const std::string& parent) {
    std::string pattern = parent + "/millrace-bench-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) {
      return fail(ErrorCode::kIo, fmt::format("{}: cannot make a folder there: {}", parent, std::strerror(errno)));
    }
    auto folder = std::make_unique<TemporaryFolder>();
    folder->path_ = pattern;
    return folder;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Enqueues in batches, each its own durable transaction; then the real worker works them all.
Result<BenchResult> Measure(const BenchOptions& options, const StorageOptions& storage) {
  MILLRACE_ASSIGN(Client client, Client::open(storage));
  BenchResult result{options.jobs, 0, 0};
  NewJob job;
  job.kind = "noop";
  job.queue = kQueue;
  std::vector<NewJob> batch;
  auto start = std::chrono::steady_clock::now();
  for (std::int64_t left = options.jobs; left > 0; left -= static_cast<std::int64_t>(batch.size())) {
    batch.assign(static_cast<std::size_t>(std::min<std::int64_t>(left, kBatch)), job);
    MILLRACE_TRY(client.enqueue(batch));
  }
  result.enqueue_seconds = SecondsSince(start);
  if (options.workload == "enqueue") return result;
  WorkerOptions worker_options;
  worker_options.concurrency = options.concurrency;
  worker_options.max_jobs = options.jobs;
  worker_options.queues = {kQueue};
  worker_options.handle_signals = true;
  std::atomic<std::int64_t> ran = 0;
  Worker worker(client, worker_options);
  worker.handle_raw("noop", [&ran](Context&) {
    ran.fetch_add(1, std::memory_order_relaxed);
    return Outcome::done();
  });
  start = std::chrono::steady_clock::now();
  if (auto status = worker.run(); !status) return fail(status.error());
  result.work_seconds = SecondsSince(start);
  if (ran != options.jobs)
    return fail(ErrorCode::kCancelled, fmt::format("stopped after {} of {} jobs", ran.load(), options.jobs));
  return result;
}

double Rate(std::int64_t jobs, double seconds) { return seconds > 0 ? static_cast<double>(jobs) / seconds : 0; }

// On a file of its own, which goes afterwards; or on the PostgreSQL that was named, in a queue of its own.
Result<BenchResult> MeasureThere(const runtime::Config& config, const BenchOptions& options, std::string& place) {
  if (config.IsPostgres()) {
    place = config.database();
    return Measure(options, config.storage());
  }
  place = options.folder.empty() ? std::filesystem::temp_directory_path().string() : options.folder;
  MILLRACE_ASSIGN(const auto folder, TemporaryFolder::Make(place));
  StorageOptions storage;
  storage.url = folder->path() + "/bench.db";
  storage.owner = "millrace bench";
  return Measure(options, storage);
}

int Bench(const Cli& cli, const BenchOptions& options) {
  base::ConfigureLog({base::Level::kError, false});
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  std::string place;
  const auto result = MeasureThere(*config, options, place);
  if (!result) return PrintError(result.error());
  const double enqueue_rate = Rate(result->jobs, result->enqueue_seconds);
  const double work_rate = Rate(result->jobs, result->work_seconds);
  const bool works = options.workload == "noop";
  if (cli.json) {
    base::json::object body{{"workload", options.workload},
                            {"jobs", result->jobs},
                            {"jobs_per_second", works ? work_rate : enqueue_rate},
                            {"enqueue_seconds", result->enqueue_seconds},
                            {"enqueued_per_second", enqueue_rate}};
    if (works) body["work_seconds"] = result->work_seconds;
    PrintJson(body);
    return kOk;
  }
  Print(fmt::format("{} {} jobs in {}\n", options.workload, Grouped(result->jobs), place));
  Print(fmt::format("enqueued  {:>12} jobs/s   {:.2f} s, in durable batches of {}\n",
                    Grouped(static_cast<std::int64_t>(enqueue_rate)), result->enqueue_seconds, kBatch));
  if (works) {
    Print(fmt::format("worked    {:>12} jobs/s   {:.2f} s, claimed, run, reported, history kept\n",
                      Grouped(static_cast<std::int64_t>(work_rate)), result->work_seconds));
  }
  Print(fmt::format("jobs_per_second {:.0f}\n", works ? work_rate : enqueue_rate));
  return kOk;
}

}  // namespace

void AddBenchCommand(CLI::App& app, Cli& cli) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command = AddCommand(
      app, cli, "bench", "Measure this machine: jobs per second through the real worker",
      "  millrace bench\n  millrace bench --db postgres://localhost/jobs     in a queue of its own; its history "
      "stays\n  millrace bench noop --jobs 1000000 --json\n  millrace bench enqueue --folder /var/tmp\n",
      Json::kYes, [&cli, options] { return Bench(cli, *options); });
  command
      ->add_option("WORKLOAD", options->workload, "noop: enqueue, then work jobs that do nothing; enqueue: only that")
      ->check(CLI::IsMember({"noop", "enqueue"}))
      ->capture_default_str();
  command->add_option("--jobs", options->jobs, "How many")->check(CLI::Range(1, 1'000'000'000))->capture_default_str();
  command->add_option("--concurrency", options->concurrency, "Jobs at once (default: one per core)")
      ->check(CLI::Range(0, 10000));
  command->add_option("--folder", options->folder,
                      "Where the database of the measurement goes (default: the system's temporary folder)");
}

}  // namespace millrace::cli
