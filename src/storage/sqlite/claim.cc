// Claim: which jobs go next, in the order storage.h promises, and their lease.
//
// A lane is one (queue, priority). Each gives its jobs in (run_at, id) order, those of partitions mixed in; the lanes
// of one priority are merged by the same order; engine::FairShare deals the turns between priorities.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <queue>

#include "base/json.h"
#include "storage/sqlite/driver_impl.h"

namespace millrace::storage::sqlite {
namespace {

constexpr int kMostDueAtOnce = 10'000;  // per claim; the next one goes on
constexpr Duration kLookEvery = std::chrono::seconds(2);

struct Candidate {
  Time run_at{};
  JobId id = 0;
  std::string partition;  // empty: none
  [[nodiscard]] auto Key() const { return std::pair(run_at, id); }
};

struct Later {
  bool operator()(const Candidate& a, const Candidate& b) const { return a.Key() > b.Key(); }
};

// What a queue may still give in this claim; shared by its five lanes.
struct QueueRoom {
  QueueState* queue = nullptr;
  std::int64_t room = 0;
  bool limited = false;
};

}  // namespace

// One lane's jobs, fetched in small pieces as they are wanted.
class Driver::Lane {
 public:
  Lane(Driver& driver, QueueRoom& room, Priority priority, std::int64_t incarnation, int most)
      : driver_(driver), room_(room), priority_(priority), incarnation_(incarnation), most_(most) {}

  // The next job, or nothing. `allow_held`: jobs of partitions and limited queues may be given.
  Result<const Candidate*> Head(bool allow_held) {
    if (room_.room <= 0 || (room_.limited && !allow_held)) return nullptr;
    if (!loaded_) MILLRACE_TRY(Load());
    if (next_ == plain_.size() && !plain_ended_) MILLRACE_TRY(LoadPlain());
    const Candidate* plain = next_ < plain_.size() ? &plain_[next_] : nullptr;
    const Candidate* held = allow_held && !partitions_.empty() ? &partitions_.top() : nullptr;
    if (plain != nullptr && held != nullptr) return plain->Key() < held->Key() ? plain : held;
    return plain != nullptr ? plain : held;
  }

  // Takes the job Head returned.
  Result<Candidate> Pop(const Candidate* head) {
    Candidate taken = *head;
    --room_.room;
    if (taken.partition.empty()) {
      ++next_;
      return taken;
    }
    partitions_.pop();
    MILLRACE_ASSIGN(Statement * next, driver_.writer_->Prepare(queries::kNextInPartition));
    const Resetting resetting(*next);
    MILLRACE_ASSIGN(const bool found, next->Bind(std::string_view(taken.partition), room_.queue->id,
                                                 static_cast<int>(priority_), Micros(taken.run_at), taken.id)
                                          .Step());
    if (found) partitions_.push({FromMicros(next->integer(1)), next->integer(0), taken.partition});
    return taken;
  }

  [[nodiscard]] QueueRoom& room() const { return room_; }
  [[nodiscard]] Priority priority() const { return priority_; }

 private:
  Result<void> Load() {
    loaded_ = true;
    // Partitions held by others are passed over, so as many more heads may be needed.
    const auto limit = most_ + static_cast<std::int64_t>(driver_.state_.partitions.size());
    MILLRACE_ASSIGN(Statement * heads, driver_.writer_->Prepare(queries::kPartitionHeads));
    const Resetting resetting(*heads);
    heads->Bind(room_.queue->id, static_cast<int>(priority_), limit);
    while (true) {
      MILLRACE_ASSIGN(const bool found, heads->Step());
      if (!found) return {};
      Candidate candidate{FromMicros(heads->integer(1)), heads->integer(2), std::string(heads->text(0))};
      const auto hold = driver_.state_.partitions.find(candidate.partition);
      if (hold == driver_.state_.partitions.end() || hold->second.incarnation == incarnation_)
        partitions_.push(std::move(candidate));
    }
  }

  Result<void> LoadPlain() {
    constexpr int kPiece = 256;
    const int piece = std::min(kPiece, most_);
    const Candidate from = plain_.empty() ? Candidate{Time(Duration(INT64_MIN)), 0, {}} : plain_.back();
    plain_.clear();
    next_ = 0;
    MILLRACE_ASSIGN(Statement * ready, driver_.writer_->Prepare(queries::kReadyJobs));
    const Resetting resetting(*ready);
    ready->Bind(room_.queue->id, static_cast<int>(priority_), Micros(from.run_at), from.id, piece);
    while (true) {
      MILLRACE_ASSIGN(const bool found, ready->Step());
      if (!found) break;
      plain_.push_back({FromMicros(ready->integer(1)), ready->integer(0), {}});
    }
    plain_ended_ = static_cast<int>(plain_.size()) < piece;
    return {};
  }

