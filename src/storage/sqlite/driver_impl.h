// The driver's class, shared by the files that implement its methods: enqueue.cc, claim.cc, report.cc, workers.cc,
// leaders.cc, rescue.cc, requests.cc, inspect.cc and runs.cc, in the order of a job's life; dependencies.cc for jobs
// that wait.
//
// Every public method locks writer_mutex_ (or reader_mutex_) once; private ones expect it held. A write is
// InTransaction: BEGIN IMMEDIATE, the body, Flush (counters, partition heads, runs), COMMIT.
#pragma once

#include <condition_variable>
#include <mutex>

#include "base/try.h"
#include "sqlite_queries.h"
#include "storage/sqlite/database.h"
#include "storage/sqlite/driver.h"
#include "storage/sqlite/owner_lock.h"
#include "storage/sqlite/state.h"

namespace millrace::storage::sqlite {

inline std::int64_t Micros(Time time) { return time.time_since_epoch().count(); }
inline Time FromMicros(std::int64_t micros) { return Time(Duration(micros)); }
// Jobs a filter asks for, whole, in order of id.
Result<std::vector<Job>> FindJobs(Database& database, const JobFilter& filter);

class Driver : public Storage {
 public:
  Driver(OwnerLock lock, std::unique_ptr<Database> writer, std::unique_ptr<Database> reader, StorageOptions options,
         const base::Clock& clock);

  Result<Time> Now() override { return clock_.Now(); }
  [[nodiscard]] std::string_view Name() const override { return "sqlite"; }
  [[nodiscard]] PoolStats Connections() override;
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

  // At opening: reads the state, ends the workers of a process that died and gives back what they ran.
  Result<void> Start();
  // In its place where nothing may be written: reads the state.
  Result<void> StartToLook();

 private:
  friend class DriverTransaction;
  class Lane;
  class Lanes;

  // ---- driver.cc: transactions and the state in memory
  Result<void> InTransaction(const std::function<Result<void>()>& body);
  Result<void> Flush();
  Result<void> FlushCounts();
  Result<void> FlushPartitionHeads();
  void Woken();
  Result<void> Reload();
  Result<void> ReloadQueues();
  Result<void> ReloadWorkers();
  Result<void> ReloadLeases();
  Result<QueueState*> QueueByName(const std::string& name);
  Result<std::int64_t> KindByName(const std::string& name);
  void Count(QueueState& queue, Priority priority, JobState state, std::int64_t by);
  // A job of `queue`, `priority` and `run` goes from one state to another: counters of both.
  void Moved(QueueState& queue, Priority priority, RunId run, JobState from, JobState to);
  void TouchPartition(const QueueState& queue, Priority priority, std::string_view key);
  [[nodiscard]] std::string WorkerName(std::int64_t token) const;

  // ---- enqueue.cc
  enum class Limits { kApply, kIgnore };
  Result<std::vector<Enqueued>> EnqueueJobs(std::span<const NewJob> jobs, Limits limits);
  Result<std::vector<Priority>> CheckCapacity(std::span<const NewJob> jobs);
  Result<std::vector<Enqueued>> EmitJobs(std::span<const NewJob> jobs, RunId run);
  Result<void> CheckRuns(std::span<const NewJob> jobs);
  Result<bool> TakesEmits(RunId run);
  Result<std::optional<JobId>> HolderOf(std::string_view unique_key);
  Result<Enqueued> EnqueueOne(const NewJob& job, Priority priority, Time now, Statement& insert);

  // ---- dependencies.cc
  Result<std::optional<JobState>> StateOf(JobId id);
  Result<void> CheckDependencies(std::span<const NewJob> jobs);
  Result<void> LinkBatch(std::span<const NewJob> jobs, const std::vector<Enqueued>& batch, Time now);
  Result<void> AddDependencies(JobId id, const NewJob& job, const std::vector<Enqueued>& batch);
  // Every call that finishes jobs ends with SettleDependents, which tells those that wait for what was noted.
  void NoteFinished(JobId id, JobState state);
  Result<void> SettleDependents(Time now);
  // Runs or cancels a waiting job whose turn to be decided may have come.
  Result<void> DecideWaiting(JobId id, Time now);
  // It waits no more.
  Result<void> DropWaiting(JobId id);

