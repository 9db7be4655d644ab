// One random run: what it draws its arguments from, and one operation after another. By purpose, the operations are in
// random_ops.cc (jobs, runs, time, and which comes when), random_attempts.cc (claims and reports) and random_people.cc
// (workers, and what people ask).
#pragma once

#include <deque>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "storage/conformance/random_ops_impl.h"

namespace millrace::storage {

inline constexpr int kWorkerIds = 5;
inline constexpr Duration kTick =
    std::chrono::milliseconds(250);  // all times are multiples, so that rates come out even

inline const std::vector<std::string> kQueues = {"plain", "other", "narrow", "rated", "full", "spill", "block"};

// Queues of each kind of limit, and retry delays without chance.
StorageOptions RandomOptions();

// For the list of the last operations.
std::string Describe(const std::vector<NewJob>& jobs);
std::string Describe(const ClaimRequest& request);
std::string Describe(const Report& report);

// Not thread-safe. Each operation throws Difference when the driver and the model disagree.
class RandomRun {
 public:
  RandomRun(const Factory& driver, std::uint64_t seed) : random_(seed), pair_(driver, RandomOptions()) {
    for (int i = 0; i < kWorkerIds; ++i) Register(i);
  }

  void Step();
  void Check() { pair_.CompareEverything(); }
  [[nodiscard]] const std::deque<std::string>& log() const { return log_; }

 private:
  // ---- Chance
  int Below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random_); }
  bool Chance(int percent) { return Below(100) < percent; }
  template <class T>
  const T& Any(const std::vector<T>& from) {
    return from[static_cast<std::size_t>(Below(static_cast<int>(from.size())))];
  }
  Duration AnyDelay() { return kTick * (1 + Below(40)); }
  void Note(const std::string& text);

  // ---- Making arguments
  NewJob AnyJob();
  std::vector<NewJob> AnyJobs(int most);
  void Depend(NewJob& job, std::size_t index);
  std::vector<NewJob> ForModel(std::vector<NewJob> jobs) const;
  std::pair<Report, Report> AnyReport(std::size_t& worker);
  std::pair<std::vector<Report>, std::vector<Report>> AnyReports(std::size_t& worker);
  std::pair<ClaimRequest, ClaimRequest> AnyClaim(std::size_t worker);
  std::pair<JobFilter, JobFilter> AnyFilter();
  std::size_t AnyWorker() { return static_cast<std::size_t>(Below(static_cast<int>(workers_.size()))); }

  // ---- Operations
  void Enqueue();
  void Transact();
  void Claim();
  void Report_();
  void ReportAndClaim();
  void EmitNow();
  void Heartbeat();
  void HeartbeatAll();
  void Rescue();
  void RegisterWorker();
  void Register(int number);
  void StopWorker();
  void Cancel();
  void RetryDead();
  void Delete();
  void Pause();
  void Configure();
  void StartRun();
  void CancelRun();
  void Advance();
  void List();
  void Reopen();

  void CompareAccepted(const Result<Accepted>& real, const Result<Accepted>& model);
  void Remember(std::size_t worker, const Claimed& real, const Claimed& model);

  std::mt19937_64 random_;
  Pair pair_;
  std::deque<std::string> log_;
  std::vector<PairedWorker> workers_;
  std::vector<PairedLease> leases_;
  int next_tag_ = 0;
};

}  // namespace millrace::storage
