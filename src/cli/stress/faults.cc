#include "cli/stress/faults.h"

#include <cstdlib>

namespace millrace::cli::stress {
namespace {

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

// Long enough that others have taken the worker's jobs when it goes on.
Duration StopTime(const Options& options) {
  return options.stale_threshold + 3 * options.heartbeat_interval + std::chrono::seconds(1);
}

}  // namespace

std::string_view FaultName(Fault fault) {
  switch (fault) {
    case Fault::kKill:
      return "kill";
    case Fault::kStop:
      return "stop";
    case Fault::kBackends:
      return "backends";
    case Fault::kRestart:
      break;
  }
  return "restart";
}

Faults::Faults(const Options& options, Fleet& fleet, Client* client)
    : options_(options), fleet_(fleet), client_(client), random_(options.seed) {
  for (const Fault fault : options.faults) {
    Duration every = options.fault_every;
    if (fault == Fault::kRestart) every = options.restart_every;
    if (fault == Fault::kStop) every = StopTime(options) + std::chrono::seconds(1);
    timers_.push_back({fault, Seconds(every)});
  }
}

Faults::~Faults() { Cease(); }

void Faults::Cease() {
  fleet_.Wake();
  if (restarting_.joinable()) restarting_.join();
}

// A random connection of the run's own, of a worker or of the one who orders.
bool Faults::TerminateBackend() {
  static const std::string kTerminate =
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 ORDER BY random() LIMIT 1";
  const std::string name = "millrace-stress-" + options_.id;
  const std::vector<SqlValue> values = {std::string_view(name)};
  bool hit = false;
  const auto done = client_->transaction([&](Transaction& transaction) {
    return transaction.sql().query(kTerminate, values, [&](const SqlRow& row) {
      hit = row.integer(0) != 0;
      return false;
    });
  });
  return done && hit;
}

bool Faults::Restart() {
  if (!restarted_.exchange(false)) return false;
  if (restarting_.joinable()) restarting_.join();
  restarting_ = std::thread([this] {
    // The user's own command, given for this.
    if (std::system(options_.restart_command.c_str()) != 0)
      ++failed_restarts_;  // NOLINT(cert-env33-c,concurrency-mt-unsafe)
    restarted_ = true;
  });
  return true;
}

bool Faults::Inject(Fault fault) {
  switch (fault) {
    case Fault::kKill:
      return fleet_.Kill(random_);
    case Fault::kStop: {
      const auto until = std::chrono::steady_clock::now() + StopTime(options_);
      return fleet_.Stop(random_, until);
    }
    case Fault::kBackends:
      return TerminateBackend();
    case Fault::kRestart:
      return Restart();
  }
  return false;
}

void Faults::Tick(double now) {
  for (Timer& timer : timers_) {
    if (timer.next < 0) timer.next = now + timer.every;
    if (now < timer.next) continue;
    timer.next = now + timer.every;
    if (Inject(timer.fault)) injected_.push_back({timer.fault, now});
  }
}

}  // namespace millrace::cli::stress
