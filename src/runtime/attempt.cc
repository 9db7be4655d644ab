#include "runtime/attempt.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/try.h"
#include "engine/validate.h"

namespace millrace::runtime {
namespace {

Job JobOf(const storage::ClaimedJob& claimed, const storage::WorkerRef& worker) {
  Job job;
  job.id = claimed.id;
  job.kind = claimed.kind;
  job.args = claimed.args;
  job.queue = claimed.queue;
  job.priority = claimed.priority;
  job.state = JobState::kRunning;
  job.created_at = claimed.created_at;
  job.run_at = claimed.run_at;
  job.started_at = claimed.claimed_at;
  job.attempt = claimed.attempt;
  job.max_attempts = claimed.max_attempts;
  job.crashes = claimed.crashes;
  job.timeout = claimed.timeout;
  job.partition_key = claimed.partition_key;
  job.unique_key = claimed.unique_key;
  job.run_id = claimed.run_id;
  job.tags = claimed.tags;
  job.worker = worker.id;
  return job;
}

base::Level LevelOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return base::Level::kDebug;
    case LogLevel::kInfo:
      return base::Level::kInfo;
    case LogLevel::kWarn:
      return base::Level::kWarn;
    case LogLevel::kError:
      break;
  }
  return base::Level::kError;
}

}  // namespace

RunningAttempt::RunningAttempt(storage::Storage& storage, WriteFailures& failures, const storage::WorkerRef& worker,
                               storage::ClaimedJob job, Duration timeout)
    : storage_(storage),
      failures_(failures),
      worker_(worker),
      claimed_(std::move(job)),
      job_(JobOf(claimed_, worker)),
      started_(std::chrono::steady_clock::now()),
      deadline_(started_ + timeout) {}

void RunningAttempt::log(LogLevel level, std::string_view message) {
  base::Log(LevelOf(level), message,
            {{"job", std::to_string(claimed_.id)},
             {"kind", claimed_.kind},
             {"attempt", std::to_string(claimed_.attempt)},
             {"worker", worker_.id}});
}

void RunningAttempt::progress(double fraction, std::string_view message) {
  const std::lock_guard lock(mutex_);
  progress_ = {claimed_.id, claimed_.attempt, claimed_.token, std::clamp(fraction, 0.0, 1.0),
               std::string(message.substr(0, 500))};
}

Result<void> RunningAttempt::emit_now(std::span<const NewJob> jobs) {
  const auto emitted = storage_.EmitNow(worker_, claimed_.id, claimed_.attempt, claimed_.token, jobs);
  if (!emitted) {
    failures_.Failed(emitted.error());
    return fail(emitted.error());
  }
  failures_.Succeeded();
  return {};
}

Result<void> RunningAttempt::complete_in(const std::function<Result<void>(Transaction&)>& body, Outcome outcome) {
  if (outcome.kind != Outcome::Kind::kDone && outcome.kind != Outcome::Kind::kFatal) {
    return fail(ErrorCode::kInvalidArgument,
                "complete_in takes the outcomes done and fatal; return the others from the handler");
  }
  const bool done = outcome.kind == Outcome::Kind::kDone;
  if (done) MILLRACE_TRY(CheckDone(outcome.text));
  storage::Report report =
      ReportFor(claimed_, done ? storage::Verdict::kCompleted : storage::Verdict::kDead, std::move(outcome.text));
  report.fatal = !done;
  report.discovery_done = done && discovery_done_;
  if (done) report.emits = emits_;  // a copy: should the transaction fail, the attempt may still complete otherwise
  bool bodys_own = false;
  auto written = storage_.Transact([&](storage::Transaction& transaction) -> Result<void> {
    if (auto ran = body(transaction); !ran) {
      // Damage that the body tells may be that of anything it has looked at.
      bodys_own = ran.error().code == ErrorCode::kCorrupt;
      return ran;
    }
    MILLRACE_ASSIGN(const storage::Accepted accepted, transaction.ReportIn(worker_, {&report, 1}));
    if (accepted.front()) return {};
    return fail(ErrorCode::kLeaseLost, fmt::format("job {} attempt {}: its lease is lost; nothing was written",
                                                   claimed_.id, claimed_.attempt));
  });
  if (!written) {
    if (!bodys_own) failures_.Failed(written.error());
    return written;
  }
  failures_.Succeeded();
  const std::lock_guard lock(mutex_);
  reported_ = true;
  return {};
}

