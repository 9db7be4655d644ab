// The driver interface: everything the engine asks of a database, in the order of a job's life.
//
// Every call takes and returns batches; none is per job on the hot path. A Storage is thread-safe.
// Time is the database's clock (now()). Failures: kDatabaseUnavailable (try again later), kDiskFull,
// kReadOnly, kCorrupt, kInternal from any call; others are named where they occur. A call that fails
// has changed nothing.
//
// Shared meanings, the same in every driver (storage/conformance shows them):
// - Eligible: state available, in a queue that is not paused and has room (concurrency, rate), of a partition nobody
// else holds.
// - Due: scheduled and retryable jobs are available from the moment run_at <= now, to claims and to every look alike. A
// run_at in
//   the past is stored as now.
// - Claim order: engine::FairShare (one per Storage, in memory) picks the priority of each job in turn among the lanes
// that have an
//   eligible job for this request; within a priority jobs go by (run_at, id), over all queues together.
// - A lease is (job, attempt, token). A write whose lease is not the job's current one is refused. Tokens are never
// given twice.
// - Attempts: a claim counts one; snooze, release and crash take it off again. Crashes count apart.
// - run_at: kept by release and crash; now + delay after retry and snooze; now when a dead job is retried.
// - A worker that is superseded, stopped or unknown claims nothing (kLeaseLost) and all its reports are refused.
// - A pending cancel request turns every way back to wait (retry, snooze, release, crash, timeout) into cancelled;
// completed stands.
// - Unique keys hold over all queues, from enqueue to completed, cancelled or dead. In one batch the first of a key is
// the job.
// - Capacity rejects producers only: emits, retries, releases and a run's own stages always find room. Duplicates take
// none.
// - A run's jobs are added by producers only while it is active (else kInvalidArgument); emitted jobs always belong to
// the emitter's run.
// - A cancelled run takes no more jobs: EmitNow is kConflict, and what a report emits is left out.
// - Dependencies are named at enqueue only (`after`, `after_in_batch`), so no circle of them can be made. Each job
// named must be there, unfinished or in history, where it counts by what became of it; else kInvalidArgument names the
// job of the batch and the id. A batch entry that turns out a duplicate stands for the job that has its unique key; a
// duplicate's own dependencies are checked and dropped. The emits of one report name each other, not those of another.
// - A waiting job is run or cancelled as engine::Decide says, by the call that finishes a job it waits for: a report, a
// cancel, a rescue, StopWorker. All jobs that call finishes count together, then those that are cancelled for them, and
// so on. An enqueue decides at once what is decided already. run_at is kept: the job is available, or scheduled.
// - The error of one that is so cancelled names a job that failed it: the first, and of several in one step the lowest.
// - A waiting job is open to its run, takes room in its queue, holds its unique key, and can be cancelled. Cancel
// returns the jobs that the filter found, not those that were cancelled because they waited for these.
// - RetryDead of a job that others waited for brings none of them back: they were decided when it died.
// - Reports of one call end their attempts first; what they emit is enqueued after that, in order.
// - Of two progress steps of one attempt in a heartbeat the later one counts.

#pragma once

#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "engine/priority.h"
#include "millrace/client.h"
#include "millrace/job.h"
#include "millrace/options.h"

namespace millrace::base {
struct JobSeries;
}

