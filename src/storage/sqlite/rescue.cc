// Rescue: taking jobs back from workers that are gone, and ending attempts that ran too long.
#include <algorithm>

#include "engine/retry_policy.h"
#include "storage/sqlite/driver_impl.h"

namespace millrace::storage::sqlite {

// A crash, not an attempt: available again, or dead when the job has outlived too many.
Result<Rescued> Driver::RescueCrashed(JobId id, Time now) {
  const RunningJob job = state_.running.at(id);
  state_.touched = true;
  Rescued rescued{id, WorkerName(job.token), JobState::kAvailable, false};
  MILLRACE_TRY(AddAttempt(id, job, "crashed", "worker lost", now));
  int crashes = 0;
  int most = 0;
  {
    MILLRACE_ASSIGN(Statement * count, writer_->Prepare(queries::kCountCrash));
    const Resetting resetting(*count);
    MILLRACE_TRY(count->Bind(id).Step());
    crashes = static_cast<int>(count->integer(0));
    most = count->integer(1) > 0 ? static_cast<int>(count->integer(1)) : options_.max_crashes;
  }
  if (job.cancel_requested || crashes <= most) {
    rescued.state = job.cancel_requested ? JobState::kCancelled : JobState::kAvailable;
    MILLRACE_TRY(PutBack(id, job, JobState::kAvailable, Time(), 1, "worker lost", now));
    return rescued;
  }
  rescued.state = JobState::kDead;
  MILLRACE_TRY(WriteState(id, JobState::kDead, Time(), 1, "worker lost"));
  MILLRACE_TRY(WriteFinished(id, JobState::kDead, now, "worker lost"));
  LeaveRunning(id, JobState::kDead);
  return rescued;
}

// An attempt that failed with "timeout".
Result<Rescued> Driver::RescueExpired(JobId id, Time now) {
  const RunningJob job = state_.running.at(id);
  state_.touched = true;
  engine::RetrySources sources;
  {
    MILLRACE_ASSIGN(Statement * read, writer_->Prepare(queries::kClaimedJob));
    const Resetting resetting(*read);
    MILLRACE_TRY(read->Bind(id).Step());
    sources.job_max_attempts = static_cast<int>(read->integer(3));
  }
  sources.queue = job.queue->options.retry;
  sources.everywhere_max_attempts = engine::EverywhereMaxAttempts(options_, job.priority);
  const RetryPolicy policy = engine::EffectiveRetryPolicy(sources, job.priority);
  MILLRACE_TRY(AddAttempt(id, job, "timeout", "timeout", now));
  Rescued rescued{id, WorkerName(job.token), JobState::kDead, true};
  if (job.attempt >= policy.max_attempts && !job.cancel_requested) {
    MILLRACE_TRY(WriteFinished(id, JobState::kDead, now, "timeout"));
    LeaveRunning(id, JobState::kDead);
    return rescued;
  }
  const Duration delay = engine::RetryDelay(policy, job.attempt, 0);
  const JobState state = delay.count() > 0 ? JobState::kRetryable : JobState::kAvailable;
  rescued.state = job.cancel_requested ? JobState::kCancelled : state;
  MILLRACE_TRY(PutBack(id, job, state, now + delay, 0, "timeout", now));
  return rescued;
}

std::vector<JobId> Driver::JobsOfSilentWorkers(Duration stale_threshold, Time now) {
  std::vector<JobId> jobs;
  for (auto& [token, lease] : state_.leases) {
    const auto worker = state_.workers.find(IncarnationOf(token));
    if (worker != state_.workers.end() && now - worker->second.last_heartbeat <= stale_threshold) continue;
    for (const JobId id : lease.jobs) {
      const auto running = state_.running.find(id);
      if (running != state_.running.end() && running->second.token == token) jobs.push_back(id);
    }
  }
  std::sort(jobs.begin(), jobs.end());
  return jobs;
}

std::vector<JobId> Driver::JobsPastDeadline(Duration grace, Time now) {
  std::vector<JobId> jobs;
  for (auto& [token, lease] : state_.leases) {
    if (lease.earliest_deadline + grace >= now) continue;
    Time earliest = Time::max();
    for (const JobId id : lease.jobs) {
      const auto running = state_.running.find(id);
      if (running == state_.running.end() || running->second.token != token) continue;
      if (running->second.deadline + grace < now) {
        jobs.push_back(id);
      } else {
        earliest = std::min(earliest, running->second.deadline);
      }
    }
    lease.earliest_deadline = earliest;
  }
  std::sort(jobs.begin(), jobs.end());
  return jobs;
}

Result<std::vector<Rescued>> Driver::Rescue(Duration stale_threshold, Duration grace, const Leadership& as) {
  std::vector<Rescued> rescued;
  const std::lock_guard lock(writer_mutex_);
  MILLRACE_TRY(InTransaction([&]() -> Result<void> {
    const Time now = clock_.Now();
    MILLRACE_TRY(CheckLeads(as, now));
    for (const JobId id : JobsOfSilentWorkers(stale_threshold, now)) {
      MILLRACE_ASSIGN(Rescued one, RescueCrashed(id, now));
      rescued.push_back(std::move(one));
    }
    for (const JobId id : JobsPastDeadline(grace, now)) {
      state_.touched = true;  // a lease's earliest deadline has moved
      MILLRACE_ASSIGN(Rescued one, RescueExpired(id, now));
      rescued.push_back(std::move(one));
    }
    MILLRACE_TRY(SettleDependents(now));
    for (auto& [incarnation, worker] : state_.workers) {
      const bool counts =
          worker.newest && (worker.state == WorkerState::kActive || worker.state == WorkerState::kDraining);
      if (!counts || now - worker.last_heartbeat <= stale_threshold) continue;
      state_.touched = true;
      worker.state = WorkerState::kLost;
      MILLRACE_ASSIGN(Statement * set, writer_->Prepare(queries::kSetWorkerState));
      MILLRACE_TRY(set->Bind(incarnation, static_cast<int>(WorkerState::kLost)).Run());
    }
    return {};
  }));
  return rescued;
}

}  // namespace millrace::storage::sqlite
