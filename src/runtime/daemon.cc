#include "runtime/daemon.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <random>

#include "base/log.h"
#include "base/metrics.h"
#include "base/thread_name.h"
#include "base/try.h"
#include "engine/validate.h"
#include "runtime/heartbeat.h"
#include "runtime/leader.h"
#include "runtime/maintenance.h"

namespace millrace::runtime {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kLinger = std::chrono::milliseconds(5);
constexpr std::size_t kFullBatch = 500;
// How long a worker sleeps without a sign of work, less up to a tenth so that many do not wake together. The storage
// looks more often by itself where it must.
constexpr auto kLongestSleep = std::chrono::seconds(20);
constexpr auto kLongestWait = std::chrono::seconds(2);  // of a busy one, for outcomes
constexpr auto kFirstBackoff = std::chrono::milliseconds(50);
constexpr auto kLongestBackoff = std::chrono::seconds(5);
constexpr auto kFailureShownEvery = std::chrono::seconds(10);
// Of the shutdown budget: what is kept for handlers to heed their stop token, and for the last reports.
constexpr auto kStopMargin = std::chrono::seconds(2);

std::string HostName() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

std::string MakeWorkerId() {
  std::random_device random;
  return fmt::format("{}-{}-{:06x}", HostName(), getpid(), random() & 0xffffff);
}

// The database is well, and will never take what it was given.
bool IsRefusal(ErrorCode code) {
  return code == ErrorCode::kInvalidArgument || code == ErrorCode::kLimitExceeded || code == ErrorCode::kConflict;
}

}  // namespace

Daemon::Daemon(std::shared_ptr<storage::Storage> storage, WorkerOptions options,
               std::shared_ptr<const Handlers> handlers, ShutdownRequest& shutdown, std::shared_ptr<LoopWatch> watch,
               std::shared_ptr<WayDown> way_down)
    : storage_(std::move(storage)),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      shutdown_(shutdown),
      watch_(std::move(watch)),
      way_down_(std::move(way_down)),
      completer_(std::make_shared<Completer>(kLinger, kFullBatch)) {}

void Daemon::ShowFailure(const Error& error) {
  const auto now = Clock::now();
  if (now - failure_shown_ < kFailureShownEvery) return;
  failure_shown_ = now;
  base::Log(base::Level::kError, "Database call failed; trying again",
            {{"code", std::string(error_code_name(error.code))}, {"error", error.message}});
}

void Daemon::CountRefused(std::span<const storage::Report> reports, const storage::Accepted& accepted) {
  for (std::size_t i = 0; i < accepted.size() && i < reports.size(); ++i) {
    if (accepted[i]) continue;
    base::Log(base::Level::kDebug, "Report refused: the lease is lost", {{"job", std::to_string(reports[i].id)}});
  }
}

void Daemon::Lose(std::optional<Error> error) {
  {
    const std::lock_guard lock(lost_mutex_);
    if (error && LastingFailure::Lasts(error->code)) given_up_ = true;
    if (error && !lost_to_) lost_to_ = std::move(error);
  }
  lost_ = true;
  completer_->Interrupt();
}

void Daemon::GiveUp(const Error& error) {
  base::Log(base::Level::kError, "Database cannot be used; the worker stops", {{"error", error.message}});
  Lose(error);
}

void Daemon::Failed(const Error& error) {
  if (!given_up_) ShowFailure(error);
  if (error.code == ErrorCode::kLeaseLost) Lose(std::nullopt);
  if (failures_.Failed(error.code) && !given_up_) GiveUp(error);
  if (given_up_) return;
  backoff_ = std::clamp<std::chrono::microseconds>(backoff_ * 2, kFirstBackoff, kLongestBackoff);
  completer_->Wait(backoff_);
}