namespace millrace::storage {

// ---- Workers ------------------------------------------------------------------------------------

// One life of one worker process. A worker registered again under the same id gets a higher
// incarnation; the older one is then superseded and everything it writes is refused.
struct WorkerRef {
  std::string id;
  std::int64_t incarnation = 0;
};

struct WorkerInfo {
  std::string id;
  std::string type = "all";
  std::string host;
  std::int64_t pid = 0;
  int slots = 0;
  std::vector<std::string> kinds;            // what it has handlers for; remembered for "unknown kind" errors
  std::map<std::string, Duration> timeouts;  // of kinds that have one; Rescue honours them
};

enum class WorkerState : std::uint8_t { kActive = 0, kDraining = 1, kStopped = 2, kLost = 3 };

struct WorkerRow {
  WorkerInfo info;
  std::int64_t incarnation = 0;
  WorkerState state = WorkerState::kActive;
  Time started_at{};
  Time last_heartbeat{};
  std::int64_t running = 0;
};

struct JobProgress {
  JobId id = 0;
  int attempt = 0;
  std::int64_t token = 0;
  double fraction = 0;
  std::string message;
};

// ---- Leadership ---------------------------------------------------------------------------------

// The scope of what must be done from time to time by one worker of all: rescue and retention.
inline constexpr std::string_view kMaintenanceScope = "maintenance";

// A wish to lead a scope for `ttl`, counted from the database's now. Without a scope: no wish.
struct Campaign {
  std::string scope;
  Duration ttl{0};
};

// Who leads a scope. In force from the moment it was given until its time is up, its worker resigns, stops or is
// superseded, whichever comes first.
struct Leadership {
  std::string scope;
  bool leads = false;            // the worker that asked is the holder
  std::string holder;            // its id; empty: nobody has it
  std::int64_t incarnation = 0;  // the holder's
  std::int64_t epoch = 0;        // one higher each time the leadership is given anew; renewals keep it
  Duration left{0};              // until it ends unless renewed
};

struct HeartbeatReply {
  bool superseded = false;               // stop at once: every write will be refused
  std::vector<JobId> cancelled;          // running jobs of this worker somebody asked to cancel
  std::optional<Leadership> leadership;  // of the scope it campaigned for; none when superseded
};

// ---- Claim --------------------------------------------------------------------------------------

struct ClaimRequest {
  WorkerRef worker;
  int max_jobs = 0;                 // never more are returned
  int max_held = -1;                // of these, at most so many of partitions or limited queues;
                                    // -1: max_jobs
  std::vector<std::string> queues;  // empty: all
  engine::PrioritySet priorities = engine::PrioritySet::All();
};

// A claimed job: what its handler needs and the lease to report with.
struct ClaimedJob {
  JobId id = 0;
  std::int64_t token = 0;
  std::string kind;
  std::string args;
  std::string queue;
  Priority priority = Priority::kDefault;
  int attempt = 0;       // this one included
  int max_attempts = 0;  // 0: by kind, queue or priority
  int crashes = 0;
  Duration timeout{0};  // 0: by kind or the default
  Time created_at{};
  Time run_at{};
  Time claimed_at{};
  std::string partition_key;
  std::string unique_key;
  RunId run_id = 0;
  std::vector<std::string> tags;
  base::JobSeries* counted_as = nullptr;  // set and read by who counts (metered_storage.h), never by a driver
};

struct Claimed {
  std::vector<ClaimedJob> jobs;  // in claim order
  std::optional<Time> next_due;  // earliest scheduled or retryable job, when nothing was claimed
  bool more = false;             // eligible work was probably left
};

// ---- Report -------------------------------------------------------------------------------------

enum class Verdict : std::uint8_t {
  kCompleted,  // running -> completed
  kRetry,      // running -> retryable (available when delay is 0); the attempt counts
  kDead,       // running -> dead
  kSnooze,     // running -> scheduled; not an attempt
  kReleased,   // running -> available; not an attempt
  kCancelled,  // running -> cancelled
  // A job with a cancel request becomes cancelled on kRetry, kSnooze and kReleased as well.
};

// What became of one attempt.
struct Report {
  JobId id = 0;
  int attempt = 0;
  std::int64_t token = 0;
  Verdict verdict = Verdict::kCompleted;
  Duration delay{0};       // kRetry, kSnooze: from the database's now
  std::string text;        // kCompleted: result (JSON, or empty); kSnooze: why, or empty; else the error. What a job's
                           // error says: the latest of them that is not empty
  bool timed_out = false;  // kRetry, kDead: the attempt's outcome is "timeout"
  bool fatal = false;      // kDead: the attempt's outcome is "fatal"
  bool discovery_done = false;
  std::vector<NewJob> emits;              // enqueued with it, never rejected for capacity; their run is the job's
  base::JobSeries* counted_as = nullptr;  // the job's
};

// Whether each report, in order, was accepted; false: the lease was lost and nothing of it was
// written. Reporting the same attempt twice is refused the second time.
using Accepted = std::vector<bool>;

struct Exchange {
  Accepted accepted;
  Claimed claimed;
};

// ---- Rescue -------------------------------------------------------------------------------------

struct Rescued {
  JobId id = 0;
  std::string worker;
  JobState state = JobState::kAvailable;  // where it went
  bool expired = false;                   // past its timeout, rather than its worker silent
};

// ---- Looking ------------------------------------------------------------------------------------

struct JobFilter {
  std::vector<JobState> states;  // empty: all
  std::string queue, kind, tag;  // empty: all
  std::optional<Priority> priority;
  RunId run_id = 0;
  std::vector<JobId> ids;  // empty: all
  JobId after_id = 0;      // the page after this id
  int limit = 100;
};

struct QueueRow {
  std::string name;
  bool paused = false;
  QueueOptions options;
  std::int64_t counts[kPriorityCount][kJobStateCount] = {};  // finished ones as kept in history
  std::optional<Time> oldest_available;                      // run_at of the job longest eligible
  std::optional<Time> oldest_of[kPriorityCount];             // the same of each priority
};

// What has ended and may be deleted by its age.
enum class Old : std::uint8_t {
  kFinishedJobs,  // completed and cancelled jobs, by when they finished, with their attempts
  kDeadLetters,   // dead jobs, by when they died, with their attempts
  // Finished runs of which no job is left, by when they finished; the latest generation of each identity stays.
  kRuns,
  // Rows of workers that stopped, were lost or superseded, by their last heartbeat, while no worker of that id holds a
  // job; the one registered last stays. What they worked may no longer say by whom.
  kWorkers,
};

struct DeadLetter {
  Job job;
  std::vector<Attempt> attempts;
};

// The connections a driver has to its database, and how callers fared who wanted one. SQLite has two to its file, a
// writer and a reader, from opening to closing: nobody is counted as waiting there, since a mutex keeps no such count.
struct PoolStats {
  int size = 0;     // open
  int min = 0;      // kept open when idle
  int max = 0;      // the most that may be open
  int idle = 0;     // open and free
  int active = 0;   // in use, or being opened
  int waiting = 0;  // callers waiting for one
  int beside = 0;   // open beside the pool, for notifications
  std::int64_t opened = 0;
  std::int64_t recycled = 0;  // replaced because of their age
  std::int64_t failed = 0;    // could not be opened
  std::int64_t timeouts = 0;  // callers that gave up waiting
  Duration total_wait{0};     // of all callers
};

// ---- Runs ---------------------------------------------------------------------------------------

enum class RunState : std::uint8_t { kActive = 0, kCompleted = 1, kCancelled = 2 };

// A pipeline execution to start. When discovery has said it is done and no job of the run is open,
// the first of `finals` is enqueued, once; when it has finished, the next; then the run is completed.
struct RunSpec {
  std::string pipeline;
  std::string identity;     // equal for equal work; contains no credentials
  std::string spec = "{}";  // JSON, for its handlers; contains no credentials
  NewJob discovery;
  std::vector<NewJob> finals;
};

struct RunRow {
  RunId id = 0;
  std::string pipeline, identity, spec;
  std::int64_t generation = 0;
  RunState state = RunState::kActive;
  bool discovery_done = false;
  int finals_started = 0;
  JobId stage_job = 0;     // the latest of its discovery and final stages; 0: it was a duplicate of another run's job
  std::string leader;      // the worker that has stage_job's lease; empty: nobody now
  std::int64_t epoch = 0;  // that lease's token, which is given once and fences what the leader writes; 0: nobody
  std::int64_t open = 0;   // jobs not finished
  std::int64_t counts[kJobStateCount] = {};
  Time started_at{};
  std::optional<Time> finished_at;
};

struct StartedRun {
  RunId id = 0;
  std::int64_t generation = 0;
  bool joined = false;  // an active run with this identity was there
};

// ---- The interface ------------------------------------------------------------------------------

// A transaction with the engine's own writes; see millrace::Transaction.
class Transaction : public millrace::Transaction {
 public:
  // As Storage::Report, inside this transaction.
  virtual Result<Accepted> ReportIn(const WorkerRef& worker, std::span<const Report> reports) = 0;
};

// Why WaitForWork returned.
enum class Wake { kWork, kTimeout, kStopped };

class Storage {
 public:
  virtual ~Storage() = default;

