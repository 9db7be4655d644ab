#include "base/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>

#include "base/process_stats.h"

namespace millrace::base {
namespace {

using Clock = std::chrono::steady_clock;
using MetricFamily = prometheus::MetricFamily;

constexpr std::size_t kMostQueries = 200;
constexpr std::size_t kMostRemembered = 16;  // by a SeriesFinder

constexpr std::string_view kJobLabels = "queue,priority,kind";
constexpr std::string_view kLaneLabels = "queue,priority";
constexpr auto kCounter = MetricKind::kCounter;
constexpr auto kGauge = MetricKind::kGauge;
constexpr auto kHistogram = MetricKind::kHistogram;

// The counters of jobs come first, in the order of JobEvent.
constexpr auto kCatalogue = std::to_array<MetricInfo>({
    {"millrace_jobs_enqueued_total", kCounter, kJobLabels,
     "Jobs this process enqueued, duplicates of unfinished jobs left out. Sum over processes."},
    {"millrace_jobs_started_total", kCounter, kJobLabels,
     "Attempts whose handler this process began. Sum over processes."},
    {"millrace_jobs_completed_total", kCounter, kJobLabels,
     "Jobs this process completed, as accepted by the database. Sum over processes."},
    {"millrace_jobs_failed_total", kCounter, kJobLabels,
     "Attempts that failed or timed out, as accepted by the database. Sum over processes."},
    {"millrace_jobs_retried_total", kCounter, kJobLabels,
     "Failed attempts that are followed by another one. Sum over processes."},
    {"millrace_jobs_dead_total", kCounter, kJobLabels,
     "Jobs that became dead letters by a report or rescue of this process. Sum over processes."},
    {"millrace_jobs_rescued_total", kCounter, kJobLabels,
     "Jobs this process took back from silent workers and overdue attempts. Sum over processes."},
    {"millrace_jobs_rejected_total", kCounter, kJobLabels,
     "Jobs that were not enqueued since a queue of their batch was full. Sum over processes."},
    {"millrace_job_duration_seconds", kHistogram, kLaneLabels,
     "How long handlers of this process ran, one observation an attempt. Sum over processes."},
    {"millrace_job_wait_seconds", kHistogram, kLaneLabels,
     "From when a job could run to when this process claimed it, by the database's clock. Sum over processes."},
    {"millrace_queue_depth", kGauge, kLaneLabels,
     "Jobs that could be claimed now. Of the whole database, the same in every process: take the max, not the sum."},
    {"millrace_queue_oldest_job_age_seconds", kGauge, kLaneLabels,
     "How long the job that waits longest could have been claimed. Of the whole database: take the max, not the sum."},
    {"millrace_dead_letter_depth", kGauge, "queue",
     "Dead letters. Of the whole database, the same in every process: take the max, not the sum."},
    {"millrace_workers", kGauge, "type,state",
     "Workers by type and state (active, draining, stopped, lost). Of the whole database: take the max, not the sum."},
    {"millrace_worker_slots", kGauge, "type,state",
     "Slots of the active and draining workers, busy and free. Of the whole database: take the max, not the sum."},
    {"millrace_leader", kGauge, "scope",
     "1 in the process that leads the scope, else 0. The sum over processes is 1; 0 for long means nobody leads."},
    {"millrace_db_pool_connections", kGauge, "state",
     "This process's connections to the database: active, idle, callers waiting for one, and the most there may be "
     "(max). Sum over processes."},
    {"millrace_db_pool_wait_seconds", kHistogram, "",
     "How long callers of this process waited for a connection, those that did not wait included. Sum over processes."},
    {"millrace_db_query_seconds", kHistogram, "query",
     "From sending a statement to its answer, by the statement's name; \"sql\" is handlers' own. Sum over processes."},
    {"millrace_startup_seconds", kGauge, "", "From the start of the process to its first work; absent until then."},
    {"millrace_shutdown_seconds", kGauge, "", "How long the process has been shutting down; 0 while it is not."},
    {"millrace_build_info", kGauge, "version,type", "Always 1: the version, and the worker's type."},
    {"process_cpu_seconds_total", kCounter, "", "User and system processor time spent, in seconds."},
    {"process_open_fds", kGauge, "", "Open file descriptors."},
    {"process_max_fds", kGauge, "", "The most file descriptors that may be open."},
    {"process_virtual_memory_bytes", kGauge, "", "Virtual memory, in bytes."},
    {"process_resident_memory_bytes", kGauge, "", "Resident memory, in bytes."},
    {"process_start_time_seconds", kGauge, "", "When the process started, in seconds since the Unix epoch."},
    {"process_threads", kGauge, "", "Threads."},
});

// Of statements and of waits for a connection.
const prometheus::Histogram::BucketBoundaries kDatabaseBuckets = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                                  0.25,   0.5,   1,      2.5,   5,    10,    30};

const MetricInfo& InfoOf(std::string_view name) {
  const auto found = std::find_if(kCatalogue.begin(), kCatalogue.end(), [&](const auto& i) { return i.name == name; });
  if (found == kCatalogue.end()) throw std::logic_error("no metric is called " + std::string(name));
  return *found;
}

template <class Builder>
auto& Register(prometheus::Registry& registry, Builder builder, std::string_view name) {
  const MetricInfo& info = InfoOf(name);
  return builder.Name(std::string(info.name)).Help(std::string(info.help)).Register(registry);
}

prometheus::MetricType TypeOf(MetricKind kind) {
  return kind == kCounter ? prometheus::MetricType::Counter
         : kind == kGauge ? prometheus::MetricType::Gauge
                          : prometheus::MetricType::Histogram;
}

// The registry has its values by name; what others told joins them here.
class Page {
 public:
  explicit Page(std::vector<MetricFamily> families) {
    for (MetricFamily& family : families) {
      std::string name = family.name;
      families_[std::move(name)] = std::move(family);
    }
  }

