#include "storage/faulty/faulty_storage.h"

#include <string>
#include <utility>

namespace millrace::storage {
namespace {

constexpr std::array<std::string_view, kMethodCount> kNames = {
    "Now",      "Enqueue",  "WaitForWork", "Claim",          "ReportOutcomes", "ReportAndClaim",
    "Transact", "Read",     "EmitNow",     "RegisterWorker", "Heartbeat",      "StopWorker",
    "Rescue",   "Cancel",   "RetryDead",   "DeleteOld",      "PauseQueue",     "ConfigureQueues",
    "Look",     "StartRun", "CancelRun",   "Lead",           "Resign"};

}  // namespace

std::string_view MethodName(Method method) { return kNames[static_cast<std::size_t>(method)]; }

FaultyStorage::FaultyStorage(std::unique_ptr<Storage> inner, std::uint64_t seed, DelayHook delay)
    : inner_(std::move(inner)), delay_(std::move(delay)), random_(seed) {}

void FaultyStorage::SetRates(Method method, FaultRates rates) {
  const std::lock_guard lock(mutex_);
  plans_[static_cast<std::size_t>(method)].rates = rates;
}

void FaultyStorage::SetAllRates(FaultRates rates) {
  const std::lock_guard lock(mutex_);
  for (MethodPlan& plan : plans_) plan.rates = rates;
}

void FaultyStorage::FailNext(Method method, Fault fault) {
  const std::lock_guard lock(mutex_);
  plans_[static_cast<std::size_t>(method)].next.push_back(fault);
}

std::int64_t FaultyStorage::injected() const {
  const std::lock_guard lock(mutex_);
  return injected_;
}

Fault FaultyStorage::Decide(Method method) {
  const std::lock_guard lock(mutex_);
  MethodPlan& plan = plans_[static_cast<std::size_t>(method)];
  Fault fault = Fault::kNone;
  // One draw a call, whatever comes of it, so that what was ordered with FailNext shifts nothing.
  const double drawn = std::uniform_real_distribution<double>(0, 1)(random_);
  if (!plan.next.empty()) {
    fault = plan.next.front();
    plan.next.erase(plan.next.begin());
  } else if (drawn < plan.rates.before) {
    fault = Fault::kBefore;
  } else if (drawn < plan.rates.before + plan.rates.after) {
    fault = Fault::kAfter;
  }
  injected_ += fault == Fault::kNone ? 0 : 1;
  return fault;
}

Error FaultyStorage::Injected(Method method, std::string_view what) {
  return {ErrorCode::kDatabaseUnavailable,
          "injected fault: " + std::string(MethodName(method)) + " " + std::string(what)};
}

template <class Call>
auto FaultyStorage::Through(Method method, Call call) -> decltype(call()) {
  if (delay_) delay_(method);
  const Fault fault = Decide(method);
  if (fault == Fault::kBefore) return fail(Injected(method, "did not reach the database"));
  auto result = call();
  // A failure of the call itself is what the caller would have heard.
  if (fault == Fault::kAfter && result) return fail(Injected(method, "was done, its reply was lost"));
  return result;
}

Result<Time> FaultyStorage::Now() {
  return Through(Method::kNow, [&] { return inner_->Now(); });
}

Result<std::vector<Enqueued>> FaultyStorage::Enqueue(std::span<const NewJob> jobs) {
  return Through(Method::kEnqueue, [&] { return inner_->Enqueue(jobs); });
}

Wake FaultyStorage::WaitForWork(const ClaimRequest& filter, Duration timeout, std::stop_token stop) {
  if (delay_) delay_(Method::kWaitForWork);
  return inner_->WaitForWork(filter, timeout, std::move(stop));
}

Result<Claimed> FaultyStorage::Claim(const ClaimRequest& request) {
  return Through(Method::kClaim, [&] { return inner_->Claim(request); });
}

Result<Accepted> FaultyStorage::ReportOutcomes(const WorkerRef& worker, std::span<const Report> reports) {
  return Through(Method::kReportOutcomes, [&] { return inner_->ReportOutcomes(worker, reports); });
}

Result<Exchange> FaultyStorage::ReportAndClaim(std::span<const Report> reports, const ClaimRequest& request) {
  return Through(Method::kReportAndClaim, [&] { return inner_->ReportAndClaim(reports, request); });
}

Result<void> FaultyStorage::Transact(const std::function<Result<void>(Transaction&)>& body) {
  return Through(Method::kTransact, [&] { return inner_->Transact(body); });
}

Result<void> FaultyStorage::Read(const std::function<Result<void>(SqlSession&)>& body) {
  return Through(Method::kRead, [&] { return inner_->Read(body); });
}

Result<std::vector<Enqueued>> FaultyStorage::EmitNow(const WorkerRef& worker, JobId id, int attempt, std::int64_t token,
                                                     std::span<const NewJob> jobs) {
  return Through(Method::kEmitNow, [&] { return inner_->EmitNow(worker, id, attempt, token, jobs); });
}

Result<WorkerRef> FaultyStorage::RegisterWorker(const WorkerInfo& info) {
  return Through(Method::kRegisterWorker, [&] { return inner_->RegisterWorker(info); });
}

Result<HeartbeatReply> FaultyStorage::Heartbeat(const WorkerRef& worker, WorkerState state,
                                                std::span<const JobProgress> progress, const Campaign& campaign) {
  return Through(Method::kHeartbeat, [&] { return inner_->Heartbeat(worker, state, progress, campaign); });
}

Result<Leadership> FaultyStorage::Lead(const WorkerRef& worker, const Campaign& campaign) {
  return Through(Method::kLead, [&] { return inner_->Lead(worker, campaign); });
}

Result<void> FaultyStorage::Resign(const WorkerRef& worker, const std::string& scope) {
  return Through(Method::kResign, [&] { return inner_->Resign(worker, scope); });
}

Result<std::vector<Leadership>> FaultyStorage::Leaders() {
  return Through(Method::kLook, [&] { return inner_->Leaders(); });
}

Result<void> FaultyStorage::StopWorker(const WorkerRef& worker) {
  return Through(Method::kStopWorker, [&] { return inner_->StopWorker(worker); });
}

Result<std::vector<Rescued>> FaultyStorage::Rescue(Duration stale_threshold, Duration grace, const Leadership& as) {
  return Through(Method::kRescue, [&] { return inner_->Rescue(stale_threshold, grace, as); });
}

Result<std::vector<JobId>> FaultyStorage::Cancel(const JobFilter& filter) {
  return Through(Method::kCancel, [&] { return inner_->Cancel(filter); });
}

Result<std::vector<JobId>> FaultyStorage::RetryDead(const JobFilter& filter) {
  return Through(Method::kRetryDead, [&] { return inner_->RetryDead(filter); });
}

Result<std::int64_t> FaultyStorage::CountOld(Old what, Time before) {
  return Through(Method::kLook, [&] { return inner_->CountOld(what, before); });
}

Result<std::int64_t> FaultyStorage::DeleteOld(Old what, Time before, int limit, const Leadership& as) {
  return Through(Method::kDeleteOld, [&] { return inner_->DeleteOld(what, before, limit, as); });
}

Result<void> FaultyStorage::PauseQueue(const std::string& queue, bool paused) {
  return Through(Method::kPauseQueue, [&] { return inner_->PauseQueue(queue, paused); });
}

Result<void> FaultyStorage::ConfigureQueues(std::span<const QueueOptions> queues) {
  return Through(Method::kConfigureQueues, [&] { return inner_->ConfigureQueues(queues); });
}

Result<std::optional<Job>> FaultyStorage::GetJob(JobId id) {
  return Through(Method::kLook, [&] { return inner_->GetJob(id); });
}

Result<std::vector<Job>> FaultyStorage::ListJobs(const JobFilter& filter) {
  return Through(Method::kLook, [&] { return inner_->ListJobs(filter); });
}

Result<std::vector<Attempt>> FaultyStorage::Attempts(JobId id) {
  return Through(Method::kLook, [&] { return inner_->Attempts(id); });
}

Result<std::vector<QueueRow>> FaultyStorage::Queues() {
  return Through(Method::kLook, [&] { return inner_->Queues(); });
}

Result<std::vector<WorkerRow>> FaultyStorage::Workers() {
  return Through(Method::kLook, [&] { return inner_->Workers(); });
}

Result<std::set<std::string>> FaultyStorage::KnownKinds() {
  return Through(Method::kLook, [&] { return inner_->KnownKinds(); });
}

Result<StartedRun> FaultyStorage::StartRun(const RunSpec& spec) {
  return Through(Method::kStartRun, [&] { return inner_->StartRun(spec); });
}

Result<std::optional<RunRow>> FaultyStorage::GetRun(RunId id) {
  return Through(Method::kLook, [&] { return inner_->GetRun(id); });
}

Result<std::vector<RunRow>> FaultyStorage::ListRuns(int limit) {
  return Through(Method::kLook, [&] { return inner_->ListRuns(limit); });
}

Result<void> FaultyStorage::CancelRun(RunId id) {
  return Through(Method::kCancelRun, [&] { return inner_->CancelRun(id); });
}

}  // namespace millrace::storage