  virtual Result<Time> Now() = 0;
  // "sqlite", "postgresql", "memory".
  [[nodiscard]] virtual std::string_view Name() const = 0;
  // The schema its tables are in, for callers' own SQL: a SqlSession finds no table without it but on SQLite.
  [[nodiscard]] virtual std::string_view Schema() const { return "main"; }
  // As they are at this moment; asks no server and never waits for one.
  [[nodiscard]] virtual PoolStats Connections() = 0;

  // All of them or none. kInvalidArgument, kQueueFull (kReject; with kBlock the caller waits and tries again;
  // kSpill enqueues with the queue's spill priority instead). Capacity counts waiting, scheduled,
  // available and retryable jobs of the queue and priority together with the batch.
  virtual Result<std::vector<Enqueued>> Enqueue(std::span<const NewJob> jobs) = 0;

  // Sleeps until work for this filter may be there, `timeout` has passed, or `stop` was requested.
  // May return early, also kWork without work; never sleeps through an enqueue that was committed before or
  // during the call and after the caller's last look.
  virtual Wake WaitForWork(const ClaimRequest& filter, Duration timeout, std::stop_token stop) = 0;

  virtual Result<Claimed> Claim(const ClaimRequest& request) = 0;
  virtual Result<Accepted> ReportOutcomes(const WorkerRef& worker, std::span<const Report> reports) = 0;
  // Both, in one round trip, reports first.
  virtual Result<Exchange> ReportAndClaim(std::span<const Report> reports, const ClaimRequest& request) = 0;

