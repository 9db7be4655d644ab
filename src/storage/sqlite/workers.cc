// Workers: one row per life of a worker, one heartbeat per interval, never per job.
#include <algorithm>

#include "storage/sqlite/driver_impl.h"

namespace millrace::storage::sqlite {

Result<WorkerRef> Driver::RegisterWorker(const WorkerInfo& info) {
  if (info.id.empty()) return fail(ErrorCode::kInvalidArgument, "a worker needs an id");
  WorkerRef worker{info.id, 0};
  const std::lock_guard lock(writer_mutex_);
  MILLRACE_TRY(InTransaction([&]() -> Result<void> {
    const Time now = clock_.Now();
    MILLRACE_ASSIGN(Statement * insert, writer_->Prepare(queries::kInsertWorker));
    MILLRACE_TRY(insert
                     ->Bind(std::string_view(info.id), std::string_view(info.type), std::string_view(info.host),
                            info.pid, info.slots, Micros(now))
                     .Run());
    worker.incarnation = sqlite3_last_insert_rowid(writer_->handle());
    state_.touched = true;
    for (auto& [incarnation, known] : state_.workers) {
      if (known.id == info.id) known.newest = false;
    }
    state_.workers[worker.incarnation] = {info.id, WorkerState::kActive, now, true, info.timeouts, 0};
    MILLRACE_ASSIGN(Statement * mark, writer_->Prepare(queries::kMarkKindHandled));
    for (const std::string& kind : info.kinds) {
      MILLRACE_ASSIGN(const std::int64_t id, KindByName(kind));
      MILLRACE_TRY(mark->Bind(id).Run());
    }
    return {};
  }));
  EndLeaderships(info.id, clock_.Now());
  return worker;
}

Result<HeartbeatReply> Driver::Heartbeat(const WorkerRef& worker, WorkerState state,
                                         std::span<const JobProgress> progress, const Campaign& campaign) {
  HeartbeatReply reply;
  const std::lock_guard lock(writer_mutex_);
  if (!CheckWorker(worker)) {
    reply.superseded = true;
    return reply;
  }
  const Time now = clock_.Now();
  LeaderState leader;
  MILLRACE_TRY(InTransaction([&]() -> Result<void> {
    MILLRACE_ASSIGN(Statement * beat, writer_->Prepare(queries::kHeartbeat));
    MILLRACE_TRY(beat->Bind(worker.incarnation, Micros(now), static_cast<int>(state)).Run());
    state_.touched = true;
    KnownWorker& known = state_.workers.at(worker.incarnation);
    known.last_heartbeat = now;
    known.state = state;
    MILLRACE_ASSIGN(Statement * put, writer_->Prepare(queries::kPutProgress));
    for (const JobProgress& step : progress) {
      if (FindLease(worker, step.id, step.attempt, step.token) == nullptr) continue;
      MILLRACE_TRY(put->Bind(step.id, step.fraction, std::string_view(step.message)).Run());
    }
    if (campaign.scope.empty()) return {};
    MILLRACE_ASSIGN(leader, LeaderAfter(worker, campaign, now));
    return {};
  }));
  if (!campaign.scope.empty()) reply.leadership = KeepLeader(worker, campaign.scope, leader, now);
  for (const auto& [id, job] : state_.running) {
    if (job.cancel_requested && IncarnationOf(job.token) == worker.incarnation) reply.cancelled.push_back(id);
  }
  std::sort(reply.cancelled.begin(), reply.cancelled.end());
  return reply;
}

Result<void> Driver::StopWorker(const WorkerRef& worker) {
  const std::lock_guard lock(writer_mutex_);
  if (!CheckWorker(worker)) return {};
  const Time now = clock_.Now();
  MILLRACE_TRY(InTransaction([&]() -> Result<void> {
    std::vector<std::pair<JobId, RunningJob>> held;
    for (const auto& [id, job] : state_.running) {
      if (IncarnationOf(job.token) == worker.incarnation) held.emplace_back(id, job);
    }
    std::sort(held.begin(), held.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [id, job] : held)
      MILLRACE_TRY(PutBack(id, job, JobState::kAvailable, Time(), 1, std::nullopt, now));
    MILLRACE_TRY(SettleDependents(now));
    state_.touched = true;
    state_.workers.at(worker.incarnation).state = WorkerState::kStopped;
    MILLRACE_ASSIGN(Statement * set, writer_->Prepare(queries::kSetWorkerState));
    return set->Bind(worker.incarnation, static_cast<int>(WorkerState::kStopped)).Run();
  }));
  EndLeaderships(worker.id, now);
  return {};
}

}  // namespace millrace::storage::sqlite
