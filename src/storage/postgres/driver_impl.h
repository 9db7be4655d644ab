// The driver's class, shared by the files that implement its methods, in the order of a job's life: enqueue.cc,
// claim.cc, wait.cc, report.cc, workers.cc, leaders.cc, rescue.cc, requests.cc, inspect.cc, runs.cc.
//
// It keeps no state that matters: what is in memory (turns between lanes, who is idle) may be lost at any moment.
// Thread-safe: each call takes a connection of its own from the pool.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>

#include "base/try.h"
#include "storage/postgres/columns.h"
#include "storage/postgres/driver.h"
#include "storage/postgres/listener.h"
#include "storage/postgres/pool.h"
#include "storage/postgres/statements.h"

namespace millrace::storage::postgres {

struct Plan;  // deal.h

// Jobs per transaction where there may be very many, so that workers get their turns, it ends within the time a
// statement has, and its locks (one for each partition) have room in the server.
inline constexpr int kPiece = 1000;

class Driver : public Storage {
 public:
  Driver(StorageOptions options, PoolOptions pool, ConnectOptions listen);

  // Configures the options' queues, makes history's next partitions, starts listening.
  Result<void> Start();

  Result<Time> Now() override;
  [[nodiscard]] std::string_view Name() const override { return "postgresql"; }
  [[nodiscard]] std::string_view Schema() const override { return options_.schema; }
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

 private:
  friend class DriverTransaction;

  // ---- driver.cc
  // One statement in a transaction of its own; run again when it lost a race with another transaction.
  Result<ResultSet> Run(const Query& query, const Params& params);
  Result<std::vector<ResultSet>> RunTogether(std::span<const Call> calls);
  // What a committed transaction leaves to be done. It stands whatever becomes of that: runs that may be over are also
  // looked at by the leader's maintenance, and idle workers look now and then.
  struct Afterwards {
    struct Freed {  // arrays, as the server sent them
      std::string queues, priorities;
    };
    std::vector<RunId> runs;   // may be over: the final stage may start
    std::vector<Freed> freed;  // lanes in which others may work now
  };
  void FollowUp(const Afterwards& after);
  void AdvanceRuns(const std::vector<RunId>& runs);

  // ---- enqueue.cc
  [[nodiscard]] Params EnqueueParams(std::span<const NewJob> jobs) const;
  // In the connection's open transaction.
  Result<std::vector<Enqueued>> EnqueueOn(Connection& connection, std::span<const NewJob> jobs);

  // ---- claim.cc
  // Numbers the claim, so that it can be named should its answer be lost.
  struct NumberedClaim {
    std::int64_t number = 0;
    Params params;
  };
  [[nodiscard]] NumberedClaim ClaimParams(const ClaimRequest& request);
  // Whether the worker's latest claim was large, full and of one lane.
  bool IsBusy(const WorkerRef& worker);
  // Remembers a claim that failed without saying whether it took anything; and releases what such claims took.
  void NoteLost(const WorkerRef& worker, std::int64_t claim, const Error& error);
  void Abandon(const WorkerRef& worker, std::int64_t claim);
  void ReleaseLost(const WorkerRef& worker);
  // `seen`: of work_, before the claim.
  Result<Claimed> FinishClaim(const ClaimRequest& request, const ResultSet& rows, std::uint64_t seen,
                              std::int64_t number);
  Result<Claimed> ClaimPlanned(const ClaimRequest& request, const ResultSet& candidates, std::int64_t number);
  // How often others take what this worker has chosen decides how many spares its next claim asks for.
  void NoteRace(const WorkerRef& worker, const Plan& plan, std::span<const ClaimedJob> jobs);
  void NoteClaim(const ClaimRequest& request, const Claimed& claimed, bool one_lane);
  // After a claim that was told there is nothing; due: from now.
  void NoteNothing(const ClaimRequest& request, std::uint64_t seen, std::optional<Duration> due);