  // Runs `body` in one transaction. Its error, or an exception, rolls everything back.
  virtual Result<void> Transact(const std::function<Result<void>(Transaction&)>& body) = 0;
  // Runs `body` against a consistent snapshot; it cannot write.
  virtual Result<void> Read(const std::function<Result<void>(SqlSession&)>& body) = 0;
  // Enqueues on behalf of a running attempt: refused with kLeaseLost when its lease is gone, with kConflict when its
  // run is cancelled.
  virtual Result<std::vector<Enqueued>> EmitNow(const WorkerRef& worker, JobId id, int attempt, std::int64_t token,
                                                std::span<const NewJob> jobs) = 0;

  virtual Result<WorkerRef> RegisterWorker(const WorkerInfo& info) = 0;
  // With a campaign, what Lead would answer comes with it, in the same round trip. Progress of a job that another
  // transaction keeps locked is not waited for long and may not be told.
  virtual Result<HeartbeatReply> Heartbeat(const WorkerRef& worker, WorkerState state,
                                           std::span<const JobProgress> progress, const Campaign& campaign) = 0;
  Result<HeartbeatReply> Heartbeat(const WorkerRef& worker, WorkerState state, std::span<const JobProgress> progress) {
    return Heartbeat(worker, state, progress, {});
  }
  // The worker is gone by its own will: whatever it still held is released (not an attempt), its leaderships end.
  virtual Result<void> StopWorker(const WorkerRef& worker) = 0;

  // Renews the worker's leadership of the scope, or takes it when nobody has it; else says who has, and writes nothing.
  // At most one worker has it in each epoch. kLeaseLost when the worker is superseded, stopped or unknown,
  // kInvalidArgument without a scope or a ttl.
  virtual Result<Leadership> Lead(const WorkerRef& worker, const Campaign& campaign) = 0;
  // Ends the worker's leadership of the scope; of another's nothing changes.
  virtual Result<void> Resign(const WorkerRef& worker, const std::string& scope) = 0;
  // Those in force, ordered by scope.
  virtual Result<std::vector<Leadership>> Leaders() = 0;

