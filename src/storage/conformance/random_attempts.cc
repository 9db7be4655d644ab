// Operations on attempts: claims, reports, emits, and transactions with all of them.
#include <algorithm>

#include "storage/conformance/random_run.h"

namespace millrace::storage {

std::string Describe(const ClaimRequest& request) {
  std::string text = " " + request.worker.id + "." + std::to_string(request.worker.incarnation) + " max " +
                     std::to_string(request.max_jobs) + " held " + std::to_string(request.max_held) + " priorities ";
  for (int p = 0; p < kPriorityCount; ++p) text += request.priorities.Has(static_cast<Priority>(p)) ? '1' : '0';
  for (const std::string& queue : request.queues) text += " " + queue;
  return text;
}

std::string Describe(const Report& report) {
  std::string text =
      " {job " + std::to_string(report.id) + " verdict " + std::to_string(static_cast<int>(report.verdict));
  if (report.delay > Duration(0)) text += " delay " + base::FormatDuration(report.delay);
  if (report.discovery_done) text += " discovery done";
  if (!report.emits.empty()) text += " emits" + Describe(report.emits);
  return text + "}";
}

// ---- Claims ----

std::pair<ClaimRequest, ClaimRequest> RandomRun::AnyClaim(std::size_t worker) {
  ClaimRequest request;
  request.worker = workers_[worker].real;
  request.max_jobs = Below(9);
  if (Chance(20)) request.max_held = Below(3);
  if (Chance(30)) request.queues = {Any(kQueues), Any(kQueues), Any(kQueues)};
  if (Chance(30)) {
    request.priorities = engine::PrioritySet::None();
    for (int i = 0; i < 3; ++i) request.priorities.Add(static_cast<Priority>(Below(kPriorityCount)));
  }
  ClaimRequest same = request;
  same.worker = workers_[worker].model;
  return {request, same};
}

void RandomRun::Remember(std::size_t worker, const Claimed& real, const Claimed& model) {
  pair_.CompareClaimed(real, model);
  std::string text = "  gave";
  for (const ClaimedJob& job : real.jobs) text += " " + job.tags.at(0);
  Note(text);
  for (std::size_t i = 0; i < real.jobs.size(); ++i) leases_.push_back({worker, real.jobs[i], model.jobs[i]});
  // The oldest are stale or will be rescued; a few of them stay to be tried.
  while (leases_.size() > 60) leases_.erase(leases_.begin() + Below(20));
}

void RandomRun::Claim() {
  const std::size_t worker = AnyWorker();
  const auto [request, same] = AnyClaim(worker);
  Note("claim" + Describe(request));
  const auto real = pair_.real().Claim(request);
  const auto model = pair_.model().Claim(same);
  // A superseded worker may get an error or nothing.
  if (!model && real && real->jobs.empty()) return;
  if (pair_.BothWorked(real, model)) Remember(worker, *real, *model);
}

// ---- Reports ----

// A report of a lease, mostly a current one, as each storage needs to be told. `worker` is the lease's.
std::pair<Report, Report> RandomRun::AnyReport(std::size_t& worker) {
  const PairedLease& lease =
      Chance(70) ? leases_[leases_.size() - 1 -
                           static_cast<std::size_t>(Below(std::min<int>(8, static_cast<int>(leases_.size()))))]
                 : Any(leases_);
  worker = lease.worker;
  const auto verdict = Chance(50) ? Verdict::kCompleted : static_cast<Verdict>(Below(6));
  const bool waits = verdict == Verdict::kRetry || verdict == Verdict::kSnooze;
  Report real = ReportOf(lease.real, verdict, waits && Chance(80) ? AnyDelay() : Duration(0));
  if (verdict == Verdict::kRetry || verdict == Verdict::kDead) {
    real.text = "error " + std::to_string(Below(100));
    real.timed_out = Chance(20);
    real.fatal = verdict == Verdict::kDead && !real.timed_out && Chance(50);
  } else if (verdict == Verdict::kSnooze) {
    if (Chance(30)) real.text = "why " + std::to_string(Below(100));
  } else if (verdict == Verdict::kCompleted) {
    if (Chance(50)) real.text = std::to_string(Below(100));
    real.discovery_done = Chance(20);
    if (Chance(20)) real.emits = AnyJobs(3);
    for (NewJob& emit : real.emits) emit.run_id = 0;
  }
  Report model = real;
  model.emits = ForModel(real.emits);
  model.id = lease.model.id;
  model.token = lease.model.token;
  if (Chance(3)) ++real.attempt, ++model.attempt;
  if (Chance(3)) real.token += 1'000'003, model.token += 1'000'003;
  return {real, model};
}

std::pair<std::vector<Report>, std::vector<Report>> RandomRun::AnyReports(std::size_t& worker) {
  std::vector<Report> real;
  std::vector<Report> model;
  for (int i = 1 + Below(4); i > 0; --i) {
    auto [a, b] = AnyReport(worker);
    real.push_back(std::move(a));
    model.push_back(std::move(b));
  }
  if (Chance(10)) {
    real.push_back(real.front());
    model.push_back(model.front());
  }
  return {real, model};
}

void RandomRun::CompareAccepted(const Result<Accepted>& real, const Result<Accepted>& model) {
  if (!pair_.BothWorked(real, model)) return;
  if (*real == *model) return;
  const auto text = [](const Accepted& accepted) {
    std::string bits;
    for (const bool one : accepted) bits += one ? '1' : '0';
    return bits;
  };
  Pair::Differ("accepted: driver " + text(*real) + ", model " + text(*model));
}

void RandomRun::Report_() {
  if (leases_.empty()) return;
  std::size_t worker = 0;
  const auto [real_reports, model_reports] = AnyReports(worker);
  std::string text = "report " + workers_[worker].real.id;
  for (const Report& report : real_reports) text += Describe(report);
  Note(text);
  const auto real = pair_.real().ReportOutcomes(workers_[worker].real, real_reports);
  const auto model = pair_.model().ReportOutcomes(workers_[worker].model, model_reports);
  CompareAccepted(real, model);
  pair_.MatchNewJobs();
}

void RandomRun::ReportAndClaim() {
  if (leases_.empty()) return;
  std::size_t worker = 0;
  const auto [real_reports, model_reports] = AnyReports(worker);
  const auto [request, same] = AnyClaim(worker);
  if (request.max_jobs == 0) return;
  std::string text = "report and claim" + Describe(request);
  for (const Report& report : real_reports) text += Describe(report);
  Note(text);
  const auto real = pair_.real().ReportAndClaim(real_reports, request);
  const auto model = pair_.model().ReportAndClaim(model_reports, same);
  if (!model && real && real->claimed.jobs.empty()) return;
  if (!pair_.BothWorked(real, model)) return;
  CompareAccepted(real->accepted, model->accepted);
  pair_.MatchNewJobs();
  Remember(worker, real->claimed, model->claimed);
}

void RandomRun::EmitNow() {
  if (leases_.empty()) return;
  const PairedLease& lease = Any(leases_);
  const PairedWorker& worker = workers_[lease.worker];
  std::vector<NewJob> jobs = AnyJobs(3);
  for (NewJob& job : jobs) job.run_id = 0;
  Note("emit now " + std::to_string(lease.real.id) + Describe(jobs));
  const auto real = pair_.real().EmitNow(worker.real, lease.real.id, lease.real.attempt, lease.real.token, jobs);
  const auto model =
      pair_.model().EmitNow(worker.model, lease.model.id, lease.model.attempt, lease.model.token, ForModel(jobs));
  if (pair_.BothWorked(real, model)) pair_.CompareEnqueued(*real, *model);
}

void RandomRun::Transact() {
  const std::vector<NewJob> jobs = AnyJobs(3);
  const std::vector<NewJob> same_jobs = ForModel(jobs);
  const bool commit = Chance(50);
  const bool with_reports = Chance(50) && !leases_.empty();
  std::size_t worker = 0;
  std::pair<std::vector<Report>, std::vector<Report>> reports;
  if (with_reports) reports = AnyReports(worker);
  std::string text = std::string("transaction, ") + (commit ? "committed" : "rolled back") + Describe(jobs);
  for (const Report& report : reports.first) text += Describe(report);
  Note(text);
  const auto body = [&](const std::vector<NewJob>& batch, const WorkerRef& ref, const std::vector<Report>& outcomes) {
    return [&, commit](Transaction& transaction) -> Result<void> {
      if (auto added = transaction.enqueue(batch); !added && batch.size() > 1) return fail(added.error());
      if (!outcomes.empty()) {
        if (auto accepted = transaction.ReportIn(ref, outcomes); !accepted) return fail(accepted.error());
      }
      if (!commit) return fail(ErrorCode::kConflict, "rolled back");
      return {};
    };
  };
  const auto real = pair_.real().Transact(body(jobs, workers_[worker].real, reports.first));
  const auto model = pair_.model().Transact(body(same_jobs, workers_[worker].model, reports.second));
  pair_.BothWorked(real, model);
  pair_.MatchNewJobs();
}

}  // namespace millrace::storage
