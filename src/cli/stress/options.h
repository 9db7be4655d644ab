// What a stress run was asked for, shared by the command and its worker processes.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "millrace/options.h"

namespace millrace::cli::stress {

enum class Fault { kKill, kStop, kBackends, kRestart };

// "kill", "stop", "backends", "restart".
std::string_view FaultName(Fault fault);

struct Options {
  Duration duration = std::chrono::seconds(60);  // of load and faults; what is left is then worked off in peace
  int workers = 4;
  int concurrency = 4;  // of each worker
  std::set<Fault> faults = {Fault::kKill};
  Duration fault_every = std::chrono::seconds(1);     // kill, backends
  Duration restart_every = std::chrono::seconds(15);  // restart
  std::string restart_command;
  double jobs_per_second = 0;  // 0: as many as the workers can take
  int partitions = 50;
  unsigned seed = 0;
  Duration heartbeat_interval = std::chrono::milliseconds(500);
  Duration stale_threshold = std::chrono::seconds(3);
  StorageOptions storage;
  bool postgres = false;
  std::string id;  // of this run: letters, digits and _; names its queue, its tables and its connections

  [[nodiscard]] std::string queue() const { return "millrace-stress-" + id; }
};

}  // namespace millrace::cli::stress
