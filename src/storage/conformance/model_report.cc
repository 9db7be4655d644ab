// What ends an attempt, or a job: reports, people's requests, workers that come and go.
#include <algorithm>
#include <limits>

#include "engine/dependencies.h"
#include "engine/validate.h"
#include "storage/conformance/model_state.h"

namespace millrace::storage {

using engine::JobEvent;

bool Matches(const JobFilter& filter, const Job& job) {
  const auto contains = [](const auto& all, const auto& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  };
  return job.id > filter.after_id && (filter.states.empty() || contains(filter.states, job.state)) &&
         (filter.queue.empty() || filter.queue == job.queue) && (filter.kind.empty() || filter.kind == job.kind) &&
         (filter.tag.empty() || contains(job.tags, filter.tag)) &&
         (!filter.priority || *filter.priority == job.priority) &&
         (filter.run_id == 0 || filter.run_id == job.run_id) && (filter.ids.empty() || contains(filter.ids, job.id));
}

// ---- Reports ----

bool MemoryState::Holds(const WorkerRef& worker, JobId id, int attempt, std::int64_t token) const {
  const auto found = jobs.find(id);
  if (found == jobs.end() || !IsCurrent(worker)) return false;
  const JobRecord& record = found->second;
  return record.job.state == JobState::kRunning && record.job.worker == worker.id &&
         record.incarnation == worker.incarnation && record.job.attempt == attempt && record.token == token;
}

void MemoryState::AddAttempt(const JobRecord& record, std::string outcome, std::string error, Time now) {
  attempts[record.job.id].push_back({.attempt = record.job.attempt,
                                     .outcome = std::move(outcome),
                                     .error = std::move(error),
                                     .worker = record.job.worker,
                                     .started_at = record.claimed_at,
                                     .finished_at = now});
}

// The one way out of running. A job that somebody asked to cancel does not go back to wait for another attempt.
void MemoryState::LeaveRunning(JobRecord& record, JobEvent event, Time now) {
  Job& job = record.job;
  if (job.cancel_requested && !engine::IsFinished(*engine::Next(job.state, event))) event = JobEvent::kCancel;
  job.state = *engine::Next(job.state, event);
  if (engine::IsFinished(job.state)) {
    Finish(record, now);
  } else if (job.run_at <= now && job.state != JobState::kAvailable) {
    job.state = *engine::Next(job.state, JobEvent::kDue);
  }
  job.cancel_requested = false;
  record.token = 0;
}

void MemoryState::ApplyFailure(JobRecord& record, const Report& report, Time now) {
  const char* outcome = report.verdict == Verdict::kDead && report.fatal ? "fatal"
                        : report.timed_out                               ? "timeout"
                                                                         : "failed";
  AddAttempt(record, outcome, report.text, now);
  record.job.error = report.text;
  if (report.verdict == Verdict::kRetry) record.job.run_at = After(now, std::max(report.delay, Duration(0)));
  LeaveRunning(record, report.verdict == Verdict::kRetry ? JobEvent::kError : JobEvent::kFatal, now);
}

bool MemoryState::ApplyReport(const WorkerRef& worker, const Report& report, Time now) {
  if (!Holds(worker, report.id, report.attempt, report.token)) return false;
  JobRecord& record = jobs.at(report.id);
  Job& job = record.job;
  switch (report.verdict) {
    case Verdict::kCompleted:
      job.result = report.text;
      LeaveRunning(record, JobEvent::kOk, now);
      if (report.discovery_done && job.run_id != 0) runs.at(job.run_id).row.discovery_done = true;
      break;
    case Verdict::kRetry:
    case Verdict::kDead:
      ApplyFailure(record, report, now);
      break;
    case Verdict::kSnooze:
      --job.attempt;
      if (!report.text.empty()) job.error = report.text;
      job.run_at = After(now, std::max(report.delay, Duration(0)));
      LeaveRunning(record, JobEvent::kSnooze, now);
      break;
    case Verdict::kReleased:
      --job.attempt;
      LeaveRunning(record, JobEvent::kRelease, now);
      break;
    case Verdict::kCancelled:
      AddAttempt(record, "cancelled", report.text, now);
      if (!report.text.empty()) job.error = report.text;
      LeaveRunning(record, JobEvent::kCancel, now);
      break;
  }
  return true;
}

Result<Accepted> MemoryState::ReportAll(const WorkerRef& worker, std::span<const Report> reports, Time now) {
  // First, so that nothing has changed when it fails. What a refused report emits is not looked at.
  std::set<JobId> seen;
  for (const Report& report : reports) {
    if (!Holds(worker, report.id, report.attempt, report.token) || !seen.insert(report.id).second) continue;
    if (auto valid = engine::ValidateNewJobs(report.emits); !valid) return fail(valid.error());
    const RunId run = jobs.at(report.id).job.run_id;
    if (run != 0 && runs.at(run).row.state == RunState::kCancelled) continue;
    if (auto there = CheckDependencies(report.emits); !there) return fail(there.error());
  }
  Accepted accepted;
  for (const Report& report : reports) accepted.push_back(ApplyReport(worker, report, now));
  SettleDependents(now);
  std::vector<NewJob> emits;
  for (std::size_t i = 0; i < reports.size(); ++i) {
    if (!accepted[i]) continue;
    const RunId run = jobs.at(reports[i].id).job.run_id;
    if (run == 0 || runs.at(run).row.state != RunState::kCancelled) engine::AppendBatch(emits, reports[i].emits, run);
  }
  InsertAll(emits, *Place(emits, false), std::nullopt, now);
  return accepted;
}

// ---- Workers ----

bool MemoryState::IsCurrent(const WorkerRef& worker) const {
  const auto found = workers.find(worker.id);
  return found != workers.end() && found->second.row.incarnation == worker.incarnation &&
         found->second.row.state != WorkerState::kStopped;
}

Result<WorkerRef> MemoryState::Register(const WorkerInfo& info, Time now) {
  if (info.id.empty()) return fail(ErrorCode::kInvalidArgument, "a worker needs an id");
  EndLeaderships(info.id, now);
  WorkerRecord& worker = workers[info.id];
  worker.row.info = info;
  worker.row.incarnation = ++last_incarnation_;
  worker.row.state = WorkerState::kActive;
  worker.row.started_at = now;
  worker.row.last_heartbeat = now;
  worker.beats[worker.row.incarnation] = now;
  worker.timeouts[worker.row.incarnation] = info.timeouts;
  kinds.insert(info.kinds.begin(), info.kinds.end());
  return WorkerRef{info.id, worker.row.incarnation};
}

HeartbeatReply MemoryState::Beat(const WorkerRef& worker, WorkerState state, std::span<const JobProgress> progress,
                                 Time now) {
  if (!IsCurrent(worker)) return {.superseded = true, .cancelled = {}};
  WorkerRecord& record = workers.at(worker.id);
  record.row.state = state;
  record.row.last_heartbeat = now;
  record.beats[worker.incarnation] = now;
  for (const JobProgress& step : progress) {
    if (!Holds(worker, step.id, step.attempt, step.token)) continue;
    jobs.at(step.id).job.progress = step.fraction;
    jobs.at(step.id).job.progress_message = step.message;
  }
  HeartbeatReply reply;
  for (const auto& [id, job] : jobs) {
    const bool mine = job.job.worker == worker.id && job.incarnation == worker.incarnation;
    if (mine && job.job.state == JobState::kRunning && job.job.cancel_requested) reply.cancelled.push_back(id);
  }
  return reply;
}

void MemoryState::Stop(const WorkerRef& worker, Time now) {
  if (!IsCurrent(worker)) return;
  workers.at(worker.id).row.state = WorkerState::kStopped;
  EndLeaderships(worker.id, now);
  for (auto& [id, record] : jobs) {
    const bool mine = record.job.worker == worker.id && record.incarnation == worker.incarnation;
    if (!mine || record.job.state != JobState::kRunning) continue;
    --record.job.attempt;
    LeaveRunning(record, JobEvent::kRelease, now);
  }
  SettleDependents(now);
  SettleRuns(now);
}

// ---- Leadership ----

Result<Leadership> MemoryState::Lead(const WorkerRef& worker, const Campaign& campaign, Time now) {
  if (campaign.scope.empty() || campaign.ttl <= Duration(0))
    return fail(ErrorCode::kInvalidArgument, "a leadership needs a scope and a ttl");
  if (!IsCurrent(worker)) return fail(ErrorCode::kLeaseLost, "worker " + worker.id + " is superseded or has stopped");
  LeaderRecord& leader = leaders[campaign.scope];
  const bool mine = leader.holder.id == worker.id && leader.holder.incarnation == worker.incarnation;
  const bool in_force = now < leader.until;
  if (!mine && in_force) {
    return Leadership{campaign.scope,    false, leader.holder.id, leader.holder.incarnation, leader.epoch,
                      leader.until - now};
  }
  if (!in_force) ++leader.epoch;
  leader.holder = worker;
  leader.until = now + campaign.ttl;
  return Leadership{campaign.scope, true, worker.id, worker.incarnation, leader.epoch, campaign.ttl};
}

void MemoryState::Resign(const WorkerRef& worker, const std::string& scope, Time now) {
  const auto found = leaders.find(scope);
  if (found == leaders.end()) return;
  LeaderRecord& leader = found->second;
  if (leader.holder.id == worker.id && leader.holder.incarnation == worker.incarnation)
    leader.until = std::min(leader.until, now);
}

void MemoryState::EndLeaderships(const std::string& worker, Time now) {
  for (auto& [scope, leader] : leaders) {
    if (leader.holder.id == worker) leader.until = std::min(leader.until, now);
  }
}

std::vector<Leadership> MemoryState::Leaders(Time now) const {
  std::vector<Leadership> rows;
  for (const auto& [scope, leader] : leaders) {
    if (now >= leader.until) continue;
    rows.push_back({scope, false, leader.holder.id, leader.holder.incarnation, leader.epoch, leader.until - now});
  }
  return rows;
}

Result<void> MemoryState::CheckLeads(const Leadership& as, Time now) const {
  if (as.scope.empty()) return {};
  const auto found = leaders.find(as.scope);
  if (found != leaders.end()) {
    const LeaderRecord& leader = found->second;
    if (leader.holder.id == as.holder && leader.holder.incarnation == as.incarnation && leader.epoch == as.epoch &&
        now < leader.until)
      return {};
  }
  return fail(ErrorCode::kLeaseLost, "the leadership of '" + as.scope + "' is lost");
}

// ---- Requests by people ----

std::vector<JobId> MemoryState::Cancel(const JobFilter& filter, Time now) {
  std::vector<JobId> done;
  for (auto& [id, record] : jobs) {
    if (static_cast<int>(done.size()) >= filter.limit) break;
    if (engine::IsFinished(record.job.state) || !Matches(filter, record.job)) continue;
    done.push_back(id);
    if (record.job.state == JobState::kRunning) {
      record.job.cancel_requested = true;
    } else {
      record.job.state = *engine::Next(record.job.state, JobEvent::kCancel);
      Finish(record, now);
    }
  }
  SettleDependents(now);
  SettleRuns(now);
  return done;
}

std::vector<JobId> MemoryState::RetryDead(const JobFilter& filter, Time now) {
  std::vector<JobId> done;
  for (auto& [id, record] : jobs) {
    if (static_cast<int>(done.size()) >= filter.limit) break;
    Job& job = record.job;
    if (job.state != JobState::kDead || !Matches(filter, job)) continue;
    if (!job.unique_key.empty() && HolderOf(job.unique_key)) continue;
    job.state = *engine::Next(job.state, JobEvent::kRetryDead);
    job.attempt = 0;
    job.crashes = 0;
    job.run_at = now;
    job.finished_at.reset();
    done.push_back(id);
  }
  return done;
}

}  // namespace millrace::storage
