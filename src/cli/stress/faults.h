// What is done to the workers and the database while they work.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "cli/stress/fleet.h"
#include "cli/stress/options.h"

namespace millrace::cli::stress {

// One thread only. Destroying it ends what is under way.
class Faults {
 public:
  // `client`: a connection of its own, not among those that are terminated; nullptr in SQLite.
  Faults(const Options& options, Fleet& fleet, Client* client);
  ~Faults();
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;

  // Does what is due. The first of each kind comes one interval after the first call.
  void Tick(double now);
  // From now on nothing is broken: stopped workers go on, a cut is mended, a restart under way is waited for.
  void Cease();

  struct Injected {
    Fault fault;
    double at;  // from when on the rate may be back: of a cut and an exhaustion their end, of the others their begin
  };
  [[nodiscard]] const std::vector<Injected>& injected() const { return injected_; }
  // Whether a restart, an exhaustion or a cut is under way.
  [[nodiscard]] bool under_way() const;
  // What went wrong with the faults themselves, each once: a command that failed, a server with room for more.
  [[nodiscard]] std::vector<std::string> failures() const;
  // The kinds that were asked for and of which not one happened: the load was over before, or their commands failed.
  [[nodiscard]] std::vector<Fault> missed() const;
  // The most connections that filled the server.
  [[nodiscard]] int most_idle_connections() const { return most_idle_connections_; }

 private:
  struct Timer {
    Fault fault;
    double every;
    double next = -1;
  };
  // A fault that lasts, with a thread that does it and undoes it.
  struct Spell {
    std::jthread thread;
    std::atomic<bool> over = true;
    bool counted = true;                                 // its end is in injected_
    std::size_t index = 0;                               // in injected_
    std::chrono::steady_clock::time_point begun, ended;  // ended: once it is over
  };
  void CountEnd(Timer& timer, Spell& spell);
  bool Inject(Fault fault);
  bool TerminateBackend();
  bool Begin(Fault fault);
  void Restart();
  void FillConnections(const std::stop_token& stop);
  void Cut(const std::stop_token& stop);
  bool Shell(const char* flag, const std::string& command);
  void Fail(std::string what);
  void Happened(Fault fault);

  const Options& options_;
  Fleet& fleet_;
  Client* client_;
  std::mt19937 random_;
  std::vector<Timer> timers_;
  std::vector<Injected> injected_;
  std::atomic<int> most_idle_connections_ = 0;
  mutable std::mutex mutex_;
  std::map<std::string, int> failures_;
  std::set<Fault> happened_;
  std::map<Fault, Spell> spells_;  // last: their threads use the rest
};

}  // namespace millrace::cli::stress
