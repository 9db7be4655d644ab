#include "storage/conformance/model.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace millrace::storage {
namespace {

class NoSql : public SqlSession {
 public:
  Result<void> execute(std::string_view, std::span<const SqlValue>) override { return No(); }
  Result<void> query(std::string_view, std::span<const SqlValue>, const std::function<bool(const SqlRow&)>&) override {
    return No();
  }
  [[nodiscard]] std::int64_t changes() const override { return 0; }

 private:
  static Result<void> No() {
    return fail(ErrorCode::kUnsupported, "the memory storage has no SQL; use SQLite or PostgreSQL");
  }
};

class MemoryTransaction : public Transaction {
 public:
  MemoryTransaction(MemoryState& state, Time now) : state_(state), now_(now) {}
  [[nodiscard]] SqlSession& sql() override { return sql_; }
  Result<std::vector<Enqueued>> enqueue(std::span<const NewJob> jobs) override { return state_.Enqueue(jobs, now_); }
  Result<Accepted> ReportIn(const WorkerRef& worker, std::span<const Report> reports) override {
    return state_.ReportAll(worker, reports, now_);
  }

 private:
  MemoryState& state_;
  Time now_;
  NoSql sql_;
};

// Puts the old state back unless told that all went well, also when an exception passes.
class Undo {
 public:
  explicit Undo(MemoryState& state) : state_(state), before_(state) {}
  ~Undo() {
    if (!keep_) std::swap(state_, before_);
  }
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;
  void Keep() { keep_ = true; }

 private:
  MemoryState& state_;
  MemoryState before_;
  bool keep_ = false;
};

}  // namespace

MemoryStorage::MemoryStorage(StorageOptions options, const base::Clock& clock)
    : MemoryStorage(std::make_shared<Shared>(std::move(options)), clock) {}

MemoryStorage::MemoryStorage(std::shared_ptr<Shared> shared, const base::Clock& clock)
    : shared_(std::move(shared)), clock_(clock) {}

std::unique_ptr<MemoryStorage> MemoryStorage::Reopen() const {
  {
    const std::lock_guard lock(shared_->mutex);
    MemoryState& state = shared_->state;
    for (const QueueOptions& queue : state.options.queues) state.Queue(queue.name).options = queue;
  }
  return std::unique_ptr<MemoryStorage>(new MemoryStorage(shared_, clock_));
}

template <class Body>
auto MemoryStorage::Call(Body body) {
  const std::lock_guard lock(shared_->mutex);
  const Time now = clock_.Now();
  shared_->state.Tick(now);
  ++shared_->version;
  shared_->changed.notify_all();
  return body(shared_->state, now);
}

void MemoryStorage::Poke() {
  const std::lock_guard lock(shared_->mutex);
  ++shared_->version;
  shared_->changed.notify_all();
}

void MemoryStorage::FollowLanes(std::vector<Priority> lanes) {
  const std::lock_guard lock(shared_->mutex);
  follow_ = std::move(lanes);
}

LaneChoice MemoryStorage::Chooser() {
  return [this, lanes = std::exchange(follow_, {}),
          next = std::size_t{0}](const engine::LaneWaits& waits) mutable -> std::optional<Priority> {
    if (next < lanes.size()) {
      const Priority lane = lanes[next++];
      if (!waits[static_cast<std::size_t>(lane)]) return std::nullopt;
      return lane;
    }
    return share_.Next(waits);
  };
}

Result<Time> MemoryStorage::Now() { return clock_.Now(); }

Result<std::vector<Enqueued>> MemoryStorage::Enqueue(std::span<const NewJob> jobs) {
  return Call([&](MemoryState& state, Time now) { return state.Enqueue(jobs, now); });
}

Wake MemoryStorage::WaitForWork(const ClaimRequest& filter, Duration timeout, std::stop_token stop) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::unique_lock lock(shared_->mutex);
  while (true) {
    const Time now = clock_.Now();
    shared_->state.Tick(now);
    if (stop.stop_requested()) return Wake::kStopped;
    if (shared_->state.HasWork(filter, now)) return Wake::kWork;
    if (std::chrono::steady_clock::now() >= deadline) return Wake::kTimeout;
    auto until = deadline;
    if (const auto due = shared_->state.NextDue(filter)) {
      until = std::min(until, std::chrono::steady_clock::now() + (*due - now));
    }
    const std::int64_t seen = shared_->version;
    shared_->changed.wait_until(lock, stop, until, [&] { return shared_->version != seen; });
  }
}

