#include "cli/stress/faults.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <optional>

#include "storage/postgres/connection.h"

namespace millrace::cli::stress {
namespace {

constexpr std::size_t kMostConnections = 2000;  // a server with room for more is not worth filling

constexpr double kAfterTheLoad = 1e9;  // seconds; when the end of a fault came only with the load's

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

// Long enough, unless told, that others have taken a worker's jobs when it goes on.
Duration Length(const Options& options) {
  if (options.fault_for.count() > 0) return options.fault_for;
  return options.stale_threshold + 3 * options.heartbeat_interval + std::chrono::seconds(1);
}

void SleepUnless(const std::stop_token& stop, Duration time) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
}

bool Lasts(Fault fault) { return fault == Fault::kRestart || fault == Fault::kConnections || fault == Fault::kNetwork; }

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
      return "restart";
    case Fault::kConnections:
      return "connections";
    case Fault::kNetwork:
      break;
  }
  return "network";
}

Faults::Faults(const Options& options, Fleet& fleet, Client* client)
    : options_(options), fleet_(fleet), client_(client), random_(options.seed) {
  for (const Fault fault : options.faults) {
    Duration every = options.fault_every;
    if (Lasts(fault)) every = options.restart_every;
    if (fault == Fault::kStop) every = Length(options) + std::chrono::seconds(1);
    timers_.push_back({fault, Seconds(every)});
  }
}

Faults::~Faults() { Cease(); }

void Faults::Cease() {
  fleet_.Wake();
  for (auto& [fault, spell] : spells_) spell.thread.request_stop();
  for (auto& [fault, spell] : spells_) {
    if (spell.thread.joinable()) spell.thread.join();
    if (!spell.counted && fault != Fault::kRestart) injected_[spell.index].at = kAfterTheLoad;
    spell.counted = true;
  }
}

bool Faults::under_way() const {
  return std::any_of(spells_.begin(), spells_.end(), [](const auto& entry) { return !entry.second.over; });
}

std::vector<std::string> Faults::failures() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> told;
  for (const auto& [what, times] : failures_)
    told.push_back(times == 1 ? what : fmt::format("{} ({} times)", what, times));
  return told;
}

void Faults::Fail(std::string what) {
  const std::lock_guard lock(mutex_);
  ++failures_[std::move(what)];
}

void Faults::Happened(Fault fault) {
  const std::lock_guard lock(mutex_);
  happened_.insert(fault);
}

std::vector<Fault> Faults::missed() const {
  const std::lock_guard lock(mutex_);
  std::vector<Fault> missed;
  for (const Fault fault : options_.faults) {
    if (!happened_.contains(fault)) missed.push_back(fault);
  }
  return missed;
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

// The user's own command, given for this.
bool Faults::Shell(const char* flag, const std::string& command) {
  const int status = std::system(command.c_str());  // NOLINT(cert-env33-c,concurrency-mt-unsafe)
  if (status == 0) return true;
  Fail(WIFEXITED(status) ? fmt::format("the command of {} ended with status {}", flag, WEXITSTATUS(status))
                         : fmt::format("the command of {} could not be run to its end", flag));
  return false;
}

void Faults::Restart() {
  if (Shell("--restart-command", options_.restart_command)) Happened(Fault::kRestart);
}

// Takes every connection that the server has left, and each that becomes free, for as long as the fault lasts.
void Faults::FillConnections(const std::stop_token& stop) {
  using storage::postgres::Connection;
  storage::postgres::ConnectOptions options;
  options.url = options_.storage.url + "-idle";  // the URL ends with the connections' name
  options.password = options_.storage.password;
  std::optional<std::chrono::steady_clock::time_point> until;  // once it is full
  std::vector<std::unique_ptr<Connection>> idle;
  while (!stop.stop_requested() && (!until || std::chrono::steady_clock::now() < *until)) {
    if (idle.size() >= kMostConnections)
      return Fail(fmt::format("the server had room for {} idle connections", idle.size()));
    auto connection = Connection::Open(options);
    if (connection) {
      idle.push_back(std::move(*connection));
      continue;
    }
    if (!storage::postgres::IsServerFull(connection.error())) {
      return Fail("the server could not be filled: " + connection.error().message);
    }
    if (!until) until = std::chrono::steady_clock::now() + Length(options_);
    Happened(Fault::kConnections);
    most_idle_connections_ = std::max<int>(most_idle_connections_, static_cast<int>(idle.size()));
    SleepUnless(stop, std::chrono::milliseconds(100));
  }
}

void Faults::Cut(const std::stop_token& stop) {
  if (Shell("--cut-command", options_.cut_command)) Happened(Fault::kNetwork);
  SleepUnless(stop, Length(options_));
  (void)Shell("--mend-command", options_.mend_command);
}

bool Faults::Begin(Fault fault) {
  Spell& spell = spells_[fault];
  if (!spell.over.exchange(false)) return false;
  if (spell.thread.joinable()) spell.thread.join();
  spell.counted = false;
  spell.index = injected_.size();
  spell.begun = std::chrono::steady_clock::now();
  spell.thread = std::jthread([this, fault, &spell](const std::stop_token& stop) {
    if (fault == Fault::kRestart) Restart();
    if (fault == Fault::kConnections) FillConnections(stop);
    if (fault == Fault::kNetwork) Cut(stop);
    spell.ended = std::chrono::steady_clock::now();
    spell.over = true;
  });
  return true;
}

// The next of its kind comes an interval after this one's end. The end is as the thread saw it: the caller may have
// waited for the server meanwhile.
void Faults::CountEnd(Timer& timer, Spell& spell) {
  spell.counted = true;
  double& at = injected_[spell.index].at;
  const double end = at + Seconds(std::chrono::duration_cast<Duration>(spell.ended - spell.begun));
  timer.next = end + timer.every;
  if (timer.fault != Fault::kRestart) at = end;
}

bool Faults::Inject(Fault fault) {
  if (fault == Fault::kKill) return fleet_.Kill(random_);
  if (fault == Fault::kStop) return fleet_.Stop(random_, std::chrono::steady_clock::now() + Length(options_));
  if (fault == Fault::kBackends) return TerminateBackend();
  return Begin(fault);
}

void Faults::Tick(double now) {
  for (Timer& timer : timers_) {
    if (const auto spell = spells_.find(timer.fault); spell != spells_.end()) {
      if (!spell->second.over) continue;
      if (!spell->second.counted) CountEnd(timer, spell->second);
    }
    if (timer.next < 0) timer.next = now + timer.every;
    if (now < timer.next) continue;
    timer.next = now + timer.every;
    if (!Inject(timer.fault)) continue;
    injected_.push_back({timer.fault, now});
    if (!Lasts(timer.fault)) Happened(timer.fault);
  }
}

}  // namespace millrace::cli::stress
