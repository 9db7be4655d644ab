#include "storage/metered_storage.h"

#include <algorithm>
#include <unordered_map>

#include "base/try.h"

namespace millrace::storage {
namespace {

using base::EventTally;
using base::JobEvent;

}  // namespace

// Remembers what its body did, to be counted once it is committed.
class MeteredTransaction : public Transaction {
 public:
  explicit MeteredTransaction(Transaction& inner) : inner_(inner) {}

  [[nodiscard]] SqlSession& sql() override { return inner_.sql(); }
  Result<std::vector<Enqueued>> enqueue(std::span<const NewJob> jobs) override {
    auto results = inner_.enqueue(jobs);
    if (!results) return results;
    jobs_.insert(jobs_.end(), jobs.begin(), jobs.end());
    enqueued_.insert(enqueued_.end(), results->begin(), results->end());
    return results;
  }
  Result<Accepted> ReportIn(const WorkerRef& worker, std::span<const Report> reports) override {
    auto accepted = inner_.ReportIn(worker, reports);
    if (!accepted) return accepted;
    reports_.insert(reports_.end(), reports.begin(), reports.end());
    accepted_.insert(accepted_.end(), accepted->begin(), accepted->end());
    return accepted;
  }
  void Count(MeteredStorage& storage) const {
    storage.CountEnqueued(jobs_, enqueued_);
    storage.CountReported(reports_, accepted_);
  }

 private:
  Transaction& inner_;
  std::vector<NewJob> jobs_;
  std::vector<Enqueued> enqueued_;
  std::vector<Report> reports_;
  Accepted accepted_;
};

MeteredStorage::MeteredStorage(std::unique_ptr<Storage> inner, base::Metrics& metrics,
                               std::set<std::string> waiting_queues)
    : inner_(std::move(inner)), metrics_(metrics), waiting_queues_(std::move(waiting_queues)), finder_(metrics) {}

// ---- Counting -----------------------------------------------------------------------------------

void MeteredStorage::CountEnqueued(std::span<const NewJob> jobs, std::span<const Enqueued> results) {
  if (jobs.empty()) return;
  const std::lock_guard lock(mutex_);
  EventTally tally(metrics_);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (i < results.size() && results[i].duplicate) continue;
    tally.Add(&finder_.Find(jobs[i].queue, jobs[i].priority, jobs[i].kind), JobEvent::kEnqueued);
  }
}

void MeteredStorage::CountRejected(std::span<const NewJob> jobs, const Error& error) {
  if (error.code != ErrorCode::kQueueFull) return;
  if (std::any_of(jobs.begin(), jobs.end(), [&](const NewJob& job) { return waiting_queues_.contains(job.queue); }))
    return;
  const std::lock_guard lock(mutex_);
  EventTally tally(metrics_);
  for (const NewJob& job : jobs) tally.Add(&finder_.Find(job.queue, job.priority, job.kind), JobEvent::kRejected);
}

void MeteredStorage::CountReported(std::span<const Report> reports, const Accepted& accepted) {
  EventTally tally(metrics_);
  for (std::size_t i = 0; i < reports.size(); ++i) {
    const Report& report = reports[i];
    if (!accepted[i]) continue;
    if (report.verdict == Verdict::kCompleted) tally.Add(report.counted_as, JobEvent::kCompleted);
    const bool failed = report.verdict == Verdict::kRetry || report.verdict == Verdict::kDead;
    if (failed) tally.Add(report.counted_as, JobEvent::kFailed);
    if (report.verdict == Verdict::kRetry) tally.Add(report.counted_as, JobEvent::kRetried);
    if (report.verdict == Verdict::kDead) tally.Add(report.counted_as, JobEvent::kDead);
    CountEnqueued(report.emits, {});
  }
}

void MeteredStorage::CountClaimed(std::vector<ClaimedJob>& jobs) {
  if (jobs.empty()) return;
  const std::lock_guard lock(mutex_);
  base::TimeTally waits(metrics_, base::JobTime::kWait);
  for (ClaimedJob& job : jobs) {
    job.counted_as = &finder_.Find(job.queue, job.priority, job.kind);
    waits.Add(job.counted_as, std::max(std::chrono::duration<double>(job.claimed_at - job.run_at).count(), 0.0));
  }
}

