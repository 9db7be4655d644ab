// The conditions that `millrace monitor` points at.
#include <fmt/format.h>

#include <algorithm>

#include "cli/monitor/overview.h"
#include "cli/output.h"

namespace millrace::cli::monitor {
namespace {

constexpr double kNoWorkerSeconds = 60;
constexpr double kOldestSeconds = 3600;
constexpr double kFailureRate = 0.1;
constexpr std::int64_t kManyDead = 100;
constexpr std::int64_t kManyCritical = 100;
constexpr Duration kCriticalTime = std::chrono::minutes(2);
constexpr Duration kGrowingTime = std::chrono::minutes(5);

// The first of the names, and how many more there are: however many, they take one line.
std::string Some(std::vector<std::string> names) {
  const std::string more = names.size() > 3 ? fmt::format(" and {} more", names.size() - 3) : "";
  names.resize(std::min<std::size_t>(names.size(), 3));
  return fmt::format("{}{}", fmt::join(names, ", "), more);
}

void AboutWorkers(const Overview& overview, std::vector<Alert>& out) {
  const bool heard = std::any_of(overview.workers.begin(), overview.workers.end(), [](const Worker& worker) {
    return worker.Present() && worker.heartbeat_age <= kNoWorkerSeconds;
  });
  if (!heard) out.push_back({Severity::kCritical, "no worker with a heartbeat in the last 60 s"});
  std::vector<std::string> silent;
  for (const Worker& worker : overview.workers) {
    if (worker.state == "silent") silent.push_back(worker.id);
  }
  if (silent.empty()) return;
  out.push_back({Severity::kWarning, fmt::format("silent workers: {}", Some(std::move(silent)))});
}

void AboutFailures(const Overview& overview, const History& history, std::vector<Alert>& out) {
  const double completed = history.CompletedPerSecond().value_or(0);
  const double failed = history.FailedPerSecond().value_or(0);
  if (failed > 0 && failed / (failed + completed) > kFailureRate) {
    out.push_back({Severity::kCritical,
                   fmt::format("{:.0f} % of the jobs that finish fail for good", 100 * failed / (failed + completed))});
  }
  if (overview.total.dead > kManyDead) {
    out.push_back({Severity::kWarning,
                   fmt::format("{} dead letters; millrace deadletter analyze", Grouped(overview.total.dead))});
  }
  if (history.DeadGrowing(kGrowingTime))
    out.push_back({Severity::kWarning, "dead letters have been growing for 5 minutes"});
}

void AboutWaiting(const Overview& overview, const History& history, std::vector<Alert>& out) {
  std::vector<std::string> old;
  for (const Queue& queue : overview.queues) {
    if (queue.oldest && *queue.oldest > kOldestSeconds && !queue.paused) old.push_back(Shorten(queue.name, 40));
  }
  if (!old.empty()) {
    out.push_back({Severity::kWarning,
                   fmt::format("the oldest job of queue {} has waited for over an hour", Some(std::move(old)))});
  }
  if (history.CriticalAbove(kManyCritical, kCriticalTime)) {
    out.push_back({Severity::kCritical, fmt::format("over {} critical jobs have been waiting for 2 minutes; {} now",
                                                    kManyCritical, Grouped(overview.critical_available))});
  }
}

}  // namespace

std::vector<Alert> Alerts(const Overview& overview, const History& history) {
  std::vector<Alert> out;
  AboutWorkers(overview, out);
  AboutWaiting(overview, history, out);
  AboutFailures(overview, history, out);
  std::stable_sort(out.begin(), out.end(), [](const Alert& a, const Alert& b) { return a.severity > b.severity; });
  return out;
}

}  // namespace millrace::cli::monitor
