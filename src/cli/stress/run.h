// One stress run, from its tables' making to its account.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "cli/stress/account.h"
#include "cli/stress/load.h"
#include "cli/stress/options.h"

namespace millrace::cli::stress {

// What one kind of fault did.
struct FaultReport {
  int injected = 0;
  std::vector<double> recovered;  // seconds to the full rate again, sorted
  int not_recovered = 0;          // the rate was not full before the next fault of its kind, or the load's end
};

struct Findings {
  Account account;
  std::map<Fault, FaultReport> faults;
  double full_rate = 0;  // jobs per second before the first fault
  double rate = 0;       // over the whole load
  double load_seconds = 0, drain_seconds = 0;
  std::int64_t refused = 0;                // writes that came after their lease was gone, and were refused
  std::vector<std::string> failed_faults;  // a command that failed, a server that was not filled
  std::vector<Fault> missed_faults;        // asked for, and not one of them happened
  int most_idle_connections = 0;           // that filled it
  std::string trouble;                     // why the last orders failed, if they did
  bool interrupted = false;
};

// For the line that shows how far it is.
struct Progress {
  double seconds = 0;
  bool draining = false;
  Standing standing;
  double rate = 0;
  int faults = 0;
};

struct Context {
  std::vector<std::string> worker_arguments;  // of a worker process; the seconds of load left follow
  std::string log;                            // file for the workers' standard error
  const std::atomic<bool>* interrupted = nullptr;
  std::function<void(const Progress&)> progress;
};

// Fails as the client does before anything is enqueued, and when no worker process can start. Afterwards failures of
// the database are part of the run. The tables stay when the account is not exact.
Result<Findings> RunStress(const Options& options, const Ledger& ledger, const Context& context);

}  // namespace millrace::cli::stress
