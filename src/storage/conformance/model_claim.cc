// Handing out jobs, and taking them back from workers that are gone or slow.
#include <algorithm>
#include <array>
#include <tuple>

#include "engine/retry_policy.h"
#include "storage/conformance/model_state.h"

namespace millrace::storage {

// What one claim may take: the available jobs of the request's queues and priorities by lane, each in (run_at, id)
// order, with the limits as they stand after what was taken so far.
class ClaimScan {
 public:
  ClaimScan(MemoryState& state, const ClaimRequest& request, Time now) : state_(state), request_(request), now_(now) {
    for (auto& [id, record] : state.jobs) {
      const Job& job = record.job;
      if (job.state == JobState::kRunning) {
        ++running_[job.queue];
        if (!job.partition_key.empty()) holders_[job.partition_key] = {job.worker, record.incarnation};
      } else if (job.state == JobState::kAvailable && Wanted(job)) {
        lanes_[static_cast<std::size_t>(job.priority)].push_back(&record);
      }
    }
    for (auto& lane : lanes_) {
      std::sort(lane.begin(), lane.end(), [](const JobRecord* a, const JobRecord* b) {
        return std::tie(a->job.run_at, a->job.id) < std::tie(b->job.run_at, b->job.id);
      });
    }
  }

  [[nodiscard]] bool Wanted(const Job& job) const {
    return request_.priorities.Has(job.priority) &&
           (request_.queues.empty() ||
            std::find(request_.queues.begin(), request_.queues.end(), job.queue) != request_.queues.end()) &&
           !state_.Queue(job.queue).paused;
  }

  // The first job of a lane that may be taken now; `limit_held`: max_held counts.
  JobRecord* Head(std::size_t lane, bool limit_held) {
    for (JobRecord* record : lanes_[lane]) {
      if (record->job.state == JobState::kAvailable && HasRoom(record->job) && !(limit_held && OverHeld(record->job))) {
        return record;
      }
    }
    return nullptr;
  }

  void Take(JobRecord& record) {
    const Job& job = record.job;
    QueueRecord& queue = state_.Queue(job.queue);
    ++running_[job.queue];
    if (!job.partition_key.empty()) holders_[job.partition_key] = {request_.worker.id, request_.worker.incarnation};
    if (queue.options.rate_limit) queue.bucket.Take(1);
    if (IsLimited(job)) ++held_;
  }

 private:
  [[nodiscard]] bool HasRoom(const Job& job) {
    QueueRecord& queue = state_.Queue(job.queue);
    if (queue.options.concurrency && running_[job.queue] >= *queue.options.concurrency) return false;
    if (queue.options.rate_limit) {
      queue.bucket.Refill(*queue.options.rate_limit, now_);
      if (queue.bucket.Whole() < 1) return false;
    }
    const auto holder = holders_.find(job.partition_key);
    return job.partition_key.empty() || holder == holders_.end() ||
           holder->second == std::pair(request_.worker.id, request_.worker.incarnation);
  }
  [[nodiscard]] bool IsLimited(const Job& job) const {
    const QueueOptions& options = state_.Queue(job.queue).options;
    return !job.partition_key.empty() || options.concurrency || options.rate_limit;
  }
  [[nodiscard]] bool OverHeld(const Job& job) const {
    return request_.max_held >= 0 && held_ >= request_.max_held && IsLimited(job);
  }