  void Add(const GaugeSample& sample) {
    const MetricInfo& info = InfoOf(sample.name);
    MetricFamily& family = families_[std::string(info.name)];
    family.name = info.name;
    family.help = info.help;
    family.type = TypeOf(info.kind);
    prometheus::ClientMetric& metric = family.metric.emplace_back();
    std::string_view names = info.labels;
    for (const std::string& value : sample.labels) {
      const std::size_t comma = std::min(names.find(','), names.size());
      metric.label.push_back({std::string(names.substr(0, comma)), value});
      names.remove_prefix(std::min(comma + 1, names.size()));
    }
    (info.kind == kCounter ? metric.counter.value : metric.gauge.value) = sample.value;
  }

  [[nodiscard]] std::string Text() {
    std::vector<MetricFamily> ordered;
    for (const MetricInfo& info : kCatalogue) {
      const auto found = families_.find(info.name);
      if (found != families_.end() && !found->second.metric.empty()) ordered.push_back(std::move(found->second));
    }
    return prometheus::TextSerializer().Serialize(ordered);
  }

 private:
  std::map<std::string, MetricFamily, std::less<>> families_;
};

}  // namespace

std::span<const MetricInfo> MetricCatalogue() { return kCatalogue; }

struct JobSeries {
  std::array<prometheus::Counter*, kJobEventCount> counters{};
  prometheus::Histogram* duration = nullptr;
  prometheus::Histogram* wait = nullptr;
  std::string queue;
};

struct Metrics::Impl {
  Impl();
  std::string_view Bounded(std::set<std::string, std::less<>>& known, std::string_view value, std::size_t most);
  JobSeries& Make(std::string_view queue, Priority priority, std::string_view kind);
  std::vector<GaugeSample> OwnSamples() const;

  prometheus::Registry registry;
  std::array<prometheus::Family<prometheus::Counter>*, kJobEventCount> events{};
  prometheus::Family<prometheus::Histogram>* durations = nullptr;
  prometheus::Family<prometheus::Histogram>* waits = nullptr;
  prometheus::Family<prometheus::Histogram>* queries = nullptr;
  prometheus::Histogram* pool_wait = nullptr;

  mutable std::mutex mutex;  // of what follows
  std::set<std::string, std::less<>> queues, kinds;
  std::map<std::string, std::unique_ptr<JobSeries>, std::less<>> series;  // by queue, priority and kind
  std::map<std::string, prometheus::Histogram*, std::less<>> query_names;
  std::map<std::string, bool, std::less<>> leads;
  std::string version, type;
  std::optional<double> startup;
  std::optional<Clock::time_point> shutdown_asked;
};