bool Daemon::ReportAlone(storage::Report& report) {
  auto accepted = storage_->ReportOutcomes(worker_, {&report, 1});
  if (!accepted && IsRefusal(accepted.error().code)) {
    base::Log(base::Level::kError, "Outcome cannot be written; its job is dead",
              {{"job", std::to_string(report.id)}, {"error", accepted.error().message}});
    storage::Report dead = report;
    dead.verdict = storage::Verdict::kDead;
    dead.text = engine::CleanErrorText("its outcome cannot be written: " + accepted.error().message);
    dead.fatal = true;
    dead.timed_out = dead.discovery_done = false;
    dead.emits.clear();
    report = std::move(dead);
    accepted = storage_->ReportOutcomes(worker_, {&report, 1});
  }
  if (accepted) {
    CountRefused({&report, 1}, *accepted);
    return true;
  }
  if (!IsRefusal(accepted.error().code)) {
    Failed(accepted.error());
    return false;
  }
  base::Log(base::Level::kError, "Outcome dropped; the job's timeout ends its attempt",
            {{"job", std::to_string(report.id)}, {"error", accepted.error().message}});
  return true;
}

void Daemon::ReportOneByOne() {
  std::vector<storage::Report> left;
  for (storage::Report& report : std::exchange(unreported_, {})) {
    if (!left.empty() || !ReportAlone(report)) left.push_back(std::move(report));
  }
  unreported_ = std::move(left);
  idle_ = dry_ = false;  // the claim that should have travelled with them is still to be made
}

void Daemon::Exchange(std::vector<storage::Report> reports, const storage::ClaimRequest& request) {
  std::move(reports.begin(), reports.end(), std::back_inserter(unreported_));
  auto exchanged = storage_->ReportAndClaim(unreported_, request);
  if (!exchanged) {
    if (IsRefusal(exchanged.error().code) && !unreported_.empty()) return ReportOneByOne();
    return Failed(exchanged.error());
  }
  backoff_ = std::chrono::microseconds(0);
  failures_.Succeeded();
  CountRefused(unreported_, exchanged->accepted);
  unreported_.clear();
  if (request.max_jobs == 0) return;
  idle_ = exchanged->claimed.jobs.empty();
  dry_ = idle_ || (static_cast<int>(exchanged->claimed.jobs.size()) < request.max_jobs && !exchanged->claimed.more);
  fetcher_->Claimed(exchanged->claimed.jobs.size());
  if (!idle_) executor_->Submit(std::move(exchanged->claimed.jobs));
}

bool Daemon::WorthAsking(const storage::ClaimRequest& request) const {
  // With every slot taken it would be for later: what comes in meanwhile is found by the claim that travels with the
  // next outcome. (And waiting for it would be in vain: there may be work that only a free slot may take.)
  if (request.max_held == 0) return request.max_jobs > 0 && !dry_;
  return request.max_jobs > 0 && !idle_;
}

void Daemon::Sleep(const storage::ClaimRequest& request) {
  if (request.max_jobs == 0 || request.max_held == 0) {
    completer_->Wait(kLongestWait);
    return;
  }
  const std::chrono::microseconds longest = kLongestSleep;
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto jitter = std::uniform_int_distribution<std::int64_t>(0, longest.count() / 10)(random);
  const std::stop_token woken = completer_->Arm();
  storage_->WaitForWork(request, longest - std::chrono::microseconds(jitter), woken);
  completer_->Disarm();
  idle_ = dry_ = false;
}

void Daemon::Loop() {
  while (!shutdown_.draining() && !lost_) {
    watch_->Step(LoopWatch::Loop::kFetchAndReport);
    if (auto failure = executor_->LastingWriteFailure()) return GiveUp(*failure);
    std::vector<storage::Report> reports = completer_->Take();
    const Executor::Load load = executor_->load();
    storage::ClaimRequest request = fetcher_->Request(load);
    if (fetcher_->Exhausted() && load.running + load.queued == 0 && reports.empty() && unreported_.empty() &&
        completer_->Empty()) {
      shutdown_.Ask();
      return;
    }
    if (!reports.empty() || !unreported_.empty() || WorthAsking(request)) {
      // Outcomes free slots, and what others waited for: a claim travels with them even if the last one found nothing.
      Exchange(std::move(reports), request);
    } else {
      Sleep(request);
    }
  }
}

