// The driver's claim alone, with few jobs waiting and with many: what the worker asks the database for.
#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench.h"
#include "storage/open.h"

namespace millrace::bench {
namespace {

using Clock = std::chrono::steady_clock;

template <class T>
T Must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

// A database in which a steady number of jobs waits, and the times of claiming and reporting batches of it.
class Backlog {
 public:
  Backlog(const Setting& setting, const std::string& name, std::int64_t waiting) {
    StorageOptions options;
    options.url = (setting.folder / (name + ".db")).string();
    options.owner = "bench";
    storage_ = Must(storage::OpenStorage(options));
    worker_ = Must(storage_->RegisterWorker({.id = "bench", .host = "bench", .slots = kBatch, .kinds = {"noop"}}));
    for (std::int64_t i = 0; i < waiting; i += kBatch) Fill();
  }

  // Takes a batch, completes it, and puts as many new ones in its place.
  void Round() {
    storage::ClaimRequest request{.worker = worker_, .max_jobs = kBatch};
    auto start = Clock::now();
    storage::Claimed claimed = Must(storage_->Claim(request));
    auto middle = Clock::now();
    std::vector<storage::Report> reports;
    for (const storage::ClaimedJob& job : claimed.jobs) {
      reports.push_back({.id = job.id, .attempt = job.attempt, .token = job.token});
    }
    auto before_report = Clock::now();
    Must(storage_->ReportOutcomes(worker_, reports));
    report_.push_back(std::chrono::duration<double>(Clock::now() - before_report).count());
    claim_.push_back(std::chrono::duration<double>(middle - start).count());
    if (claimed.jobs.size() != kBatch) throw std::runtime_error("a claim gave fewer jobs than it asked for");
    Fill();
  }

  [[nodiscard]] double ClaimsPerSecond() { return kBatch / Median(claim_); }
  [[nodiscard]] double ReportsPerSecond() { return kBatch / Median(report_); }

 private:
  static constexpr int kBatch = 500;

  static double Median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
  }

  void Fill() {
    std::vector<NewJob> jobs(kBatch);
    for (NewJob& job : jobs) {
      job.kind = "noop";
      job.args = R"({"account":12345678,"template":"welcome","locale":"en-GB"})";
    }
    Must(storage_->Enqueue(jobs));
  }

  std::unique_ptr<storage::Storage> storage_;
  storage::WorkerRef worker_;
  std::vector<double> claim_, report_;
};

void ClaimsWorkload(const Setting& setting, Results& results) {
  std::int64_t waiting = setting.jobs > 0 ? setting.jobs : 1'000'000;
  Backlog few(setting, "few", 10'000), many(setting, "many", waiting);
  // In turn, so that both see the same machine.
  for (int round = 0; round < 200; ++round) {
    few.Round();
    many.Round();
  }
  std::string name = "claims." + std::to_string(waiting) + "_waiting";
  results.Add("claims.10000_waiting", few.ClaimsPerSecond(), "jobs/s", "one claim of 500; median of 200");
  results.Add(name, many.ClaimsPerSecond(), "jobs/s", "the same, in turn with it");
  results.Add("claims.ratio", many.ClaimsPerSecond() / few.ClaimsPerSecond(), "", "target: at least 0.9");
  results.Add("claims.report_ratio", many.ReportsPerSecond() / few.ReportsPerSecond(), "", "reporting those batches");
}

}  // namespace

std::vector<Workload> ClaimWorkloads() {
  return {{"claims", "claim speed with 10,000 and with 1,000,000 jobs waiting", ClaimsWorkload}};
}

}  // namespace millrace::bench
