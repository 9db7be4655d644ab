// Opening, transactions, and the state in memory.
#include "storage/sqlite/driver.h"

#include <fmt/format.h>

#include <cstring>

#include "engine/job_state.h"
#include "storage/sqlite/driver_impl.h"
#include "storage/sqlite/file_access.h"
#include "storage/sqlite/migrate.h"

namespace millrace::storage::sqlite {

Result<std::unique_ptr<Storage>> OpenSqlite(const StorageOptions& options, const base::Clock& clock) {
  MILLRACE_ASSIGN(OwnerLock lock, LockSound(options.url, options.owner));
  MILLRACE_ASSIGN(auto writer, Database::Open(options.url, Database::Mode::kReadWriteCreate));
  MILLRACE_TRY(lock.LockFile(options.url));
  MILLRACE_TRY(MigrateUp(*writer));
  MILLRACE_ASSIGN(auto reader, Database::Open(options.url, Database::Mode::kReadOnly));
  auto driver = std::make_unique<Driver>(std::move(lock), std::move(writer), std::move(reader), options, clock);
  MILLRACE_TRY(driver->Start());
  return driver;
}

Result<std::unique_ptr<Storage>> OpenSqliteToLook(const StorageOptions& options, const base::Clock& clock) {
  if (CanBeOwned(options.url)) return OpenSqlite(options, clock);
  MILLRACE_ASSIGN(ReadOnlyFile file, OpenReadOnly(options.url));
  MILLRACE_TRY(CheckMigrated(*file.database));
  MILLRACE_ASSIGN(auto reader, Database::Open(options.url, file.mode));
  auto driver =
      std::make_unique<Driver>(std::move(file.lock), std::move(file.database), std::move(reader), options, clock);
  MILLRACE_TRY(driver->StartToLook());
  return driver;
}

// A transaction as callers of Transact see it.
class DriverTransaction : public Transaction {
 public:
  explicit DriverTransaction(Driver& driver) : driver_(driver) {}
  SqlSession& sql() override { return *driver_.writer_; }
  Result<std::vector<Enqueued>> enqueue(std::span<const NewJob> jobs) override {
    return driver_.EnqueueJobs(jobs, Driver::Limits::kApply);
  }
  Result<Accepted> ReportIn(const WorkerRef& worker, std::span<const Report> reports) override {
    return driver_.ReportJobs(worker, reports);
  }