Metrics::Impl::Impl() {
  for (std::size_t i = 0; i < kJobEventCount; ++i)
    events[i] = &Register(registry, prometheus::BuildCounter(), kCatalogue[i].name);
  durations = &Register(registry, prometheus::BuildHistogram(), "millrace_job_duration_seconds");
  waits = &Register(registry, prometheus::BuildHistogram(), "millrace_job_wait_seconds");
  queries = &Register(registry, prometheus::BuildHistogram(), "millrace_db_query_seconds");
  pool_wait =
      &Register(registry, prometheus::BuildHistogram(), "millrace_db_pool_wait_seconds").Add({}, kDatabaseBuckets);
}

// Called with the mutex held, as the next one.
std::string_view Metrics::Impl::Bounded(std::set<std::string, std::less<>>& known, std::string_view value,
                                        std::size_t most) {
  if (const auto found = known.find(value); found != known.end()) return *found;
  if (known.size() >= most) return kOtherLabel;
  return *known.emplace(value).first;
}

JobSeries& Metrics::Impl::Make(std::string_view queue, Priority priority, std::string_view kind) {
  queue = Bounded(queues, queue, kMostQueues);
  kind = Bounded(kinds, kind, kMostKinds);
  const auto key_of = [&] {
    // A queue's name has no NUL, so no two keys are spelt alike.
    return std::string(queue) + '\0' + std::string(priority_name(priority)) + '\0' + std::string(kind);
  };
  std::string key = key_of();
  if (series.size() >= kMostSeries && !series.contains(key)) {
    queue = kind = kOtherLabel;
    key = key_of();
  }
  std::unique_ptr<JobSeries>& made = series[key];
  if (made != nullptr) return *made;
  made = std::make_unique<JobSeries>();
  made->queue = queue;
  const prometheus::Labels lane = {{"queue", std::string(queue)}, {"priority", std::string(priority_name(priority))}};
  prometheus::Labels labels = lane;
  labels["kind"] = kind;
  // All of them, so that a rate over the first failure ever sees it rise from 0.
  for (std::size_t i = 0; i < kJobEventCount; ++i) made->counters[i] = &events[i]->Add(labels);
  const prometheus::Histogram::BucketBoundaries buckets(kJobBuckets.begin(), kJobBuckets.end());
  made->duration = &durations->Add(lane, buckets);
  made->wait = &waits->Add(lane, buckets);
  return *made;
}

std::vector<GaugeSample> Metrics::Impl::OwnSamples() const {
  std::vector<GaugeSample> samples;
  {
    const std::lock_guard lock(mutex);
    for (const auto& [scope, is] : leads) samples.push_back({"millrace_leader", {scope}, is ? 1.0 : 0.0});
    if (startup) samples.push_back({"millrace_startup_seconds", {}, *startup});
    const auto down = shutdown_asked ? Clock::now() - *shutdown_asked : Clock::duration(0);
    samples.push_back({"millrace_shutdown_seconds", {}, std::chrono::duration<double>(down).count()});
    if (!version.empty()) samples.push_back({"millrace_build_info", {version, type}, 1});
  }
  const ProcessStats stats = ReadProcessStats();
  samples.push_back({"process_cpu_seconds_total", {}, stats.cpu_seconds});
  samples.push_back({"process_open_fds", {}, static_cast<double>(stats.open_fds)});
  samples.push_back({"process_max_fds", {}, static_cast<double>(stats.max_fds)});
  samples.push_back({"process_virtual_memory_bytes", {}, stats.virtual_bytes});
  samples.push_back({"process_resident_memory_bytes", {}, stats.resident_bytes});
  samples.push_back({"process_start_time_seconds", {}, stats.start_time});
  samples.push_back({"process_threads", {}, static_cast<double>(stats.threads)});
  return samples;
}

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

Metrics& Metrics::Process() {
  static auto* const metrics = new Metrics();
  return *metrics;
}

// ---- Jobs ---------------------------------------------------------------------------------------

JobSeries& Metrics::Series(std::string_view queue, Priority priority, std::string_view kind) {
  const std::lock_guard lock(impl_->mutex);
  return impl_->Make(queue, priority, kind);
}

void Metrics::Count(JobSeries& series, JobEvent event, std::int64_t jobs) {
  series.counters[static_cast<std::size_t>(event)]->Increment(static_cast<double>(jobs));
}