Result<void> RunningAttempt::CheckDone(std::string_view result) const {
  MILLRACE_TRY(engine::ValidateResult(result));
  if (auto valid = engine::ValidateNewJobs(emits_); !valid) {
    return fail(ErrorCode::kInvalidArgument, "it emitted a job that cannot be enqueued: " + valid.error().message);
  }
  return {};
}

storage::Report RunningAttempt::Decide(const Outcome& outcome, StopReason reason, const Handlers& handlers) {
  if (outcome.kind == Outcome::Kind::kDone) {
    // What no database would take is this attempt's failure, not one of the batch it would be reported in.
    if (auto valid = CheckDone(outcome.text); !valid)
      return handlers.Failure(claimed_, valid.error().message, std::nullopt, false);
    storage::Report report = ReportFor(claimed_, storage::Verdict::kCompleted, outcome.text);
    report.emits = std::move(emits_);
    report.discovery_done = discovery_done_;
    return report;
  }
  // A handler that gave up because it was asked to is not to blame.
  if (reason == StopReason::kCancelled)
    return ReportFor(claimed_, storage::Verdict::kCancelled, "cancelled on request");
  if (reason == StopReason::kShutdown && outcome.kind != Outcome::Kind::kFatal)
    return ReportFor(claimed_, storage::Verdict::kReleased);
  if (reason == StopReason::kTimeout) return handlers.Failure(claimed_, "timeout", std::nullopt, true);
  switch (outcome.kind) {
    case Outcome::Kind::kSnooze: {
      storage::Report report = ReportFor(claimed_, storage::Verdict::kSnooze);
      report.delay = outcome.after.value_or(std::chrono::seconds(1));
      return report;
    }
    case Outcome::Kind::kFatal: {
      storage::Report report = ReportFor(claimed_, storage::Verdict::kDead, outcome.text);
      report.fatal = true;
      return report;
    }
    default:
      return handlers.Failure(claimed_, outcome.text, outcome.after, false);
  }
}

std::optional<storage::Report> RunningAttempt::Finish(const Outcome& outcome, const Handlers& handlers) {
  StopReason reason = StopReason::kNone;
  {
    const std::lock_guard lock(mutex_);
    if (reported_) return std::nullopt;
    reported_ = true;
    reason = reason_;
  }
  return Decide(outcome, reason, handlers);
}

void RunningAttempt::Stop(StopReason reason) {
  {
    const std::lock_guard lock(mutex_);
    if (reason_ != StopReason::kNone) return;
    reason_ = reason;
  }
  stop_.request_stop();
}

std::optional<storage::Report> RunningAttempt::Abandon(const Handlers& handlers) {
  StopReason reason = StopReason::kNone;
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
    if (reported_) return std::nullopt;
    reported_ = true;
    reason = reason_;
  }
  if (reason == StopReason::kTimeout) return handlers.Failure(claimed_, "timeout", std::nullopt, true);
  if (reason == StopReason::kCancelled)
    return ReportFor(claimed_, storage::Verdict::kCancelled, "cancelled on request");
  return ReportFor(claimed_, storage::Verdict::kReleased);
}

bool RunningAttempt::abandoned() const {
  const std::lock_guard lock(mutex_);
  return abandoned_;
}

std::optional<storage::JobProgress> RunningAttempt::TakeProgress() {
  const std::lock_guard lock(mutex_);
  return std::exchange(progress_, std::nullopt);
}

}  // namespace millrace::runtime
