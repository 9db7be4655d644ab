// What a stress run was asked for, shared by the command and its worker processes.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "millrace/options.h"

namespace millrace::cli::stress {

enum class Fault { kKill, kStop, kBackends, kRestart, kConnections, kNetwork };

// "kill", "stop", "backends", "restart", "connections", "network".
std::string_view FaultName(Fault fault);

struct Options {
  Duration duration = std::chrono::seconds(60);  // of load and faults; what is left is then worked off in peace
  int workers = 4;
  int concurrency = 4;  // of each worker
  std::set<Fault> faults = {Fault::kKill};
  Duration fault_every = std::chrono::seconds(1);     // kill, backends
  Duration restart_every = std::chrono::seconds(15);  // restart, connections, network
  Duration fault_for{0};  // how long a stop, an exhaustion and a cut last; 0: a little longer than the stale threshold
  std::string restart_command;
  std::string cut_command, mend_command;
  double jobs_per_second = 0;  // 0: as many as the workers can take
  std::int64_t jobs = 0;       // the run ends when so many are worked off; 0: after its duration only
  int partitions = 50;
  Duration work = std::chrono::milliseconds(20);  // of the jobs that take time: one in ten
  int partitioned = 25;                           // percent of the jobs that have a partition
  std::optional<int> queue_concurrency;           // limits of the run's queue
  std::optional<double> queue_rate;
  unsigned seed = 0;
  Duration heartbeat_interval = std::chrono::milliseconds(500);
  Duration stale_threshold = std::chrono::seconds(3);
  StorageOptions storage;
  bool postgres = false;
  std::string id;  // of this run: letters, digits and _; names its queue, its tables and its connections

  [[nodiscard]] std::string queue() const { return "millrace-stress-" + id; }
};

}  // namespace millrace::cli::stress