  Driver& driver_;
  QueueRoom& room_;
  Priority priority_;
  std::int64_t incarnation_;
  int most_;
  bool loaded_ = false;
  bool plain_ended_ = false;
  std::vector<Candidate> plain_;
  std::size_t next_ = 0;
  std::priority_queue<Candidate, std::vector<Candidate>, Later> partitions_;
};

// All lanes a claim may take from.
class Driver::Lanes {
 public:
  Lanes(Driver& driver, const ClaimRequest& request, Time now) : driver_(driver), now_(now) {
    for (QueueState& queue : driver.state_.queues) {
      const bool wanted = request.queues.empty() || std::find(request.queues.begin(), request.queues.end(),
                                                              queue.options.name) != request.queues.end();
      if (!wanted || queue.paused) continue;
      rooms_.push_back(RoomOf(queue));
      for (int p = 0; p < kPriorityCount; ++p) {
        const auto priority = static_cast<Priority>(p);
        if (!request.priorities.Has(priority) || queue.count[p][static_cast<int>(JobState::kAvailable)] == 0) continue;
        lanes_.emplace_back(driver, rooms_.back(), priority, request.worker.incarnation, request.max_jobs);
      }
    }
  }

  // The lane and job that go next, or a null lane when nothing is eligible.
  Result<std::pair<Lane*, const Candidate*>> Next(bool allow_held) {
    std::array<std::pair<Lane*, const Candidate*>, kPriorityCount> best{};
    for (Lane& lane : lanes_) {
      MILLRACE_ASSIGN(const Candidate* head, lane.Head(allow_held));
      auto& [best_lane, best_head] = best[static_cast<std::size_t>(lane.priority())];
      if (head != nullptr && (best_head == nullptr || head->Key() < best_head->Key())) {
        best_lane = &lane;
        best_head = head;
      }
    }
    engine::LaneWaits waits;
    for (std::size_t p = 0; p < best.size(); ++p) {
      if (best[p].second != nullptr) waits[p] = now_ - best[p].second->run_at;
    }
    const auto priority = driver_.fair_share_.Next(waits);
    if (!priority) return std::pair<Lane*, const Candidate*>(nullptr, nullptr);
    return best[static_cast<std::size_t>(*priority)];
  }

 private:
  QueueRoom RoomOf(QueueState& queue) {
    QueueRoom room{&queue, INT64_MAX, false};
    if (queue.options.concurrency) {
      room.limited = true;
      room.room = *queue.options.concurrency - queue.Running();
    }
    if (queue.options.rate_limit) {
      room.limited = true;
      queue.bucket.Refill(*queue.options.rate_limit, now_);
      room.room = std::min(room.room, queue.bucket.Whole());
    }
    return room;
  }

