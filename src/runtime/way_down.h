// What the way down waits for and does beside the jobs: operations of the process, then its cleanup tasks; and how far
// it is. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "millrace/worker.h"
#include "runtime/shutdown.h"

namespace millrace::runtime {

class WayDown {
 public:
  using Clock = std::chrono::steady_clock;

  explicit WayDown(Duration timeout);

  // Nothing once Begin or Cleanup was called.
  std::optional<Operation> Start(std::string name);
  // Until Cleanup.
  void AddTask(std::string name, std::function<void(std::stop_token)> task, Duration limit);

  // From now on no operation starts. `ended` is called whenever one ends, on the thread that ends it.
  void Begin(std::function<void()> ended);
  void SetRunningJobs(int running);
  [[nodiscard]] bool operations_ended() const;
  // Fires the operations' stop tokens.
  void StopOperations();
  // Stops waiting: `ended` is not called any more. Returns how many operations are left behind.
  int LeaveOperations();
  // Runs the tasks, the last one added first, each for as long as its limit allows; a second call does nothing.
  void Cleanup(ShutdownRequest& request);
  void Stopped();

  [[nodiscard]] ShutdownStatus status() const;

  struct Shared;  // with operations, which may outlive this

 private:
  struct Task;
  // False: it is left behind.
  static bool WaitFor(Task& task, const ShutdownRequest& request);

  const Duration timeout_;
  const std::shared_ptr<Shared> shared_;
  mutable std::mutex mutex_;
  ShutdownStatus::Phase phase_ = ShutdownStatus::Phase::kRunning;
  Clock::time_point begun_{};
  int running_jobs_ = 0;
  std::vector<std::shared_ptr<Task>> tasks_;  // in the order they run
};

}  // namespace millrace::runtime
