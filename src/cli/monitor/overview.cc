#include "cli/monitor/overview.h"

#include <algorithm>

#include "base/clock.h"
#include "cli/output.h"

namespace millrace::cli::monitor {
namespace {

namespace json = base::json;

constexpr Duration kRecent = std::chrono::seconds(10);
constexpr Duration kKept = std::chrono::seconds(330);  // what the longest question needs

double Seconds(Duration time) { return std::chrono::duration<double>(time).count(); }

double AgeOf(Time now, const json::object& object, std::string_view name) {
  const auto time = base::ParseTime(Field(object, name));
  return time ? std::max(0.0, Seconds(now - *time)) : 0;
}

Counts ReadCounts(const json::object& counts) {
  Counts out;
  out.waiting = NumberField(counts, "waiting");
  out.scheduled = NumberField(counts, "scheduled");
  out.available = NumberField(counts, "available");
  out.running = NumberField(counts, "running");
  out.retryable = NumberField(counts, "retryable");
  out.completed = NumberField(counts, "completed");
  out.dead = NumberField(counts, "dead");
  return out;
}

void AddTo(Counts& sum, const Counts& more) {
  for (const auto counter : {&Counts::waiting, &Counts::scheduled, &Counts::available, &Counts::running,
                             &Counts::retryable, &Counts::completed, &Counts::dead}) {
    sum.*counter += more.*counter;
  }
}

Queue ReadQueue(const json::object& object, Time now) {
  Queue queue;
  queue.name = Field(object, "name");
  queue.paused = object.at("paused").as_bool();
  if (!object.at("oldest_available").is_null()) queue.oldest = AgeOf(now, object, "oldest_available");
  queue.counts = ReadCounts(object.at("counts").as_object());
  for (int p = 0; p < kPriorityCount; ++p) {
    const std::string_view name = priority_name(static_cast<Priority>(p));
    if (const auto* lane = object.at("by_priority").as_object().if_contains(name))
      queue.lanes.push_back({std::string(name), ReadCounts(lane->as_object())});
  }
  return queue;
}

Worker ReadWorker(const json::object& object, Time now, Duration stale_threshold) {
  Worker worker;
  worker.id = Field(object, "id");
  worker.type = Field(object, "type");
  worker.host = Field(object, "host");
  worker.state = Field(object, "state");
  worker.pid = NumberField(object, "pid");
  worker.slots = NumberField(object, "slots");
  worker.running = NumberField(object, "running");
  worker.heartbeat_age = AgeOf(now, object, "last_heartbeat");
  if (worker.Present() && worker.heartbeat_age > Seconds(stale_threshold)) worker.state = "silent";
  return worker;
}

Run ReadRun(const json::object& object, Time now) {
  const json::object& counts = object.at("counts").as_object();
  Run run;
  run.id = NumberField(object, "id");
  run.generation = NumberField(object, "generation");
  run.open = NumberField(object, "open");
  run.completed = NumberField(counts, "completed");
  run.dead = NumberField(counts, "dead");
  run.cancelled = NumberField(counts, "cancelled");
  run.pipeline = Field(object, "pipeline");
  run.state = Field(object, "state");
  run.discovery_done = object.at("discovery_done").as_bool();
  run.age = AgeOf(now, object, "started_at");
  return run;
}

Overview Read(const json::object& answer, Time now, Duration stale_threshold) {
  Overview out;
  out.now = now;
  for (const json::value& queue : answer.at("queues").as_array())
    out.queues.push_back(ReadQueue(queue.as_object(), now));
  for (const json::value& worker : answer.at("workers").as_array())
    out.workers.push_back(ReadWorker(worker.as_object(), now, stale_threshold));
  for (const json::value& run : answer.at("runs").as_array()) out.runs.push_back(ReadRun(run.as_object(), now));
  for (const Queue& queue : out.queues) {
    AddTo(out.total, queue.counts);
    for (const Lane& lane : queue.lanes) {
      if (lane.priority == priority_name(Priority::kCritical)) out.critical_available += lane.counts.available;
    }
  }
  return out;
}

}  // namespace

std::optional<double> Run::Progress() const {
  const std::int64_t finished = completed + dead + cancelled;
  if (finished + open == 0) return std::nullopt;
  return static_cast<double>(finished) / static_cast<double>(finished + open);
}

Result<Overview> ReadOverview(const json::object& answer, Duration stale_threshold) {
  const auto now = base::ParseTime(Field(answer, "now"));
  if (!now) return fail(ErrorCode::kInternal, "the overview has no time");
  try {
    return Read(answer, *now, stale_threshold);
  } catch (const std::exception&) {  // boost::json's own, of at() and as_..()
    return fail(ErrorCode::kInternal,
                "the overview is of a shape this program does not know; is the owner of the "
                "database another version?");
  }
}

void History::Add(const Overview& overview) {
  // A clock that did not move, or was set back, makes no interval.
  if (!samples_.empty() && overview.now <= samples_.back().at) return;
  samples_.push_back({overview.now, overview.total.completed, overview.total.dead, overview.critical_available});
  while (overview.now - samples_.front().at > kKept) samples_.pop_front();
}

std::optional<double> History::Between(std::size_t from, std::size_t to, Counter counter) const {
  const std::int64_t by = samples_[to].*counter - samples_[from].*counter;
  if (by < 0) return std::nullopt;
  return static_cast<double>(by) / Seconds(samples_[to].at - samples_[from].at);
}

// Over the latest intervals in which the counter did not go down.
std::optional<double> History::Recent(Counter counter) const {
  double counted = 0;
  double seconds = 0;
  for (std::size_t i = samples_.size(); i-- > 1;) {
    if (seconds > 0 && samples_.back().at - samples_[i - 1].at > kRecent) break;
    const std::optional<double> rate = Between(i - 1, i, counter);
    if (!rate) continue;
    const double length = Seconds(samples_[i].at - samples_[i - 1].at);
    counted += *rate * length;
    seconds += length;
  }
  if (seconds <= 0) return std::nullopt;
  return counted / seconds;
}

std::vector<std::optional<double>> History::Rates(std::size_t most, Counter counter) const {
  std::vector<std::optional<double>> rates;
  const std::size_t intervals = samples_.empty() ? 0 : samples_.size() - 1;
  for (std::size_t i = samples_.size() - std::min(most, intervals); i < samples_.size(); ++i)
    rates.push_back(Between(i - 1, i, counter));
  return rates;
}

std::optional<double> History::CompletedPerSecond() const { return Recent(&Sample::completed); }
std::optional<double> History::FailedPerSecond() const { return Recent(&Sample::dead); }
std::vector<std::optional<double>> History::CompletedRates(std::size_t most) const {
  return Rates(most, &Sample::completed);
}
std::vector<std::optional<double>> History::FailedRates(std::size_t most) const { return Rates(most, &Sample::dead); }

std::optional<std::size_t> History::Since(Duration time) const {
  for (std::size_t i = samples_.size(); i-- > 0;) {
    if (samples_.back().at - samples_[i].at >= time) return i;
  }
  return std::nullopt;
}

bool History::CriticalAbove(std::int64_t depth, Duration time) const {
  const auto first = Since(time);
  return first && std::all_of(samples_.begin() + static_cast<std::ptrdiff_t>(*first), samples_.end(),
                              [&](const Sample& sample) { return sample.critical > depth; });
}

bool History::DeadGrowing(Duration time) const {
  const auto first = Since(time);
  if (!first || samples_.back().dead <= samples_[*first].dead) return false;
  return std::is_sorted(samples_.begin() + static_cast<std::ptrdiff_t>(*first), samples_.end(),
                        [](const Sample& a, const Sample& b) { return a.dead < b.dead; });
}

}  // namespace millrace::cli::monitor
