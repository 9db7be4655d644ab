// What is done to the workers and the database while they work.
#pragma once

#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "cli/stress/fleet.h"
#include "cli/stress/options.h"

namespace millrace::cli::stress {

// One thread only. Destroying it waits for a restart that is under way.
class Faults {
 public:
  // `client`: a connection of its own, not among those that are terminated; nullptr in SQLite.
  Faults(const Options& options, Fleet& fleet, Client* client);
  ~Faults();
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;

  // Does what is due. The first of each kind comes one interval after the first call.
  void Tick(double now);
  // From now on nothing is broken: stopped workers go on, a restart under way is waited for.
  void Cease();

  struct Injected {
    Fault fault;
    double at;
  };
  [[nodiscard]] const std::vector<Injected>& injected() const { return injected_; }
  // The exit statuses of restart commands that failed.
  [[nodiscard]] int failed_restarts() const { return failed_restarts_; }

 private:
  struct Timer {
    Fault fault;
    double every;
    double next = -1;
  };
  bool Inject(Fault fault);
  bool TerminateBackend();
  bool Restart();

  const Options& options_;
  Fleet& fleet_;
  Client* client_;
  std::mt19937 random_;
  std::vector<Timer> timers_;
  std::vector<Injected> injected_;
  std::thread restarting_;
  std::atomic<bool> restarted_ = true;
  std::atomic<int> failed_restarts_ = 0;
};

}  // namespace millrace::cli::stress
