// Runs handlers on a fixed number of slots, a thread each. Thread-safe.
//
// A handler that ignores its deadline (or a cancellation at shutdown) is not waited for: its attempt is reported in its
// stead, its thread is left behind and a new one takes its slot, as long as not too many are stuck.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "runtime/attempt.h"
#include "runtime/completer.h"
#include "runtime/handlers.h"

namespace millrace::runtime {

class Executor {
 public:
  // `completer` gets the outcomes. Storage, handlers and completer are shared, since a thread that is stuck in a
  // handler may outlive the executor.
  Executor(std::shared_ptr<storage::Storage> storage, std::shared_ptr<const Handlers> handlers,
           std::shared_ptr<Completer> completer, storage::WorkerRef worker, int slots);
  // Waits for the threads that are not stuck. Call ReleaseQueued first.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  void Submit(std::vector<storage::ClaimedJob> jobs);

  struct Load {
    int slots = 0;
    int running = 0;             // handlers under way
    int queued = 0;              // claimed, not started
    double seconds_per_job = 0;  // moving average of handlers' durations; 0: none has finished yet
  };
  [[nodiscard]] Load load() const;

  // Takes the jobs that were not started and returns the reports that give them back.
  std::vector<storage::Report> ReleaseQueued();

  // Asks these jobs, if they are here, to stop; those not started are reported as cancelled.
  void Cancel(std::span<const JobId> jobs);
  // Asks every running handler to stop.
  void StopRunning(StopReason reason);
  // Gives up on handlers still running and reports in their stead. Returns how many attempts have ended unfinished at a
  // shutdown: these, and those that heeded StopRunning.
  int AbandonRunning();

  // Why handlers' writes fail, once that lasts (see WriteFailures).
  [[nodiscard]] std::optional<Error> LastingWriteFailure() const;

  // Progress that handlers told since the last call.
  std::vector<storage::JobProgress> TakeProgress();

 private:
  struct Core;
  std::shared_ptr<Core> core_;
  std::vector<std::thread> threads_;
  std::thread watchdog_;
};

}  // namespace millrace::runtime