  MemoryState& state_;
  const ClaimRequest& request_;
  Time now_;
  std::array<std::vector<JobRecord*>, kPriorityCount> lanes_;
  std::map<std::string, std::int64_t> running_;
  std::map<std::string, std::pair<std::string, std::int64_t>> holders_;
  int held_ = 0;
};

namespace {

ClaimedJob Hand(const JobRecord& record) {
  const Job& job = record.job;
  ClaimedJob claimed;
  claimed.id = job.id;
  claimed.token = record.token;
  claimed.kind = job.kind;
  claimed.args = job.args;
  claimed.queue = job.queue;
  claimed.priority = job.priority;
  claimed.attempt = job.attempt;
  claimed.max_attempts = job.max_attempts;
  claimed.crashes = job.crashes;
  claimed.timeout = job.timeout;
  claimed.created_at = job.created_at;
  claimed.run_at = job.run_at;
  claimed.claimed_at = record.claimed_at;
  claimed.partition_key = job.partition_key;
  claimed.unique_key = job.unique_key;
  claimed.run_id = job.run_id;
  claimed.tags = job.tags;
  return claimed;
}

}  // namespace

Result<Claimed> MemoryState::Claim(const ClaimRequest& request, Time now, const LaneChoice& choose) {
  if (!IsCurrent(request.worker)) {
    return fail(ErrorCode::kLeaseLost, "worker '" + request.worker.id + "' is superseded or stopped; register again");
  }
  ClaimScan scan(*this, request, now);
  Claimed claimed;
  while (static_cast<int>(claimed.jobs.size()) < request.max_jobs) {
    std::array<JobRecord*, kPriorityCount> heads{};
    engine::LaneWaits waits;
    for (std::size_t lane = 0; lane < heads.size(); ++lane) {
      heads[lane] = scan.Head(lane, true);
      if (heads[lane] != nullptr) waits[lane] = now - heads[lane]->job.run_at;
    }
    const auto lane = choose(waits);
    if (!lane) break;
    JobRecord& record = *heads[static_cast<std::size_t>(*lane)];
    scan.Take(record);
    Job& job = record.job;
    job.state = *engine::Next(job.state, engine::JobEvent::kClaim);
    ++job.attempt;
    job.worker = request.worker.id;
    job.started_at = now;
    job.progress = 0;
    job.progress_message.clear();
    record.token = ++last_token_;
    record.incarnation = request.worker.incarnation;
    record.claimed_at = now;
    claimed.jobs.push_back(Hand(record));
  }
  for (std::size_t lane = 0; lane < kPriorityCount; ++lane) claimed.more |= scan.Head(lane, false) != nullptr;
  if (claimed.jobs.empty()) claimed.next_due = NextDue(request);
  return claimed;
}

bool MemoryState::HasWork(const ClaimRequest& request, Time now) {
  ClaimScan scan(*this, request, now);
  for (std::size_t lane = 0; lane < kPriorityCount; ++lane) {
    if (scan.Head(lane, false) != nullptr) return true;
  }
  return false;
}

std::optional<Time> MemoryState::NextDue(const ClaimRequest& request) const {
  std::optional<Time> due;
  for (const auto& [id, record] : jobs) {
    const Job& job = record.job;
    if (job.state != JobState::kScheduled && job.state != JobState::kRetryable) continue;
    const bool in_queue = request.queues.empty() ||
                          std::find(request.queues.begin(), request.queues.end(), job.queue) != request.queues.end();
    if (!in_queue || !request.priorities.Has(job.priority) || queues.at(job.queue).paused) continue;
    if (!due || job.run_at < *due) due = job.run_at;
  }
  return due;
}

// ---- Rescue ----

bool MemoryState::IsSilent(const JobRecord& record, Duration stale_threshold, Time now) const {
  const WorkerRecord& worker = workers.at(record.job.worker);
  return now - worker.beats.at(record.incarnation) > stale_threshold;
}

// The job's own, else its kind's as its worker said, else everybody's.
Duration MemoryState::TimeoutOf(const JobRecord& record) const {
  if (record.job.timeout > Duration(0)) return record.job.timeout;
  const auto& timeouts = workers.at(record.job.worker).timeouts.at(record.incarnation);
  const auto kind = timeouts.find(record.job.kind);
  return kind != timeouts.end() && kind->second > Duration(0) ? kind->second : options.claim_timeout;
}

bool MemoryState::IsExpired(const JobRecord& record, Duration grace, Time now) const {
  return now > After(After(record.claimed_at, TimeoutOf(record)), grace);
}

void MemoryState::Crash(JobRecord& record, Time now) {
  Job& job = record.job;
  AddAttempt(record, "crashed", "worker lost", now);
  job.error = "worker lost";
  ++job.crashes;
  --job.attempt;
  const int limit = job.max_crashes > 0 ? job.max_crashes : options.max_crashes;
  const bool poison = job.crashes > limit && !job.cancel_requested;
  LeaveRunning(record, poison ? engine::JobEvent::kPoison : engine::JobEvent::kCrash, now);
}

void MemoryState::Expire(JobRecord& record, Time now) {
  Job& job = record.job;
  AddAttempt(record, "timeout", "timeout", now);
  job.error = "timeout";
  engine::RetrySources sources;
  sources.job_max_attempts = job.max_attempts;
  sources.queue = Queue(job.queue).options.retry;
  sources.everywhere_max_attempts = engine::EverywhereMaxAttempts(options, job.priority);
  const RetryPolicy policy = engine::EffectiveRetryPolicy(sources, job.priority);
  if (job.attempt >= policy.max_attempts && !job.cancel_requested) {
    LeaveRunning(record, engine::JobEvent::kFatal, now);
    return;
  }
  job.run_at = now + engine::RetryDelay(policy, job.attempt, 0);
  LeaveRunning(record, engine::JobEvent::kError, now);
}

std::vector<Rescued> MemoryState::Rescue(Duration stale_threshold, Duration grace, Time now) {
  std::vector<Rescued> rescued;
  for (auto& [id, record] : jobs) {
    if (record.job.state != JobState::kRunning) continue;
    const bool silent = IsSilent(record, stale_threshold, now);
    if (!silent && !IsExpired(record, grace, now)) continue;
    if (silent) {
      Crash(record, now);
    } else {
      Expire(record, now);
    }
    rescued.push_back({id, record.job.worker, record.job.state, !silent});
  }
  for (auto& [id, worker] : workers) {
    const bool lives = worker.row.state == WorkerState::kActive || worker.row.state == WorkerState::kDraining;
    if (lives && now - worker.row.last_heartbeat > stale_threshold) worker.row.state = WorkerState::kLost;
  }
  SettleDependents(now);
  SettleRuns(now);
  return rescued;
}

}  // namespace millrace::storage
