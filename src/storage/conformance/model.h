// The obviously correct Storage: everything in memory, one mutex, linear scans. Drivers are compared with it.
//
// It keeps nothing on disk, runs no SQL (Transaction::sql and Read give kUnsupported) and is slow with many jobs.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "storage/conformance/model_state.h"
#include "storage/storage.h"

namespace millrace::storage {

// Thread-safe. `clock` must outlive it and everything reopened from it.
class MemoryStorage : public Storage {
 public:
  MemoryStorage(StorageOptions options, const base::Clock& clock);

  // As after a crash of the process: another driver on the same data, with none of this one's memory. This one must
  // not be used any more.
  [[nodiscard]] std::unique_ptr<MemoryStorage> Reopen() const;

  // Makes waiters look again; call it after moving a manual clock.
  void Poke();

  // The lanes the next claim takes its jobs from, in order, instead of asking FairShare: shows what that claim must
  // give when a driver chose these. A lane without an eligible job ends it; after the last lane FairShare goes on.
  void FollowLanes(std::vector<Priority> lanes);

  Result<Time> Now() override;
  [[nodiscard]] std::string_view Name() const override { return "memory"; }
  [[nodiscard]] PoolStats Connections() override { return {}; }
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
  // What outlives a driver: the "file".
  struct Shared {
    explicit Shared(StorageOptions options) : state(std::move(options)) {}
    std::mutex mutex;
    std::condition_variable_any changed;
    std::int64_t version = 0;
    MemoryState state;
  };

  MemoryStorage(std::shared_ptr<Shared> shared, const base::Clock& clock);
  // One call: the mutex, the time, due jobs moved on; `body(state, now)`; waiters woken.
  template <class Body>
  auto Call(Body body);
  LaneChoice Chooser();

  std::shared_ptr<Shared> shared_;
  const base::Clock& clock_;
  engine::FairShare share_;
  std::vector<Priority> follow_;
};

}  // namespace millrace::storage
