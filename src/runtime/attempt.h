// One attempt under way: the Context its handler sees, and what others may do to it meanwhile.
#pragma once

#include <mutex>
#include <optional>

#include "millrace/handler.h"
#include "runtime/handlers.h"
#include "runtime/lasting_failure.h"
#include "storage/storage.h"

namespace millrace::runtime {

// Why an attempt was asked to stop.
enum class StopReason { kNone, kTimeout, kCancelled, kShutdown };

// Used by its executor thread as Context, and by the watchdog, the heartbeat and the shutdown through the methods
// below.
class RunningAttempt : public Context {
 public:
  // `failures` is told how the handler's writes went.
  RunningAttempt(storage::Storage& storage, WriteFailures& failures, const storage::WorkerRef& worker,
                 storage::ClaimedJob job, Duration timeout);

  // ---- Context
  [[nodiscard]] const Job& job() const override { return job_; }
  [[nodiscard]] std::chrono::steady_clock::time_point deadline() const override { return deadline_; }
  [[nodiscard]] std::stop_token stop_token() const override { return stop_.get_token(); }
  void log(LogLevel level, std::string_view message) override;
  void progress(double fraction, std::string_view message) override;
  void emit(NewJob job) override { emits_.push_back(std::move(job)); }
  Result<void> emit_now(std::span<const NewJob> jobs) override;
  Result<void> complete_in(const std::function<Result<void>(Transaction&)>& body, Outcome outcome) override;
  void discovery_done() override { discovery_done_ = true; }

  // ---- Its executor thread
  [[nodiscard]] const storage::ClaimedJob& claimed() const { return claimed_; }
  [[nodiscard]] std::chrono::steady_clock::time_point started() const { return started_; }
  // The report of what the handler returned; nothing when the attempt has been reported already.
  std::optional<storage::Report> Finish(const Outcome& outcome, const Handlers& handlers);

  // ---- Others
  // The first reason counts.
  void Stop(StopReason reason);
  // Reports in the handler's stead, once: nothing when it was reported already.
  std::optional<storage::Report> Abandon(const Handlers& handlers);
  [[nodiscard]] bool abandoned() const;
  // The latest progress, once.
  std::optional<storage::JobProgress> TakeProgress();

 private:
  // Whether the job can complete with this result and with what was emitted; kInvalidArgument says why not.
  [[nodiscard]] Result<void> CheckDone(std::string_view result) const;
  storage::Report Decide(const Outcome& outcome, StopReason reason, const Handlers& handlers);

  storage::Storage& storage_;
  WriteFailures& failures_;
  const storage::WorkerRef worker_;
  const storage::ClaimedJob claimed_;
  Job job_;
  const std::chrono::steady_clock::time_point started_;
  const std::chrono::steady_clock::time_point deadline_;
  std::stop_source stop_;
  std::vector<NewJob> emits_;
  bool discovery_done_ = false;

  mutable std::mutex mutex_;  // of what follows
  StopReason reason_ = StopReason::kNone;
  bool reported_ = false;
  bool abandoned_ = false;
  std::optional<storage::JobProgress> progress_;
};

}  // namespace millrace::runtime