 private:
  Driver& driver_;
};

Driver::Driver(OwnerLock lock, std::unique_ptr<Database> writer, std::unique_ptr<Database> reader,
               StorageOptions options, const base::Clock& clock)
    : lock_(std::move(lock)),
      options_(std::move(options)),
      clock_(clock),
      writer_(std::move(writer)),
      reader_(std::move(reader)) {}

Result<void> Driver::Start() {
  const std::lock_guard lock(writer_mutex_);
  MILLRACE_TRY(Reload());
  for (auto& [incarnation, worker] : state_.workers) {
    if (worker.state == WorkerState::kActive || worker.state == WorkerState::kDraining)
      worker.state = WorkerState::kLost;
  }
  return InTransaction([&]() -> Result<void> {
    const Time now = clock_.Now();
    MILLRACE_TRY(writer_->ExecuteScript("UPDATE worker SET state = 3 WHERE state IN (0, 1)"));
    std::vector<JobId> orphans;
    for (const auto& [id, job] : state_.running) orphans.push_back(id);
    std::sort(orphans.begin(), orphans.end());
    for (const JobId id : orphans) MILLRACE_TRY(RescueCrashed(id, now));
    MILLRACE_TRY(SettleDependents(now));
    if (!options_.configure) return {};
    for (const QueueOptions& queue : options_.queues) MILLRACE_TRY(ConfigureOne(queue));
    return {};
  });
}

Result<void> Driver::StartToLook() {
  const std::lock_guard lock(writer_mutex_);
  only_looks_ = true;
  return Reload();
}

Result<void> Driver::InTransaction(const std::function<Result<void>()>& body) {
  if (only_looks_) {
    return fail(ErrorCode::kReadOnly,
                fmt::format("{}: it, its folder or a file beside it cannot be written, so that it "
                            "can only be looked at; make them writable",
                            options_.url));
  }
  MILLRACE_ASSIGN(Statement * begin, writer_->Prepare("BEGIN IMMEDIATE"));
  MILLRACE_TRY(begin->Run());
  // A body that throws (a caller's, in Transact) rolls back as one that fails does.
  struct Guard {
    Driver& driver;
    bool committed = false;
    ~Guard() {
      if (committed) return;
      (void)sqlite3_exec(driver.writer_->handle(), "ROLLBACK", nullptr, nullptr, nullptr);
      driver.emptied_leases_.clear();
      if (!driver.state_.touched) return;
      driver.must_reload_ = true;  // should reading it back fail now, the next transaction tries again
      if (auto reloaded = driver.Reload(); !reloaded) return;
    }
  } guard{*this};
  if (must_reload_) MILLRACE_TRY(Reload());
  state_.touched = false;
  state_.new_work = false;
  MILLRACE_TRY(body());
  MILLRACE_TRY(Flush());
  MILLRACE_ASSIGN(Statement * commit, writer_->Prepare("COMMIT"));
  MILLRACE_TRY(commit->Run());
  guard.committed = true;
  if (state_.new_work) Woken();
  return {};
}

Result<void> Driver::Flush() {
  // Finishing a run's jobs may enqueue its final stage, which changes counters in turn.
  while (!state_.runs.empty()) MILLRACE_TRY(FlushRuns());
  MILLRACE_TRY(FlushPartitionHeads());
  MILLRACE_TRY(DropLeases());
  return FlushCounts();
}

Result<void> Driver::FlushCounts() {
  for (QueueState& queue : state_.queues) {
    if (queue.bucket_changed) {
      MILLRACE_ASSIGN(Statement * tokens, writer_->Prepare(queries::kPutQueueTokens));
      MILLRACE_TRY(tokens->Bind(queue.id, queue.bucket.tokens, Micros(queue.bucket.refilled_at)).Run());
      queue.bucket_changed = false;
    }
    if (!queue.any_changed) continue;
    MILLRACE_ASSIGN(Statement * put, writer_->Prepare(queries::kPutQueueCount));
    for (int p = 0; p < kPriorityCount; ++p) {
      for (int s = 0; s < kJobStateCount; ++s) {
        if (!queue.changed[p][s]) continue;
        queue.changed[p][s] = false;
        MILLRACE_TRY(put->Bind(queue.id, p, s, queue.count[p][s]).Run());
      }
    }
    queue.any_changed = false;
  }
  return {};
}

Result<void> Driver::FlushPartitionHeads() {
  if (state_.partition_lanes.empty()) return {};
  MILLRACE_ASSIGN(Statement * first, writer_->Prepare(queries::kNextInPartition));
  MILLRACE_ASSIGN(Statement * put, writer_->Prepare(queries::kPutPartitionHead));
  MILLRACE_ASSIGN(Statement * drop, writer_->Prepare(queries::kDropPartitionHead));
  for (const PartitionLane& lane : state_.partition_lanes) {
    const std::string_view key = lane.key;
    const Resetting resetting(*first);
    MILLRACE_ASSIGN(const bool found, first->Bind(key, lane.queue, lane.priority, INT64_MIN, 0).Step());
    if (found) {
      MILLRACE_TRY(put->Bind(lane.queue, lane.priority, key, first->integer(1), first->integer(0)).Run());
    } else {
      MILLRACE_TRY(drop->Bind(lane.queue, lane.priority, key).Run());
    }
  }
  state_.partition_lanes.clear();
  return {};
}

void Driver::Woken() {
  {
    const std::lock_guard lock(work_mutex_);
    ++work_;
  }
  work_changed_.notify_all();
}

Result<void> Driver::Reload() {
  // Workers of this process go on: what only memory knows of them is kept.
  std::map<std::int64_t, KnownWorker> workers = std::move(state_.workers);
  const std::int64_t next_batch = state_.next_batch;  // a token is never given twice, dropped leases included
  state_ = State();
  state_.next_batch = next_batch;
  emptied_leases_.clear();
  MILLRACE_TRY(ReloadQueues());
  MILLRACE_TRY(ReloadWorkers());
  for (auto& [incarnation, worker] : state_.workers) {
    const auto old = workers.find(incarnation);
    if (old == workers.end()) continue;
    worker.timeouts = old->second.timeouts;
    worker.seen_work = old->second.seen_work;
  }
  MILLRACE_TRY(ReloadLeases());
  MILLRACE_ASSIGN(Statement * next, writer_->Prepare(queries::kNextJob));
  const Resetting resetting(*next);
  MILLRACE_TRY(next->Step());
  state_.next_job = next->integer(0);
  MILLRACE_ASSIGN(Statement * dependencies, writer_->Prepare(queries::kCountDependencies));
  const Resetting resetting_dependencies(*dependencies);
  MILLRACE_TRY(dependencies->Step());
  state_.dependencies = dependencies->integer(0);
  must_reload_ = false;
  return {};
}

Result<void> Driver::ReloadQueues() {
  MILLRACE_TRY(writer_->query(queries::kQueues, {}, [&](const SqlRow& row) {
    QueueState& queue = state_.queues.emplace_back();
    queue.id = row.integer(0);
    queue.options.name = row.text(1);
    queue.paused = row.integer(2) != 0;
    if (!row.is_null(3)) queue.options.capacity = row.integer(3);
    queue.options.overflow = static_cast<Overflow>(row.integer(4));
    queue.options.spill_to = static_cast<Priority>(row.integer(5));
    if (!row.is_null(6)) queue.options.rate_limit = row.real(6);
    if (!row.is_null(7)) queue.options.concurrency = static_cast<int>(row.integer(7));
    queue.bucket.tokens = row.real(8);
    queue.bucket.refilled_at = FromMicros(row.integer(9));
    for (const QueueOptions& given : options_.queues) {
      if (given.name == queue.options.name) queue.options.retry = given.retry;
    }
    state_.queue_by_name[queue.options.name] = &queue;
    state_.queue_by_id[queue.id] = &queue;
    return true;
  }));
  MILLRACE_TRY(writer_->query(queries::kQueueCounts, {}, [&](const SqlRow& row) {
    state_.queue_by_id.at(row.integer(0))->count[row.integer(1)][row.integer(2)] = row.integer(3);
    return true;
  }));
  return writer_->query(queries::kKinds, {}, [&](const SqlRow& row) {
    state_.kind_by_id[row.integer(0)] = row.text(1);
    state_.kind_by_name[std::string(row.text(1))] = row.integer(0);
    return true;
  });
}

Result<void> Driver::ReloadWorkers() {
  std::map<std::string, std::int64_t> newest;
  MILLRACE_TRY(writer_->query(queries::kWorkers, {}, [&](const SqlRow& row) {
    KnownWorker& worker = state_.workers[row.integer(0)];
    worker.id = row.text(1);
    worker.state = static_cast<WorkerState>(row.integer(6));
    worker.last_heartbeat = FromMicros(row.integer(8));
    newest[worker.id] = row.integer(0);
    return true;
  }));
  for (auto& [incarnation, worker] : state_.workers) worker.newest = newest[worker.id] == incarnation;
  return {};
}

Result<void> Driver::ReloadLeases() {
  std::vector<std::pair<std::int64_t, std::vector<JobId>>> leases;
  MILLRACE_TRY(writer_->query(queries::kLeases, {}, [&](const SqlRow& row) {
    std::vector<JobId> jobs(row.text(1).size() / sizeof(JobId));
    std::memcpy(jobs.data(), row.text(1).data(), jobs.size() * sizeof(JobId));
    leases.emplace_back(row.integer(0), std::move(jobs));
    return true;
  }));
  MILLRACE_ASSIGN(Statement * read, writer_->Prepare(queries::kLeasedJob));
  for (auto& [token, jobs] : leases) {
    state_.next_batch = std::max(state_.next_batch, (token & ((std::int64_t{1} << 40) - 1)) + 1);
    Lease lease{std::move(jobs), 0, Time::max()};
    const auto& timeouts = state_.workers[IncarnationOf(token)].timeouts;
    for (const JobId id : lease.jobs) {
      const Resetting resetting(*read);
      MILLRACE_ASSIGN(const bool running, read->Bind(id, token).Step());
      if (!running) continue;
      const auto of_kind = timeouts.find(state_.kind_by_id.at(read->integer(7)));
      const Duration timeout = read->integer(6) > 0        ? Duration(read->integer(6))
                               : of_kind != timeouts.end() ? of_kind->second
                                                           : options_.claim_timeout;
      const Time started = FromMicros(read->integer(5));
      RunningJob job{token,
                     static_cast<int>(read->integer(2)),
                     state_.queue_by_id.at(read->integer(0)),
                     static_cast<Priority>(read->integer(1)),
                     read->integer(3),
                     std::string(read->text(4)),
                     started,
                     started + timeout,
                     read->integer(8) != 0};
      if (!job.partition.empty()) {
        PartitionHold& hold = state_.partitions[job.partition];
        hold.incarnation = IncarnationOf(token);
        ++hold.running;
      }
      lease.earliest_deadline = std::min(lease.earliest_deadline, job.deadline);
      ++lease.open;
      state_.running[id] = std::move(job);
    }
    if (lease.open > 0) state_.leases[token] = std::move(lease);
  }
  return {};
}

Result<QueueState*> Driver::QueueByName(const std::string& name) {
  if (const auto found = state_.queue_by_name.find(name); found != state_.queue_by_name.end()) return found->second;
  MILLRACE_ASSIGN(Statement * insert, writer_->Prepare(queries::kInsertQueue));
  MILLRACE_TRY(insert->Bind(std::string_view(name)).Run());
  state_.touched = true;
  QueueState& queue = state_.queues.emplace_back();
  queue.id = sqlite3_last_insert_rowid(writer_->handle());
  queue.options.name = name;
  state_.queue_by_name[name] = &queue;
  state_.queue_by_id[queue.id] = &queue;
  return &queue;
}

Result<std::int64_t> Driver::KindByName(const std::string& name) {
  if (const auto found = state_.kind_by_name.find(name); found != state_.kind_by_name.end()) return found->second;
  MILLRACE_ASSIGN(Statement * insert, writer_->Prepare(queries::kInsertKind));
  MILLRACE_TRY(insert->Bind(std::string_view(name)).Run());
  state_.touched = true;
  const std::int64_t id = sqlite3_last_insert_rowid(writer_->handle());
  state_.kind_by_name[name] = id;
  state_.kind_by_id[id] = name;
  return id;
}

void Driver::Count(QueueState& queue, Priority priority, JobState state, std::int64_t by) {
  const auto p = static_cast<int>(priority);
  const auto s = static_cast<int>(state);
  queue.count[p][s] += by;
  queue.changed[p][s] = true;
  queue.any_changed = true;
  if (by > 0 && (state == JobState::kAvailable || state == JobState::kScheduled || state == JobState::kRetryable))
    state_.new_work = true;
}

void Driver::Moved(QueueState& queue, Priority priority, RunId run, JobState from, JobState to) {
  Count(queue, priority, from, -1);
  Count(queue, priority, to, 1);
  if (run == 0) return;
  --state_.runs[run].states[static_cast<int>(from)];
  ++state_.runs[run].states[static_cast<int>(to)];
}

void Driver::TouchPartition(const QueueState& queue, Priority priority, std::string_view key) {
  state_.partition_lanes.insert({queue.id, static_cast<int>(priority), std::string(key)});
}

std::string Driver::WorkerName(std::int64_t token) const {
  const auto found = state_.workers.find(IncarnationOf(token));
  return found == state_.workers.end() ? std::string() : found->second.id;
}

Result<void> Driver::Transact(const std::function<Result<void>(Transaction&)>& body) {
  const std::lock_guard lock(writer_mutex_);
  return InTransaction([&]() -> Result<void> {
    DriverTransaction transaction(*this);
    return body(transaction);
  });
}

Result<void> Driver::Read(const std::function<Result<void>(SqlSession&)>& body) {
  const std::lock_guard lock(reader_mutex_);
  MILLRACE_TRY(reader_->ExecuteScript("BEGIN"));
  struct End {
    Database& database;
    ~End() { (void)sqlite3_exec(database.handle(), "ROLLBACK", nullptr, nullptr, nullptr); }
  } end{*reader_};
  return body(*reader_);
}

}  // namespace millrace::storage::sqlite
