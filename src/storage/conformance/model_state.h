// The rules of storage.h as plain data and plain loops: no locks, no indexes, nothing clever. MemoryStorage puts a
// mutex and a clock around it. Every function that takes `now` expects Tick(now) to have been called.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/job_state.h"
#include "engine/token_bucket.h"
#include "storage/storage.h"

namespace millrace::storage {

struct JobRecord {
  Job job;
  std::int64_t token = 0;        // of the lease; 0 when no worker holds it
  std::int64_t incarnation = 0;  // of the worker that holds it
  Time claimed_at{};
  JobId failed_dependency = 0;  // while it waits (its job says for what): the first that failed
};

struct QueueRecord {
  QueueOptions options;
  bool paused = false;
  engine::TokenBucket bucket;
};

struct WorkerRecord {
  WorkerRow row;                                                     // of the latest incarnation
  std::map<std::int64_t, Time> beats;                                // last sign of life of each incarnation
  std::map<std::int64_t, std::map<std::string, Duration>> timeouts;  // of kinds, by incarnation
};

struct LeaderRecord {
  WorkerRef holder;
  std::int64_t epoch = 0;
  Time until{};
};

struct RunRecord {
  RunRow row;  // open, counts and leader are looked up when asked for
  std::vector<NewJob> finals;
};

// Picks the lane of the next job to claim from those that have one.
using LaneChoice = std::function<std::optional<Priority>(const engine::LaneWaits&)>;

// Everything a database would hold. Copyable, so that a transaction can be undone.
class MemoryState {
 public:
  explicit MemoryState(StorageOptions options);

  // Scheduled and retryable jobs whose time has come become available.
  void Tick(Time now);

  // Jobs of producers, or (emitted) those of a running job, which no capacity rejects. All or none.
  Result<std::vector<Enqueued>> Enqueue(std::span<const NewJob> jobs, Time now);
  Result<std::vector<Enqueued>> Emit(std::span<const NewJob> jobs, RunId run, Time now);

  Result<Claimed> Claim(const ClaimRequest& request, Time now, const LaneChoice& choose);
  [[nodiscard]] bool HasWork(const ClaimRequest& request, Time now);
  [[nodiscard]] std::optional<Time> NextDue(const ClaimRequest& request) const;

  Result<Accepted> ReportAll(const WorkerRef& worker, std::span<const Report> reports, Time now);
  [[nodiscard]] bool Holds(const WorkerRef& worker, JobId id, int attempt, std::int64_t token) const;

  [[nodiscard]] bool IsCurrent(const WorkerRef& worker) const;
  Result<WorkerRef> Register(const WorkerInfo& info, Time now);
  HeartbeatReply Beat(const WorkerRef& worker, WorkerState state, std::span<const JobProgress> progress, Time now);
  void Stop(const WorkerRef& worker, Time now);
  std::vector<Rescued> Rescue(Duration stale_threshold, Duration grace, Time now);

  Result<Leadership> Lead(const WorkerRef& worker, const Campaign& campaign, Time now);
  void Resign(const WorkerRef& worker, const std::string& scope, Time now);
  [[nodiscard]] std::vector<Leadership> Leaders(Time now) const;
  // Refuses what is said to be done as a leader that leads no more.
  [[nodiscard]] Result<void> CheckLeads(const Leadership& as, Time now) const;

  std::vector<JobId> Cancel(const JobFilter& filter, Time now);
  std::vector<JobId> RetryDead(const JobFilter& filter, Time now);
  std::int64_t DeleteOld(Old what, Time before, std::int64_t limit);

  // Starts the final stages whose time has come. Reports leave it to the end of their call or transaction.
  void SettleRuns(Time now);
  Result<StartedRun> StartRun(const RunSpec& spec, Time now);
  Result<void> CancelRun(RunId id, Time now);
  [[nodiscard]] RunRow Row(const RunRecord& run) const;
  [[nodiscard]] QueueRow Row(const QueueRecord& queue) const;
  [[nodiscard]] WorkerRow Row(const WorkerRecord& worker) const;

  QueueRecord& Queue(const std::string& name);

  StorageOptions options;
  std::map<JobId, JobRecord> jobs;
  std::map<JobId, std::vector<Attempt>> attempts;
  std::map<std::string, QueueRecord> queues;
  std::map<std::string, WorkerRecord> workers;
  std::map<RunId, RunRecord> runs;
  std::map<std::string, LeaderRecord> leaders;  // by scope
  std::set<std::string> kinds;

 private:
  friend class ClaimScan;

  // What becomes of a NewJob: a duplicate of `holder`, or a new job of `priority`.
  struct Placement {
    std::optional<JobId> holder;
    std::optional<std::size_t> holder_in_batch;
    Priority priority = Priority::kDefault;
  };
  Result<std::vector<Placement>> Place(std::span<const NewJob> batch, bool limited) const;
  Result<Priority> LaneWithRoom(const NewJob& job,
                                std::map<std::pair<std::string, Priority>, std::int64_t>& counts) const;
  std::vector<Enqueued> InsertAll(std::span<const NewJob> batch, const std::vector<Placement>& placements,
                                  std::optional<RunId> run, Time now);
  JobId Insert(const NewJob& job, Priority priority, RunId run, Time now);

  [[nodiscard]] Result<void> CheckDependencies(std::span<const NewJob> batch) const;
  void AddDependencies(JobRecord& record, const NewJob& from, const std::vector<Enqueued>& batch);
  // What has become of waiting jobs now that those of finished_ have finished, and on from there.
  void SettleDependents(Time now);
  void DecideWaiting(JobRecord& record, Time now);
  [[nodiscard]] std::optional<JobId> HolderOf(const std::string& unique_key) const;

  void Finish(JobRecord& record, Time now);
  bool ApplyReport(const WorkerRef& worker, const Report& report, Time now);
  void ApplyFailure(JobRecord& record, const Report& report, Time now);
  void AddAttempt(const JobRecord& record, std::string outcome, std::string error, Time now);
  void LeaveRunning(JobRecord& record, engine::JobEvent event, Time now);
  void Crash(JobRecord& record, Time now);
  void Expire(JobRecord& record, Time now);
  [[nodiscard]] bool IsSilent(const JobRecord& record, Duration stale_threshold, Time now) const;
  [[nodiscard]] Duration TimeoutOf(const JobRecord& record) const;
  [[nodiscard]] bool IsExpired(const JobRecord& record, Duration grace, Time now) const;

  [[nodiscard]] std::int64_t OpenJobs(RunId run) const;
  Result<void> StartStage(RunRow& run, const NewJob& job, Time now);
  void EndLeaderships(const std::string& worker, Time now);

  std::int64_t DeleteFinished(const std::set<JobState>& states, Time before, std::int64_t limit);
  std::int64_t DeleteRuns(Time before, std::int64_t limit);
  std::int64_t DeleteWorkers(Time before, std::int64_t limit);

  std::set<JobId> finished_;  // in this call, their dependents not yet told
  JobId last_job_ = 0;
  RunId last_run_ = 0;
  std::int64_t last_incarnation_ = 0;
  std::int64_t last_token_ = 0;
};

// `time + by`, or the last moment there is.
[[nodiscard]] Time After(Time time, Duration by);

// Whether a job is one the filter asks for, its limit aside.
[[nodiscard]] bool Matches(const JobFilter& filter, const Job& job);

}  // namespace millrace::storage
