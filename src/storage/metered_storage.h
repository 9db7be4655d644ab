// A Storage that counts the jobs which pass through it, in the metrics of its process: what OpenStorage gives.
//
// Counted is what the database has accepted, per batch. What it cannot see is not counted: jobs that another process or
// SQL enqueues (that process counts its own), the final stages of runs, and reports whose answer was lost. Jobs emitted
// with a completion are counted as enqueued, those among them whose unique key was taken included.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "base/metrics.h"
#include "storage/storage.h"

namespace millrace::storage {

// Passes everything on and fails as the storage inside. Thread-safe.
class MeteredStorage : public Storage {
 public:
  // `metrics` must outlive it. `waiting_queues`: those whose producers wait for room; what they are refused is no
  // rejection.
  MeteredStorage(std::unique_ptr<Storage> inner, base::Metrics& metrics, std::set<std::string> waiting_queues = {});

  Result<Time> Now() override { return inner_->Now(); }
  [[nodiscard]] std::string_view Name() const override { return inner_->Name(); }
  [[nodiscard]] std::string_view Schema() const override { return inner_->Schema(); }
  [[nodiscard]] PoolStats Connections() override { return inner_->Connections(); }

  // ---- Counted
  Result<std::vector<Enqueued>> Enqueue(std::span<const NewJob> jobs) override;
  Result<Claimed> Claim(const ClaimRequest& request) override;
  Result<Accepted> ReportOutcomes(const WorkerRef& worker, std::span<const Report> reports) override;
  Result<Exchange> ReportAndClaim(std::span<const Report> reports, const ClaimRequest& request) override;
  Result<void> Transact(const std::function<Result<void>(Transaction&)>& body) override;
  Result<std::vector<Enqueued>> EmitNow(const WorkerRef& worker, JobId id, int attempt, std::int64_t token,
                                        std::span<const NewJob> jobs) override;
  // Looks the rescued jobs up, to count them by queue, priority and kind.
  Result<std::vector<Rescued>> Rescue(Duration stale_threshold, Duration grace, const Leadership& as) override;
  Result<StartedRun> StartRun(const RunSpec& spec) override;

  // ---- Passed on
  using Storage::DeleteOld;
  using Storage::Heartbeat;
  using Storage::Rescue;
  Wake WaitForWork(const ClaimRequest& filter, Duration timeout, std::stop_token stop) override {
    return inner_->WaitForWork(filter, timeout, std::move(stop));
  }
  Result<void> Read(const std::function<Result<void>(SqlSession&)>& body) override { return inner_->Read(body); }
  Result<WorkerRef> RegisterWorker(const WorkerInfo& info) override { return inner_->RegisterWorker(info); }
  Result<HeartbeatReply> Heartbeat(const WorkerRef& worker, WorkerState state, std::span<const JobProgress> progress,
                                   const Campaign& campaign) override {
    return inner_->Heartbeat(worker, state, progress, campaign);
  }
  Result<void> StopWorker(const WorkerRef& worker) override { return inner_->StopWorker(worker); }
  Result<Leadership> Lead(const WorkerRef& worker, const Campaign& campaign) override {
    return inner_->Lead(worker, campaign);
  }
  Result<void> Resign(const WorkerRef& worker, const std::string& scope) override {
    return inner_->Resign(worker, scope);
  }
  Result<std::vector<Leadership>> Leaders() override { return inner_->Leaders(); }
  Result<std::vector<JobId>> Cancel(const JobFilter& filter) override { return inner_->Cancel(filter); }
  Result<std::vector<JobId>> RetryDead(const JobFilter& filter) override { return inner_->RetryDead(filter); }
  Result<std::int64_t> CountOld(Old what, Time before) override { return inner_->CountOld(what, before); }
  Result<std::int64_t> DeleteOld(Old what, Time before, int limit, const Leadership& as) override {
    return inner_->DeleteOld(what, before, limit, as);
  }
  Result<void> PauseQueue(const std::string& queue, bool paused) override { return inner_->PauseQueue(queue, paused); }
  Result<void> ConfigureQueues(std::span<const QueueOptions> queues) override {
    return inner_->ConfigureQueues(queues);
  }
  Result<std::optional<Job>> GetJob(JobId id) override { return inner_->GetJob(id); }
  Result<std::vector<Job>> ListJobs(const JobFilter& filter) override { return inner_->ListJobs(filter); }
  Result<std::vector<Attempt>> Attempts(JobId id) override { return inner_->Attempts(id); }
  Result<std::vector<QueueRow>> Queues() override { return inner_->Queues(); }
  Result<std::vector<WorkerRow>> Workers() override { return inner_->Workers(); }
  Result<std::set<std::string>> KnownKinds() override { return inner_->KnownKinds(); }
  Result<std::optional<RunRow>> GetRun(RunId id) override { return inner_->GetRun(id); }
  Result<std::vector<RunRow>> ListRuns(int limit) override { return inner_->ListRuns(limit); }
  Result<void> CancelRun(RunId id) override { return inner_->CancelRun(id); }

 private:
  friend class MeteredTransaction;
  void CountEnqueued(std::span<const NewJob> jobs, std::span<const Enqueued> results);
  void CountRejected(std::span<const NewJob> jobs, const Error& error);
  void CountReported(std::span<const Report> reports, const Accepted& accepted);
  // Finds each job's series, for its report, and observes how long it waited.
  void CountClaimed(std::vector<ClaimedJob>& jobs);
  void CountRescued(const std::vector<Rescued>& rescued);

  const std::unique_ptr<Storage> inner_;
  base::Metrics& metrics_;
  const std::set<std::string> waiting_queues_;
  std::mutex mutex_;  // of finder_; taken once a batch
  base::SeriesFinder finder_;
};

}  // namespace millrace::storage