Result<Claimed> MemoryStorage::Claim(const ClaimRequest& request) {
  return Call([&](MemoryState& state, Time now) { return state.Claim(request, now, Chooser()); });
}

Result<Accepted> MemoryStorage::ReportOutcomes(const WorkerRef& worker, std::span<const Report> reports) {
  return Call([&](MemoryState& state, Time now) {
    auto accepted = state.ReportAll(worker, reports, now);
    state.SettleRuns(now);
    return accepted;
  });
}

Result<Exchange> MemoryStorage::ReportAndClaim(std::span<const Report> reports, const ClaimRequest& request) {
  return Call([&](MemoryState& state, Time now) -> Result<Exchange> {
    auto accepted = state.ReportAll(request.worker, reports, now);
    if (!accepted) return fail(accepted.error());
    // A superseded worker has had every report refused, so failing here leaves nothing written.
    auto claimed = state.Claim(request, now, Chooser());
    if (!claimed) return fail(claimed.error());
    state.SettleRuns(now);
    return Exchange{*std::move(accepted), *std::move(claimed)};
  });
}

Result<void> MemoryStorage::Transact(const std::function<Result<void>(Transaction&)>& body) {
  return Call([&](MemoryState& state, Time now) {
    Undo undo(state);
    MemoryTransaction transaction(state, now);
    Result<void> result = body(transaction);
    if (result) {
      state.SettleRuns(now);
      undo.Keep();
    }
    return result;
  });
}

Result<void> MemoryStorage::Read(const std::function<Result<void>(SqlSession&)>& body) {
  NoSql sql;
  return body(sql);
}

Result<std::vector<Enqueued>> MemoryStorage::EmitNow(const WorkerRef& worker, JobId id, int attempt, std::int64_t token,
                                                     std::span<const NewJob> jobs) {
  return Call([&](MemoryState& state, Time now) -> Result<std::vector<Enqueued>> {
    if (!state.Holds(worker, id, attempt, token)) {
      return fail(ErrorCode::kLeaseLost, "job " + std::to_string(id) + ": the attempt is no longer this worker's");
    }
    return state.Emit(jobs, state.jobs.at(id).job.run_id, now);
  });
}

Result<WorkerRef> MemoryStorage::RegisterWorker(const WorkerInfo& info) {
  return Call([&](MemoryState& state, Time now) { return state.Register(info, now); });
}

Result<HeartbeatReply> MemoryStorage::Heartbeat(const WorkerRef& worker, WorkerState state,
                                                std::span<const JobProgress> progress, const Campaign& campaign) {
  return Call([&](MemoryState& data, Time now) -> Result<HeartbeatReply> {
    HeartbeatReply reply = data.Beat(worker, state, progress, now);
    if (reply.superseded || campaign.scope.empty()) return reply;
    auto leadership = data.Lead(worker, campaign, now);
    if (!leadership) return fail(leadership.error());
    reply.leadership = std::move(*leadership);
    return reply;
  });
}

Result<Leadership> MemoryStorage::Lead(const WorkerRef& worker, const Campaign& campaign) {
  return Call([&](MemoryState& state, Time now) { return state.Lead(worker, campaign, now); });
}

Result<void> MemoryStorage::Resign(const WorkerRef& worker, const std::string& scope) {
  return Call([&](MemoryState& state, Time now) -> Result<void> {
    state.Resign(worker, scope, now);
    return {};
  });
}

Result<std::vector<Leadership>> MemoryStorage::Leaders() {
  return Call([&](MemoryState& state, Time now) -> Result<std::vector<Leadership>> { return state.Leaders(now); });
}

Result<void> MemoryStorage::StopWorker(const WorkerRef& worker) {
  return Call([&](MemoryState& state, Time now) -> Result<void> {
    state.Stop(worker, now);
    return {};
  });
}

Result<std::vector<Rescued>> MemoryStorage::Rescue(Duration stale_threshold, Duration grace, const Leadership& as) {
  return Call([&](MemoryState& state, Time now) -> Result<std::vector<Rescued>> {
    if (auto leads = state.CheckLeads(as, now); !leads) return fail(leads.error());
    return state.Rescue(stale_threshold, grace, now);
  });
}

Result<std::vector<JobId>> MemoryStorage::Cancel(const JobFilter& filter) {
  return Call([&](MemoryState& state, Time now) -> Result<std::vector<JobId>> { return state.Cancel(filter, now); });
}