  // ---- wait.cc
  void OnNotification(std::string_view payload);
  std::uint64_t WorkSeen();
  Result<bool> DeclareIdle(const ClaimRequest& filter);
  struct Looked {
    bool work = false;
    std::optional<Duration> due;  // from now
    bool settled = false;
    std::int64_t idle_workers = 0;
  };
  Result<Looked> Look(const ClaimRequest& filter, std::string& bound);
  struct Looks {
    Duration pause;          // until the next one, while producers have to be waited for
    bool declared = false;   // as idle, in this wait
    std::string bound = {};  // see Look
  };
  struct Sleep {
    std::uint64_t seen;  // of work_, when it was known that there is none
    Duration longest;
  };
  std::optional<Sleep> QuietSleep(std::int64_t incarnation);
  std::optional<Sleep> LookedSleep(const ClaimRequest& filter, Looks& looks);

  // ---- report.cc
  // In the connection's open transaction; `after` gets what is to be done once it commits.
  Result<Accepted> ReportOn(Connection& connection, const WorkerRef& worker, std::span<const Report> reports,
                            Afterwards& after);
  Result<void> CheckEmits(Connection& connection, const WorkerRef& worker, std::span<const Report> reports,
                          std::vector<bool>& refused);
  Result<std::vector<bool>> Refused(const WorkerRef& worker, std::span<const Report> reports);
  // Reports and claims at the same time, on a connection each.
  Result<Exchange> ReportBesideClaim(Pool::Lease reporting, Pool::Lease claiming, const Params& report,
                                     const std::vector<bool>& refused, const ClaimRequest& request);
  static Params ReportParams(const WorkerRef& worker, std::span<const Report> reports,
                             const std::vector<bool>& refused);
  static Accepted ReadAccepted(const ResultSet& rows, const std::vector<bool>& refused, Afterwards& after);

  // ---- leaders.cc
  static Params CampaignParams(const WorkerRef& worker, const Campaign& campaign);
  static Leadership ReadLeadership(const Campaign& campaign, const ResultSet::Row& row);
  // One statement in a transaction of its own, refused when it is said to be done as a leader that leads no more.
  Result<ResultSet> RunAs(const Leadership& as, const Query& query, const Params& params);

  // ---- rescue.cc
  struct Verdicts;
  [[nodiscard]] Verdicts JudgeRescued(const ResultSet& rows);

  // ---- requests.cc
  Result<std::vector<JobId>> CancelIds(const std::vector<JobId>& ids);
  Result<void> ConfigureOne(const QueueOptions& options);

  // ---- runs.cc
  Result<std::vector<RunRow>> ReadRuns(RunId id, int limit);

  const StorageOptions options_;
  const Statements statements_;
  const ConnectOptions listen_;
  Pool pool_;

  std::mutex share_mutex_;
  engine::FairShare fair_share_;

  std::mutex retries_mutex_;
  std::map<std::string, RetryPolicy> queue_retries_;

  // A place in a lane.
  struct Near {
    std::string queue;
    Priority priority;
    Time run_at;
  };

  // Notifications that may mean work, and what each worker of this process knows of them. Its mutex is taken last.
  struct Waiting {
    bool idle = false;              // an idle_worker row says so
    bool settled = false;           // producers that might not have seen that row have ended
    int full_claims = 0;            // one after the other
    int spares = 0;                 // partitions, for the next claim
    std::int64_t idle_workers = 0;  // everywhere, at the latest look
    std::optional<Sleep> quiet;     // what follows from the latest claim, if that found nothing
    // Where its latest claim ended, if that was large, full and of one lane; and when it last looked at all lanes.
    std::optional<Near> near;
    std::chrono::steady_clock::time_point looked_at;
    std::int64_t claims = 0;                                                           // made so far
    std::vector<std::pair<std::int64_t, std::chrono::steady_clock::time_point>> lost;  // by number; when
  };
  std::mutex work_mutex_;
  std::condition_variable_any work_changed_;
  std::uint64_t work_ = 0;
  std::map<std::int64_t, Waiting> waiting_;  // by incarnation

  std::unique_ptr<Listener> listener_;  // last: its thread uses the rest
};

// How long one of so many idle workers sleeps before it looks again without having been told of work: 2 s and more,
// less up to a fifth so that they do not look together.
Duration LookEvery(std::int64_t idle_workers);

// Jobs a filter asks for, in order of id: their ids, or whole.
Result<std::vector<Job>> FindJobs(Connection& connection, std::string_view schema, const JobFilter& filter);

}  // namespace millrace::storage::postgres