  Driver& driver_;
  Time now_;
  std::deque<QueueRoom> rooms_;
  std::deque<Lane> lanes_;
};

Result<void> Driver::CheckWorker(const WorkerRef& worker) const {
  const auto found = state_.workers.find(worker.incarnation);
  if (found != state_.workers.end() && found->second.id == worker.id && found->second.newest &&
      found->second.state != WorkerState::kStopped) {
    return {};
  }
  return fail(ErrorCode::kLeaseLost,
              fmt::format("worker {} incarnation {} is not registered any more (stopped, or started again elsewhere "
                          "under the same id)",
                          worker.id, worker.incarnation));
}

Result<void> Driver::MakeDue(Time now) {
  MILLRACE_ASSIGN(Statement * due, writer_->Prepare(queries::kDueJobs));
  struct DueJob {
    JobId id;
    std::int64_t queue;
    Priority priority;
    JobState state;
    RunId run;
    std::string partition;
  };
  std::vector<DueJob> jobs;
  due->Bind(Micros(now), kMostDueAtOnce);
  while (true) {
    MILLRACE_ASSIGN(const bool found, due->Step());
    if (!found) break;
    jobs.push_back({due->integer(0), due->integer(1), static_cast<Priority>(due->integer(2)),
                    static_cast<JobState>(due->integer(3)), due->integer(4), std::string(due->text(5))});
  }
  if (jobs.empty()) return {};
  state_.touched = true;
  MILLRACE_ASSIGN(Statement * make, writer_->Prepare(queries::kMakeDue));
  for (const DueJob& job : jobs) {
    MILLRACE_TRY(make->Bind(job.id).Run());
    QueueState& queue = *state_.queue_by_id.at(job.queue);
    Moved(queue, job.priority, job.run, job.state, JobState::kAvailable);
    if (!job.partition.empty()) TouchPartition(queue, job.priority, job.partition);
  }
  return FlushPartitionHeads();  // the claim that follows reads them
}

// Marks a job running and reads what its handler needs.
Result<ClaimedJob> Driver::StartJob(const QueueState& queue, Priority priority, JobId id, std::int64_t token,
                                    Time now) {
  MILLRACE_ASSIGN(Statement * start, writer_->Prepare(queries::kStartJob));
  MILLRACE_TRY(start->Bind(id, token, Micros(now)).Run());
  MILLRACE_ASSIGN(Statement * read, writer_->Prepare(queries::kClaimedJob));
  const Resetting resetting(*read);
  MILLRACE_ASSIGN(const bool found, read->Bind(id).Step());
  if (!found)
    return fail(ErrorCode::kCorrupt, fmt::format("job {} stands in the claim order but not in its table", id));
  ClaimedJob job;
  job.id = id;
  job.token = token;
  job.kind = state_.kind_by_id.at(read->integer(0));
  job.args = read->text(1);
  job.queue = queue.options.name;
  job.priority = priority;
  job.attempt = static_cast<int>(read->integer(2));
  job.max_attempts = static_cast<int>(read->integer(3));
  job.crashes = static_cast<int>(read->integer(4));
  job.timeout = Duration(read->integer(5));
  job.created_at = FromMicros(read->integer(6));
  job.run_at = FromMicros(read->integer(7));
  job.claimed_at = now;
  job.partition_key = read->text(8);
  job.unique_key = read->text(9);
  job.run_id = read->integer(10);
  job.tags = base::TextsFromJson(read->text(11));
  return job;
}

// Remembers a claimed job as running: its lease, its partition's hold, the counters.
void Driver::EnterRunning(const ClaimedJob& job, QueueState& queue, std::int64_t incarnation, Lease& lease) {
  const auto& timeouts = state_.workers.at(incarnation).timeouts;
  const auto of_kind = timeouts.find(job.kind);
  const Duration timeout = job.timeout.count() > 0     ? job.timeout
                           : of_kind != timeouts.end() ? of_kind->second
                                                       : options_.claim_timeout;
  const Time deadline = job.claimed_at + timeout;
  lease.earliest_deadline = std::min(lease.earliest_deadline, deadline);
  lease.jobs.push_back(job.id);
  ++lease.open;
  state_.running[job.id] = {job.token,         job.attempt,    &queue,   job.priority, job.run_id,
                            job.partition_key, job.claimed_at, deadline, false};
  Moved(queue, job.priority, job.run_id, JobState::kAvailable, JobState::kRunning);
  if (job.partition_key.empty()) return;
  PartitionHold& hold = state_.partitions[job.partition_key];
  hold.incarnation = incarnation;
  ++hold.running;
  TouchPartition(queue, job.priority, job.partition_key);
}

Result<void> Driver::TakeJobs(const ClaimRequest& request, Time now, Claimed& claimed) {
  Lanes lanes(*this, request, now);
  const std::int64_t token = MakeToken(request.worker.incarnation, state_.next_batch);
  Lease lease;
  lease.earliest_deadline = Time::max();
  int held = 0;
  const int most_held = request.max_held < 0 ? request.max_jobs : request.max_held;
  while (static_cast<int>(claimed.jobs.size()) < request.max_jobs) {
    MILLRACE_ASSIGN(auto next, lanes.Next(held < most_held));
    auto [lane, head] = next;
    if (lane == nullptr) break;
    state_.touched = true;
    QueueState& queue = *lane->room().queue;
    MILLRACE_ASSIGN(const Candidate taken, lane->Pop(head));
    if (lane->room().limited || !taken.partition.empty()) ++held;
    if (queue.options.rate_limit) {
      queue.bucket.Take(1);
      queue.bucket_changed = true;
    }
    MILLRACE_ASSIGN(ClaimedJob job, StartJob(queue, lane->priority(), taken.id, token, now));
    EnterRunning(job, queue, request.worker.incarnation, lease);
    claimed.jobs.push_back(std::move(job));
  }
  claimed.more = static_cast<int>(claimed.jobs.size()) == request.max_jobs;
  return claimed.jobs.empty() ? Result<void>() : AddLease(token, std::move(lease));
}

Result<void> Driver::AddLease(std::int64_t token, Lease lease) {
  MILLRACE_ASSIGN(Statement * insert, writer_->Prepare(queries::kInsertLease));
  const SqlBlob ids{{reinterpret_cast<const char*>(lease.jobs.data()), lease.jobs.size() * sizeof(JobId)}};
  MILLRACE_TRY(insert->Bind(token, ids).Run());
  ++state_.next_batch;
  state_.leases[token] = std::move(lease);
  return {};
}

// When something may next become eligible by itself: a job becomes due, or a rate limit has a token again.
Result<std::optional<Time>> Driver::NextDue(Time now) {
  std::optional<Time> next;
  MILLRACE_ASSIGN(Statement * due, writer_->Prepare(queries::kNextDue));
  const Resetting resetting(*due);
  MILLRACE_ASSIGN(const bool found, due->Step());
  if (found && !due->is_null(0)) next = FromMicros(due->integer(0));
  for (const QueueState& queue : state_.queues) {
    if (!queue.options.rate_limit || *queue.options.rate_limit <= 0 || queue.bucket.tokens < 0 ||
        queue.bucket.Whole() > 0)
      continue;
    const Time at =
        now + Duration(static_cast<std::int64_t>((1 - queue.bucket.tokens) / *queue.options.rate_limit * 1e6) + 1);
    next = next ? std::min(*next, at) : at;
  }
  return next;
}

Result<Claimed> Driver::ClaimJobs(const ClaimRequest& request) {
  MILLRACE_TRY(CheckWorker(request.worker));
  Claimed claimed;
  const Time now = clock_.Now();
  {
    const std::lock_guard lock(work_mutex_);
    state_.workers.at(request.worker.incarnation).seen_work = work_;
  }
  MILLRACE_TRY(MakeDue(now));
  MILLRACE_TRY(FlushPartitionHeads());  // of the reports that came with this claim
  MILLRACE_TRY(TakeJobs(request, now, claimed));
  if (claimed.jobs.empty()) {
    MILLRACE_ASSIGN(claimed.next_due, NextDue(now));
  }
  return claimed;
}

Result<Claimed> Driver::Claim(const ClaimRequest& request) {
  Claimed claimed;
  const std::lock_guard lock(writer_mutex_);
  MILLRACE_TRY(InTransaction([&]() -> Result<void> {
    MILLRACE_ASSIGN(claimed, ClaimJobs(request));
    return {};
  }));
  return claimed;
}

Result<Exchange> Driver::ReportAndClaim(std::span<const Report> reports, const ClaimRequest& request) {
  Exchange exchange;
  const std::lock_guard lock(writer_mutex_);
  MILLRACE_TRY(InTransaction([&]() -> Result<void> {
    MILLRACE_ASSIGN(exchange.accepted, ReportJobs(request.worker, reports));
    if (request.max_jobs > 0) {
      MILLRACE_ASSIGN(exchange.claimed, ClaimJobs(request));
    }
    return {};
  }));
  return exchange;
}

Wake Driver::WaitForWork(const ClaimRequest& filter, Duration timeout, std::stop_token stop) {
  timeout = std::min(timeout, kLookEvery);
  std::uint64_t seen = 0;
  bool until_due = false;
  {
    const std::lock_guard lock(writer_mutex_);
    const auto worker = state_.workers.find(filter.worker.incarnation);
    if (worker != state_.workers.end()) seen = worker->second.seen_work;
    if (auto next = NextDue(clock_.Now()); next && *next) {
      const Duration left = std::max(**next - clock_.Now(), Duration(0));
      until_due = left <= timeout;
      timeout = std::min(left, timeout);
    }
  }
  std::unique_lock lock(work_mutex_);
  const bool work = work_changed_.wait_for(lock, stop, timeout, [&] { return work_ != seen; });
  if (work) return Wake::kWork;
  if (stop.stop_requested()) return Wake::kStopped;
  return until_due ? Wake::kWork : Wake::kTimeout;
}

}  // namespace millrace::storage::sqlite