void MeteredStorage::CountRescued(const std::vector<Rescued>& rescued) {
  if (rescued.empty()) return;
  JobFilter filter;
  for (const Rescued& job : rescued) filter.ids.push_back(job.id);
  filter.limit = static_cast<int>(filter.ids.size());
  std::unordered_map<JobId, Job> known;
  if (auto jobs = inner_->ListJobs(filter)) {
    for (Job& job : *jobs) known.emplace(job.id, std::move(job));
  }
  const std::lock_guard lock(mutex_);
  EventTally tally(metrics_);
  for (const Rescued& one : rescued) {
    const auto found = known.find(one.id);
    // Gone from history already, or the look failed: counted all the same.
    base::JobSeries& series = found == known.end()
                                  ? finder_.Find(base::kOtherLabel, Priority::kDefault, base::kOtherLabel)
                                  : finder_.Find(found->second.queue, found->second.priority, found->second.kind);
    tally.Add(&series, JobEvent::kRescued);
    // A worker's death is no failure of the attempt; a timeout is.
    const bool failed = one.expired && one.state != JobState::kCancelled;
    if (failed) tally.Add(&series, JobEvent::kFailed);
    if (failed && one.state != JobState::kDead) tally.Add(&series, JobEvent::kRetried);
    if (one.state == JobState::kDead) tally.Add(&series, JobEvent::kDead);
  }
}

// ---- Calls --------------------------------------------------------------------------------------

Result<std::vector<Enqueued>> MeteredStorage::Enqueue(std::span<const NewJob> jobs) {
  auto results = inner_->Enqueue(jobs);
  if (results) {
    CountEnqueued(jobs, *results);
  } else {
    CountRejected(jobs, results.error());
  }
  return results;
}

Result<Claimed> MeteredStorage::Claim(const ClaimRequest& request) {
  auto claimed = inner_->Claim(request);
  if (claimed) CountClaimed(claimed->jobs);
  return claimed;
}

Result<Accepted> MeteredStorage::ReportOutcomes(const WorkerRef& worker, std::span<const Report> reports) {
  auto accepted = inner_->ReportOutcomes(worker, reports);
  if (accepted) CountReported(reports, *accepted);
  return accepted;
}

Result<Exchange> MeteredStorage::ReportAndClaim(std::span<const Report> reports, const ClaimRequest& request) {
  auto exchange = inner_->ReportAndClaim(reports, request);
  if (!exchange) return exchange;
  CountReported(reports, exchange->accepted);
  CountClaimed(exchange->claimed.jobs);
  return exchange;
}

Result<void> MeteredStorage::Transact(const std::function<Result<void>(Transaction&)>& body) {
  std::optional<MeteredTransaction> counted;
  auto done = inner_->Transact([&](Transaction& inner) {
    counted.emplace(inner);
    return body(*counted);
  });
  if (done && counted) counted->Count(*this);
  return done;
}

Result<std::vector<Enqueued>> MeteredStorage::EmitNow(const WorkerRef& worker, JobId id, int attempt,
                                                      std::int64_t token, std::span<const NewJob> jobs) {
  auto results = inner_->EmitNow(worker, id, attempt, token, jobs);
  if (results) CountEnqueued(jobs, *results);
  return results;
}

Result<std::vector<Rescued>> MeteredStorage::Rescue(Duration stale_threshold, Duration grace, const Leadership& as) {
  auto rescued = inner_->Rescue(stale_threshold, grace, as);
  if (rescued) CountRescued(*rescued);
  return rescued;
}

Result<StartedRun> MeteredStorage::StartRun(const RunSpec& spec) {
  auto started = inner_->StartRun(spec);
  if (started && !started->joined) CountEnqueued({&spec.discovery, 1}, {});
  return started;
}

}  // namespace millrace::storage
