// What `millrace monitor` knows: one look at the whole, as the API's overview tells it, and what follows from several.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "millrace/job.h"

namespace millrace::cli::monitor {

struct Counts {
  std::int64_t waiting = 0, scheduled = 0, available = 0, running = 0, retryable = 0, completed = 0, dead = 0;
  // What still has to be worked.
  [[nodiscard]] std::int64_t Depth() const { return waiting + scheduled + available + retryable; }
};

struct Lane {
  std::string priority;
  Counts counts;
};

struct Queue {
  std::string name;
  bool paused = false;
  std::optional<double> oldest;  // seconds that the longest eligible job has been available
  Counts counts;
  std::vector<Lane> lanes;  // in order of priority; those with jobs
};

struct Worker {
  std::string id, type, host;
  std::string state;  // "active", "draining", "stopped", "lost"; "silent": one of the first two past the threshold
  std::int64_t pid = 0, slots = 0, running = 0;
  double heartbeat_age = 0;  // seconds
  [[nodiscard]] bool Present() const { return state == "active" || state == "draining" || state == "silent"; }
};

struct Run {
  std::int64_t id = 0, generation = 0, open = 0, completed = 0, dead = 0, cancelled = 0;
  std::string pipeline, state;
  bool discovery_done = false;
  double age = 0;  // seconds since it started
  // Finished jobs of all there are so far; nullopt while none is known.
  [[nodiscard]] std::optional<double> Progress() const;
};

struct Overview {
  Time now{};  // the database's
  std::vector<Queue> queues;
  std::vector<Worker> workers;
  std::vector<Run> runs;  // newest first
  Counts total;
  std::int64_t critical_available = 0;
};

// From the answer of /api/v1/overview. Workers without a heartbeat for longer than `stale_threshold` are silent.
// kInternal when the answer is of another shape.
Result<Overview> ReadOverview(const base::json::object& answer, Duration stale_threshold);

// What counters say when they are looked at again and again. Counters are of the jobs that are still in the books, so
// they go down when old history is deleted or dead letters are retried; such an interval tells no rate.
class History {
 public:
  void Add(const Overview& overview);

  // Per second, over the last ten seconds or the last interval when that is longer; nullopt: not known yet.
  [[nodiscard]] std::optional<double> CompletedPerSecond() const;
  [[nodiscard]] std::optional<double> FailedPerSecond() const;  // jobs that failed for good
  // Of each of the last `most` intervals, oldest first; nullopt where it is not known.
  [[nodiscard]] std::vector<std::optional<double>> CompletedRates(std::size_t most) const;
  [[nodiscard]] std::vector<std::optional<double>> FailedRates(std::size_t most) const;
  // Whether more than `depth` critical jobs were available at every look of at least `time`.
  [[nodiscard]] bool CriticalAbove(std::int64_t depth, Duration time) const;
  // Whether there are more dead letters than `time` ago, and never were fewer from one look to the next.
  [[nodiscard]] bool DeadGrowing(Duration time) const;

 private:
  struct Sample {
    Time at;
    std::int64_t completed, dead, critical;
  };
  using Counter = std::int64_t Sample::*;
  [[nodiscard]] std::optional<double> Between(std::size_t from, std::size_t to, Counter counter) const;
  [[nodiscard]] std::optional<double> Recent(Counter counter) const;
  [[nodiscard]] std::vector<std::optional<double>> Rates(std::size_t most, Counter counter) const;
  // The first sample that is at least `time` old, or nullopt.
  [[nodiscard]] std::optional<std::size_t> Since(Duration time) const;
  std::deque<Sample> samples_;
};

enum class Severity { kWarning, kCritical };

struct Alert {
  Severity severity;
  std::string text;
};

// What an operator should look at; the worst first.
std::vector<Alert> Alerts(const Overview& overview, const History& history);

}  // namespace millrace::cli::monitor