  // Takes jobs back from workers silent for longer than `stale_threshold` (a crash each: available
  // again, or dead with error "worker lost" once crashes exceed max_crashes), and ends attempts past
  // their timeout plus `grace` (retryable after the retry policy's delay without jitter, or dead when
  // no attempts are left, with error "timeout"). A job with a cancel request becomes cancelled instead.
  // `as`: done as the leader of that scope and epoch. Each of its transactions is refused (kLeaseLost) unless that is
  // in force, and nobody else can be given the leadership between that look and its end. Without a scope anybody may.
  virtual Result<std::vector<Rescued>> Rescue(Duration stale_threshold, Duration grace, const Leadership& as) = 0;
  Result<std::vector<Rescued>> Rescue(Duration stale_threshold, Duration grace) {
    return Rescue(stale_threshold, grace, {});
  }

  // Requests by people. Cancel: jobs that are not running become cancelled at once; running ones
  // get a request that the worker's heartbeat returns. Jobs already finished are left alone.
  // Returns those that were cancelled or asked to be.
  virtual Result<std::vector<JobId>> Cancel(const JobFilter& filter) = 0;
  // Dead jobs start again: available, attempts and crashes from 0, history kept.
  virtual Result<std::vector<JobId>> RetryDead(const JobFilter& filter) = 0;
  // How many of these there are whose time is before `before`. Changes nothing.
  virtual Result<std::int64_t> CountOld(Old what, Time before) = 0;
  // Deletes up to `limit` of them, in short transactions, and tells how many. `as`: see Rescue. Of finished jobs it
  // also makes the place that those of the next days go to, whatever the limit.
  virtual Result<std::int64_t> DeleteOld(Old what, Time before, int limit, const Leadership& as) = 0;
  Result<std::int64_t> DeleteOld(Old what, Time before, int limit) { return DeleteOld(what, before, limit, {}); }
  Result<std::int64_t> PurgeDead(Time before) {
    return DeleteOld(Old::kDeadLetters, before, std::numeric_limits<int>::max());
  }
  Result<std::int64_t> DeleteFinished(Time before, int limit, const Leadership& as = {}) {
    return DeleteOld(Old::kFinishedJobs, before, limit, as);
  }
  // A paused queue's jobs are not claimed. A queue never seen before is created.
  virtual Result<void> PauseQueue(const std::string& queue, bool paused) = 0;
  virtual Result<void> ConfigureQueues(std::span<const QueueOptions> queues) = 0;

  virtual Result<std::optional<Job>> GetJob(JobId id) = 0;
  // Ordered by id.
  virtual Result<std::vector<Job>> ListJobs(const JobFilter& filter) = 0;
  // Oldest attempt first.
  virtual Result<std::vector<Attempt>> Attempts(JobId id) = 0;
  virtual Result<std::vector<QueueRow>> Queues() = 0;
  virtual Result<std::vector<WorkerRow>> Workers() = 0;
  // Kinds any worker has ever had a handler for.
  virtual Result<std::set<std::string>> KnownKinds() = 0;

  // Joins the active run of this identity or starts the next generation, enqueueing its discovery. A joined run whose
  // discovery ended without saying that it is done (dead, cancelled), with nothing open, gets its discovery again.
  virtual Result<StartedRun> StartRun(const RunSpec& spec) = 0;
  virtual Result<std::optional<RunRow>> GetRun(RunId id) = 0;
  virtual Result<std::vector<RunRow>> ListRuns(int limit) = 0;
  // Cancels its open jobs; it starts no final stage any more. A cancelled run is cancelled again (its open jobs, if an
  // earlier call was cut off); a completed one is left alone. kNotFound.
  virtual Result<void> CancelRun(RunId id) = 0;
};

}  // namespace millrace::storage