  // ---- claim.cc
  Result<Claimed> ClaimJobs(const ClaimRequest& request);
  Result<void> MakeDue(Time now);
  Result<void> CheckWorker(const WorkerRef& worker) const;
  Result<void> TakeJobs(const ClaimRequest& request, Time now, Claimed& claimed);
  Result<ClaimedJob> StartJob(const QueueState& queue, Priority priority, JobId id, std::int64_t token, Time now);
  void EnterRunning(const ClaimedJob& job, QueueState& queue, std::int64_t incarnation, Lease& lease);
  Result<void> AddLease(std::int64_t token, Lease lease);
  Result<std::optional<Time>> NextDue(Time now);

  // ---- report.cc
  Result<Accepted> ReportJobs(const WorkerRef& worker, std::span<const Report> reports);
  Result<bool> ReportOne(const WorkerRef& worker, const Report& report, Time now);
  RunningJob* FindLease(const WorkerRef& worker, JobId id, int attempt, std::int64_t token);
  Result<void> FinishAttempt(const RunningJob& job, const Report& report, Time now);
  Result<void> Complete(JobId id, const std::string& result, Time now);
  // The job no longer runs: its lease, partition and counters.
  void LeaveRunning(JobId id, JobState to);
  // Without an error the row keeps the one it has.
  Result<void> WriteState(JobId id, JobState state, Time run_at, int uncounted, std::optional<std::string_view> error);
  Result<void> WriteFinished(JobId id, JobState state, Time now, std::optional<std::string_view> error);
  // Back to wait, or cancelled when somebody asked for that.
  Result<void> PutBack(JobId id, const RunningJob& job, JobState state, Time run_at, int uncounted,
                       std::optional<std::string_view> error, Time now);
  Result<void> AddAttempt(JobId id, const RunningJob& job, std::string_view outcome, std::string_view error, Time now);
  Result<void> DropLeases();

  // ---- leaders.cc
  struct LeaderState {
    WorkerRef holder;
    std::int64_t epoch = 0;
    Time until{};
    [[nodiscard]] bool Holds(const WorkerRef& worker, Time now) const;
  };
  Result<LeaderState> LeaderAfter(const WorkerRef& worker, const Campaign& campaign, Time now);
  Leadership KeepLeader(const WorkerRef& worker, const std::string& scope, const LeaderState& leader, Time now);
  // Refuses what is said to be done as a leader that leads no more.
  [[nodiscard]] Result<void> CheckLeads(const Leadership& as, Time now) const;
  void EndLeaderships(const std::string& worker, Time now);

  // ---- rescue.cc
  Result<Rescued> RescueCrashed(JobId id, Time now);
  Result<Rescued> RescueExpired(JobId id, Time now);
  std::vector<JobId> JobsOfSilentWorkers(Duration stale_threshold, Time now);
  std::vector<JobId> JobsPastDeadline(Duration grace, Time now);

  // ---- requests.cc
  Result<std::vector<JobId>> CancelJobs(const JobFilter& filter);
  Result<std::int64_t> DeleteJobs(const std::vector<JobId>& ids);
  Result<std::int64_t> DeleteOldFinished(Time before, int limit, const Leadership& as);
  Result<void> DeletePiece(Old what, Time before, std::int64_t piece, std::vector<std::int64_t>& ids);
  Result<void> ConfigureOne(const QueueOptions& options);

  // ---- runs.cc
  Result<void> FlushRuns();
  Result<void> FlushRun(RunId id, const RunDelta& delta);
  Result<void> AdvanceRun(RunId id);
  Result<void> ResumeDiscovery(RunId id, const NewJob& discovery);
  // Enqueues a stage's job, which the run then has as its stage_job.
  Result<void> StartStage(RunId id, const NewJob& stage);

  // ---- inspect.cc
  // Readers see jobs as available from the moment they are due, whether or not a claim has looked since.
  Result<void> SettleDue();

  OwnerLock lock_;
  bool only_looks_ = false;  // set before anybody calls
  const StorageOptions options_;
  const base::Clock& clock_;

  std::mutex writer_mutex_;
  std::unique_ptr<Database> writer_;
  State state_;
  std::map<std::string, LeaderState> leaders_;  // by scope
  engine::FairShare fair_share_;
  std::vector<std::int64_t> emptied_leases_;  // of the transaction under way
  Time oldest_finished_{};                    // no finished job is older, as far as they were looked at
  bool must_reload_ = false;                  // a transaction failed after it had changed the state in memory

  std::mutex reader_mutex_;
  std::unique_ptr<Database> reader_;

  // Counts commits that may have made work eligible. Its mutex is taken last and held for a moment.
  std::mutex work_mutex_;
  std::condition_variable_any work_changed_;
  std::uint64_t work_ = 0;
};

}  // namespace millrace::storage::sqlite
