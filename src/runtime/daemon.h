// One worker's life: register, claim and run and report until asked to stop, drain, sign off.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>

#include "runtime/completer.h"
#include "runtime/executor.h"
#include "runtime/fetcher.h"
#include "runtime/handlers.h"
#include "runtime/lasting_failure.h"
#include "runtime/loop_watch.h"
#include "runtime/shutdown.h"
#include "runtime/way_down.h"

namespace millrace::runtime {

class Daemon {
 public:
  // `watch` is told of each step of the worker's loops, `way_down` of the end.
  Daemon(std::shared_ptr<storage::Storage> storage, WorkerOptions options, std::shared_ptr<const Handlers> handlers,
         ShutdownRequest& shutdown, std::shared_ptr<LoopWatch> watch, std::shared_ptr<WayDown> way_down);

  // The exit status (see Worker::run). Fails when the worker cannot be registered, when the database has been out of
  // reach for too long, and at once when its disk is full, it cannot be written, or it is damaged.
  Result<int> Run();

 private:
  // The loop: outcomes out, claims in, one transaction for both.
  void Loop();
  void Exchange(std::vector<storage::Report> reports, const storage::ClaimRequest& request);
  void Failed(const Error& error);
  // Lose, told in the log.
  void GiveUp(const Error& error);
  // After a batch that was refused for what is in it: whatever can be written is.
  void ReportOneByOne();
  // False: the database failed, and `report` is still to be reported.
  bool ReportAlone(storage::Report& report);
  // Stops the worker; with an error, Run fails with it.
  void Lose(std::optional<Error> error);
  // Whether a claim is to be made now, after the latest one.
  [[nodiscard]] bool WorthAsking(const storage::ClaimRequest& request) const;
  void Sleep(const storage::ClaimRequest& request);
  // Reports outcomes until the database has taken them, or the budget is spent.
  void Flush(std::chrono::steady_clock::time_point until);
  // Unstarted jobs back at once, running ones and operations may finish; returns how many of both had to be cut off.
  int Drain();
  void CountRefused(std::span<const storage::Report> reports, const storage::Accepted& accepted);
  void ShowFailure(const Error& error);

  std::shared_ptr<storage::Storage> storage_;
  const WorkerOptions options_;
  std::shared_ptr<const Handlers> handlers_;
  ShutdownRequest& shutdown_;
  std::shared_ptr<LoopWatch> watch_;
  std::shared_ptr<WayDown> way_down_;
  std::shared_ptr<Completer> completer_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Fetcher> fetcher_;
  storage::WorkerRef worker_;
  std::vector<storage::Report> unreported_;  // the database did not take them yet
  bool idle_ = false;                        // the latest claim found nothing
  bool dry_ = false;                         // it found less than it asked for and knew of no more, or nothing
  std::atomic<bool> lost_ = false;           // stop at once: the leases are or will be gone
  std::atomic<bool> given_up_ = false;       // lost since the database fails in a way that lasts
  std::mutex lost_mutex_;
  std::optional<Error> lost_to_;  // why, if that is an error; under lost_mutex_
  LastingFailure failures_;
  std::chrono::microseconds backoff_{0};
  std::chrono::steady_clock::time_point failure_shown_{};
};

}  // namespace millrace::runtime