void Daemon::Flush(Clock::time_point until) {
  storage::ClaimRequest nothing;
  nothing.worker = worker_;
  while (true) {
    watch_->Step(LoopWatch::Loop::kFetchAndReport);
    std::vector<storage::Report> reports = completer_->Take();
    if (reports.empty() && unreported_.empty()) return;
    Exchange(std::move(reports), nothing);
    if (!unreported_.empty() && (given_up_ || Clock::now() >= until || shutdown_.at_once())) return;
  }
}

int Daemon::Drain() {
  const auto begun = Clock::now();
  const auto end = begun + options_.shutdown_timeout;
  const auto margin = std::min<std::chrono::microseconds>(kStopMargin, options_.shutdown_timeout / 4);
  way_down_->Begin([completer = completer_] { completer->Interrupt(); });
  auto released = executor_->ReleaseQueued();
  if (!released.empty()) completer_->Add(std::move(released), true);
  const auto finished = [&] {
    const int running = executor_->load().running;
    way_down_->SetRunningJobs(running);
    return running == 0 && way_down_->operations_ended();
  };
  // Outcomes go on being reported while handlers finish.
  // `patient`: for their results, while these can still be written and nobody is in a hurry.
  const auto wait = [&](Clock::time_point until, bool patient) {
    while (!finished() && Clock::now() < until && !(patient && (lost_ || shutdown_.at_once()))) {
      Flush(until);
      if (!finished()) completer_->Wait(std::chrono::milliseconds(50));
    }
    Flush(end);
  };
  wait(end - margin, true);
  executor_->StopRunning(StopReason::kShutdown);
  way_down_->StopOperations();
  wait(std::min(Clock::now() + margin / 2, end), false);
  const int cut_off = executor_->AbandonRunning() + way_down_->LeaveOperations();
  way_down_->SetRunningJobs(0);
  Flush(end);
  return cut_off;
}

Result<int> Daemon::Run() {
  const int slots = options_.concurrency > 0 ? options_.concurrency : std::max(1U, std::thread::hardware_concurrency());
  storage::WorkerInfo info;
  info.id = options_.id.empty() ? MakeWorkerId() : options_.id;
  info.type = options_.type;
  info.host = HostName();
  info.pid = getpid();
  info.slots = slots;
  info.kinds = handlers_->Kinds();
  info.timeouts = handlers_->Timeouts();
  MILLRACE_ASSIGN(worker_, storage_->RegisterWorker(info));
  base::Log(base::Level::kInfo, "Worker started", {{"worker", worker_.id}, {"slots", std::to_string(slots)}});
  base::Metrics::Process().Started();
  fetcher_ = std::make_unique<Fetcher>(options_, worker_);
  executor_ = std::make_unique<Executor>(storage_, handlers_, completer_, worker_, slots);
  shutdown_.OnAsk([completer = completer_] { completer->Interrupt(); });
  int cut_off = 0;
  Leader leader(*storage_, worker_, options_);
  {
    Heartbeat heartbeat(*storage_, worker_, *executor_, options_, leader, *watch_,
                        [this](std::optional<Error> error) { Lose(std::move(error)); });
    const Maintenance maintenance(*storage_, options_, leader, *watch_);
    Loop();
    base::Metrics::Process().ShutdownAsked();
    heartbeat.SetState(storage::WorkerState::kDraining);
    if (lost_) executor_->StopRunning(StopReason::kShutdown);
    cut_off = Drain();
  }
  shutdown_.OnAsk({});
  executor_.reset();
  Flush(Clock::now());
  watch_->Rest(LoopWatch::Loop::kFetchAndReport);
  if (!unreported_.empty()) {
    base::Log(base::Level::kError, "Outcomes could not be reported; their jobs will run again",
              {{"jobs", std::to_string(unreported_.size())}});
  }
  way_down_->Cleanup(shutdown_);
  if (!lost_) leader.Resign();
  if (auto stopped = storage_->StopWorker(worker_); !stopped) ShowFailure(stopped.error());
  base::Log(base::Level::kInfo, "Worker stopped", {{"worker", worker_.id}, {"cut_off", std::to_string(cut_off)}});
  // The database went away for good: that is why the worker ended.
  if (lost_to_) return fail(*lost_to_);
  return cut_off > 0 ? 3 : 0;
}

}  // namespace millrace::runtime
