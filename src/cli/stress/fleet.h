// The worker processes: started, kept at their number, hit, and ended.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "cli/stress/load.h"

namespace millrace::cli::stress {

// What the workers told, added up.
struct Told {
  std::int64_t refused = 0;  // writes that came after their lease was gone
  std::vector<std::int64_t> broken;
  std::optional<Standing> standing;  // SQLite: the latest
  Receipts receipts;                 // SQLite: of the orders of all processes so far
};

// One thread only. Destroying it kills what still runs. The processes also die with their parent.
class Fleet {
 public:
  // `arguments`: of each worker, after the program's name. What they write to standard error goes to the file `log`.
  Fleet(std::vector<std::string> arguments, int workers, std::string log);
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // Starts what is missing (a process that ended by itself only after a pause) and reads what they tell. `extra`: one
  // more argument for those that start now.
  void Tend(const std::string& extra);
  // Kills a random worker that runs. False: there is none.
  bool Kill(std::mt19937& random);
  // Stops one (SIGSTOP) until `until`; Tend wakes it. False: there is none to stop.
  bool Stop(std::mt19937& random, std::chrono::steady_clock::time_point until);
  // Wakes every stopped one now.
  void Wake();
  // SIGTERM, then SIGKILL to those that are still there after `patience`.
  void End(std::chrono::seconds patience);

  [[nodiscard]] const Told& told() const { return told_; }
  // Processes that ended soon after their start with an error, in a row, since the last call of Forgive.
  [[nodiscard]] int failures() const { return failures_; }
  void Forgive() { failures_ = 0; }
  // The file its standard error went to.
  [[nodiscard]] const std::string& log() const { return log_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Process {
    pid_t pid = -1;
    int out = -1;
    bool hit = false;  // its end is our doing
    Clock::time_point started, start_at;
    std::optional<Clock::time_point> stopped_until;
    std::string line;
  };
  void Start(Process& process, const std::string& extra);
  void Read(Process& process);
  void Understand(const std::string& line);
  bool Reap(Process& process);
  Process* Pick(std::mt19937& random);

  const std::vector<std::string> arguments_;
  const std::string log_;
  std::vector<Process> processes_;
  Told told_;
  int failures_ = 0;
};

}  // namespace millrace::cli::stress
