// A Storage that fails on purpose: errors before a call, replies lost after it, and delays, by a seeded plan. For tests
// of what callers do about it, and for `stress`.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string_view>

#include "storage/storage.h"

namespace millrace::storage {

// The calls that can be made to fail. WaitForWork and Name cannot; a delay also reaches WaitForWork.
enum class Method {
  kNow,
  kEnqueue,
  kWaitForWork,
  kClaim,
  kReportOutcomes,
  kReportAndClaim,
  kTransact,
  kRead,
  kEmitNow,
  kRegisterWorker,
  kHeartbeat,
  kStopWorker,
  kRescue,
  kCancel,
  kRetryDead,
  kDeleteOld,
  kPauseQueue,
  kConfigureQueues,
  kLook,  // GetJob, ListJobs, Attempts, Queues, Workers, KnownKinds, CountOld, GetRun, ListRuns, Leaders
  kStartRun,
  kCancelRun,
  kLead,
  kResign,
};
inline constexpr int kMethodCount = 23;

[[nodiscard]] std::string_view MethodName(Method method);

// What happens to one call.
enum class Fault {
  kNone,
  kBefore,  // kDatabaseUnavailable, and the call is not made
  kAfter,   // the call is made, its reply is lost: kDatabaseUnavailable
};

// How often each method fails, from 0 to 1.
struct FaultRates {
  double before = 0;
  double after = 0;
};

// Thread-safe as far as the storage inside is. With one thread, the same seed and calls give the same faults.
class FaultyStorage : public Storage {
 public:
  // Called before each call, without a lock held: may block, to hold a call up for as long as a test wants.
  using DelayHook = std::function<void(Method)>;

  FaultyStorage(std::unique_ptr<Storage> inner, std::uint64_t seed, DelayHook delay = nullptr);

  void SetRates(Method method, FaultRates rates);
  void SetAllRates(FaultRates rates);
  // The next call of this method fails so, whatever the rates say. Several add up, in order.
  void FailNext(Method method, Fault fault);
  // Faults so far.
  [[nodiscard]] std::int64_t injected() const;
  [[nodiscard]] Storage& inner() { return *inner_; }

  Result<Time> Now() override;
  [[nodiscard]] std::string_view Name() const override { return inner_->Name(); }
  [[nodiscard]] std::string_view Schema() const override { return inner_->Schema(); }
  [[nodiscard]] PoolStats Connections() override { return inner_->Connections(); }
  Result<std::vector<Enqueued>> Enqueue(std::span<const NewJob> jobs) override;
  Wake WaitForWork(const ClaimRequest& filter, Duration timeout, std::stop_token stop) override;
  Result<Claimed> Claim(const ClaimRequest& request) override;
  Result<Accepted> ReportOutcomes(const WorkerRef& worker, std::span<const Report> reports) override;
  Result<Exchange> ReportAndClaim(std::span<const Report> reports, const ClaimRequest& request) override;
  Result<void> Transact(const std::function<Result<void>(Transaction&)>& body) override;
  Result<void> Read(const std::function<Result<void>(SqlSession&)>& body) override;
  Result<std::vector<Enqueued>> EmitNow(const WorkerRef& worker, JobId id, int attempt, std::int64_t token,
                                        std::span<const NewJob> jobs) override;
  Result<WorkerRef> RegisterWorker(const WorkerInfo& info) override;
  using Storage::Heartbeat;
  Result<HeartbeatReply> Heartbeat(const WorkerRef& worker, WorkerState state, std::span<const JobProgress> progress,
                                   const Campaign& campaign) override;
  Result<void> StopWorker(const WorkerRef& worker) override;
  Result<Leadership> Lead(const WorkerRef& worker, const Campaign& campaign) override;
  Result<void> Resign(const WorkerRef& worker, const std::string& scope) override;
  Result<std::vector<Leadership>> Leaders() override;
  using Storage::Rescue;
  Result<std::vector<Rescued>> Rescue(Duration stale_threshold, Duration grace, const Leadership& as) override;
  Result<std::vector<JobId>> Cancel(const JobFilter& filter) override;
  Result<std::vector<JobId>> RetryDead(const JobFilter& filter) override;
  Result<std::int64_t> CountOld(Old what, Time before) override;
  using Storage::DeleteOld;
  Result<std::int64_t> DeleteOld(Old what, Time before, int limit, const Leadership& as) override;
  Result<void> PauseQueue(const std::string& queue, bool paused) override;
  Result<void> ConfigureQueues(std::span<const QueueOptions> queues) override;
  Result<std::optional<Job>> GetJob(JobId id) override;
  Result<std::vector<Job>> ListJobs(const JobFilter& filter) override;
  Result<std::vector<Attempt>> Attempts(JobId id) override;
  Result<std::vector<QueueRow>> Queues() override;
  Result<std::vector<WorkerRow>> Workers() override;
  Result<std::set<std::string>> KnownKinds() override;
  Result<StartedRun> StartRun(const RunSpec& spec) override;
  Result<std::optional<RunRow>> GetRun(RunId id) override;
  Result<std::vector<RunRow>> ListRuns(int limit) override;
  Result<void> CancelRun(RunId id) override;

 private:
  struct MethodPlan {
    FaultRates rates;
    std::vector<Fault> next;
  };

  Fault Decide(Method method);
  static Error Injected(Method method, std::string_view what);
  template <class Call>
  auto Through(Method method, Call call) -> decltype(call());

  std::unique_ptr<Storage> inner_;
  DelayHook delay_;
  mutable std::mutex mutex_;
  std::mt19937_64 random_;
  std::array<MethodPlan, kMethodCount> plans_;
  std::int64_t injected_ = 0;
};

}  // namespace millrace::storage