void Metrics::Observe(JobSeries& series, JobTime what, const SecondsTally& tally) {
  prometheus::Histogram& histogram = what == JobTime::kDuration ? *series.duration : *series.wait;
  histogram.ObserveMultiple({tally.counts.begin(), tally.counts.end()}, tally.sum);
}

std::string Metrics::QueueLabel(std::string_view queue) {
  const std::lock_guard lock(impl_->mutex);
  return std::string(impl_->Bounded(impl_->queues, queue, kMostQueues));
}

std::int64_t Metrics::Total(JobEvent event, std::string_view queue) const {
  const std::lock_guard lock(impl_->mutex);
  double total = 0;
  for (const auto& [key, series] : impl_->series) {
    if (series->queue == queue) total += series->counters[static_cast<std::size_t>(event)]->Value();
  }
  return static_cast<std::int64_t>(total);
}

void SecondsTally::Add(double seconds) {
  const auto bucket = std::lower_bound(kJobBuckets.begin(), kJobBuckets.end(), seconds) - kJobBuckets.begin();
  ++counts[static_cast<std::size_t>(bucket)];
  sum += seconds;
}

JobSeries& SeriesFinder::Find(std::string_view queue, Priority priority, std::string_view kind) {
  for (std::size_t i = 0; i < known_.size(); ++i) {
    const Known& known = known_[i];
    if (known.kind != kind || known.priority != priority || known.queue != queue) continue;
    JobSeries& series = *known.series;
    if (i > 0) std::swap(known_[i], known_[i - 1]);  // what is asked often comes forward
    return series;
  }
  JobSeries& series = metrics_.Series(queue, priority, kind);
  if (known_.size() == kMostRemembered) known_.pop_back();
  known_.push_back({std::string(queue), std::string(kind), priority, &series});
  return series;
}

void EventTally::Add(JobSeries* series, JobEvent event) {
  if (series == nullptr) return;
  if (series != series_) Flush();
  series_ = series;
  ++jobs_[static_cast<std::size_t>(event)];
}

void EventTally::Flush() {
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    if (jobs_[i] > 0) metrics_.Count(*series_, static_cast<JobEvent>(i), std::exchange(jobs_[i], 0));
  }
}

void TimeTally::Add(JobSeries* series, double seconds) {
  if (series == nullptr) return;
  for (Lane& lane : lanes_) {
    // Kinds of one queue and priority share its histograms.
    if (lane.series->duration == series->duration) return lane.seconds.Add(seconds);
  }
  lanes_.push_back({series, {}});
  lanes_.back().seconds.Add(seconds);
}

void TimeTally::Flush() {
  for (const Lane& lane : lanes_) metrics_.Observe(*lane.series, what_, lane.seconds);
  lanes_.clear();
}

// ---- The database and the process ---------------------------------------------------------------

void Metrics::ObserveQuery(std::string_view name, double seconds) {
  prometheus::Histogram* histogram = nullptr;
  {
    const std::lock_guard lock(impl_->mutex);
    auto found = impl_->query_names.find(name);
    if (found == impl_->query_names.end()) {
      const std::string label(impl_->query_names.size() < kMostQueries ? name : kOtherLabel);
      histogram = &impl_->queries->Add({{"query", label}}, kDatabaseBuckets);
      if (label == name) impl_->query_names.emplace(label, histogram);
    } else {
      histogram = found->second;
    }
  }
  histogram->Observe(seconds);
}

void Metrics::ObservePoolWait(double seconds) { impl_->pool_wait->Observe(seconds); }

void Metrics::SetBuild(std::string_view version, std::string_view type) {
  const std::lock_guard lock(impl_->mutex);
  impl_->version = version;
  impl_->type = type;
}

void Metrics::Started() {
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->startup) impl_->startup = ReadProcessStats().age_seconds;
}

void Metrics::ShutdownAsked() {
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->shutdown_asked) impl_->shutdown_asked = Clock::now();
}

void Metrics::SetLeader(std::string_view scope, bool leads) {
  const std::lock_guard lock(impl_->mutex);
  impl_->leads[std::string(scope)] = leads;
}

std::string Metrics::Text(std::span<const GaugeSample> samples) const {
  Page page(impl_->registry.Collect());
  for (const GaugeSample& sample : impl_->OwnSamples()) page.Add(sample);
  for (const GaugeSample& sample : samples) page.Add(sample);
  return page.Text();
}

}  // namespace millrace::base