Result<std::vector<JobId>> MemoryStorage::RetryDead(const JobFilter& filter) {
  return Call([&](MemoryState& state, Time now) -> Result<std::vector<JobId>> { return state.RetryDead(filter, now); });
}

Result<std::int64_t> MemoryStorage::CountOld(Old what, Time before) {
  return Call([&](MemoryState& state, Time) -> Result<std::int64_t> {
    MemoryState copy = state;
    return copy.DeleteOld(what, before, std::numeric_limits<std::int64_t>::max());
  });
}

Result<std::int64_t> MemoryStorage::DeleteOld(Old what, Time before, int limit, const Leadership& as) {
  return Call([&](MemoryState& state, Time now) -> Result<std::int64_t> {
    if (auto leads = state.CheckLeads(as, now); !leads) return fail(leads.error());
    return state.DeleteOld(what, before, limit);
  });
}

Result<void> MemoryStorage::PauseQueue(const std::string& queue, bool paused) {
  return Call([&](MemoryState& state, Time) -> Result<void> {
    if (queue.empty()) return fail(ErrorCode::kInvalidArgument, "a queue needs a name");
    state.Queue(queue).paused = paused;
    return {};
  });
}

Result<void> MemoryStorage::ConfigureQueues(std::span<const QueueOptions> queues) {
  return Call([&](MemoryState& state, Time) -> Result<void> {
    for (const QueueOptions& queue : queues) state.Queue(queue.name).options = queue;
    return {};
  });
}

Result<std::optional<Job>> MemoryStorage::GetJob(JobId id) {
  return Call([&](MemoryState& state, Time) -> Result<std::optional<Job>> {
    const auto found = state.jobs.find(id);
    if (found == state.jobs.end()) return std::optional<Job>();
    return std::optional<Job>(found->second.job);
  });
}

Result<std::vector<Job>> MemoryStorage::ListJobs(const JobFilter& filter) {
  return Call([&](MemoryState& state, Time) -> Result<std::vector<Job>> {
    std::vector<Job> found;
    for (const auto& [id, record] : state.jobs) {
      if (static_cast<int>(found.size()) >= filter.limit) break;
      if (Matches(filter, record.job)) found.push_back(record.job);
    }
    return found;
  });
}

Result<std::vector<Attempt>> MemoryStorage::Attempts(JobId id) {
  return Call([&](MemoryState& state, Time) -> Result<std::vector<Attempt>> {
    const auto found = state.attempts.find(id);
    return found == state.attempts.end() ? std::vector<Attempt>() : found->second;
  });
}

Result<std::vector<QueueRow>> MemoryStorage::Queues() {
  return Call([&](MemoryState& state, Time) -> Result<std::vector<QueueRow>> {
    std::vector<QueueRow> rows;
    for (const auto& [name, queue] : state.queues) rows.push_back(state.Row(queue));
    return rows;
  });
}

Result<std::vector<WorkerRow>> MemoryStorage::Workers() {
  return Call([&](MemoryState& state, Time) -> Result<std::vector<WorkerRow>> {
    std::vector<WorkerRow> rows;
    for (const auto& [id, worker] : state.workers) rows.push_back(state.Row(worker));
    return rows;
  });
}

Result<std::set<std::string>> MemoryStorage::KnownKinds() {
  return Call([&](MemoryState& state, Time) -> Result<std::set<std::string>> { return state.kinds; });
}

Result<StartedRun> MemoryStorage::StartRun(const RunSpec& spec) {
  return Call([&](MemoryState& state, Time now) { return state.StartRun(spec, now); });
}

Result<std::optional<RunRow>> MemoryStorage::GetRun(RunId id) {
  return Call([&](MemoryState& state, Time) -> Result<std::optional<RunRow>> {
    const auto found = state.runs.find(id);
    if (found == state.runs.end()) return std::optional<RunRow>();
    return std::optional<RunRow>(state.Row(found->second));
  });
}

Result<std::vector<RunRow>> MemoryStorage::ListRuns(int limit) {
  return Call([&](MemoryState& state, Time) -> Result<std::vector<RunRow>> {
    std::vector<RunRow> rows;
    for (auto run = state.runs.rbegin(); run != state.runs.rend() && static_cast<int>(rows.size()) < limit; ++run) {
      rows.push_back(state.Row(run->second));
    }
    return rows;
  });
}

Result<void> MemoryStorage::CancelRun(RunId id) {
  return Call([&](MemoryState& state, Time now) { return state.CancelRun(id, now); });
}

}  // namespace millrace::storage
