// What this process counts for a Prometheus: one registry, the names in it, and the door to prometheus-cpp (its core).
//
// The names, types and labels are promises to dashboards and alerts: MetricCatalogue() is the one list, docs/metrics.md
// says it to people. Thread-safe. Every call takes a lock for a moment, so it is made for a batch and not for a job:
// find a job's series once (SeriesFinder), gather, then count.
//
// Labels are bounded, whatever queues and kinds producers invent: the first kMostQueues queues and kMostKinds kinds
// that a process meets have series of their own; further ones, and what is beyond kMostSeries combinations, share the
// value "other".
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/job.h"

namespace millrace::base {

inline constexpr std::size_t kMostQueues = 50;
inline constexpr std::size_t kMostKinds = 100;
inline constexpr std::size_t kMostSeries = 1000;  // of queue, priority and kind
inline constexpr std::string_view kOtherLabel = "other";

// Upper bounds, in seconds, of the histograms of jobs: 1 ms to 1 h.
inline constexpr std::array kJobBuckets = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,  0.25, 0.5,   1.0,
                                           2.5,   5.0,    10.0,  30.0, 60.0,  120., 300., 600., 1800., 3600.};

enum class MetricKind { kCounter, kGauge, kHistogram };

struct MetricInfo {
  std::string_view name;
  MetricKind kind;
  std::string_view labels;  // with commas between them
  std::string_view help;
};
[[nodiscard]] std::span<const MetricInfo> MetricCatalogue();

// What can happen to a job, in the order of the catalogue's counters.
enum class JobEvent : std::uint8_t {
  kEnqueued,
  kStarted,
  kCompleted,
  kFailed,
  kRetried,
  kDead,
  kRescued,
  kRejected,
};
inline constexpr int kJobEventCount = 8;

// The series of one queue, priority and kind. Belongs to its Metrics and lives as long.
struct JobSeries;

// The histograms of jobs.
enum class JobTime : std::uint8_t { kDuration, kWait };

// Durations by bucket.
struct SecondsTally {
  void Add(double seconds);
  std::array<std::uint32_t, kJobBuckets.size() + 1> counts{};
  double sum = 0;
};

// A gauge as somebody else knows it, told at a scrape. `name` is one of the catalogue's, `labels` are the values of its
// labels, in order.
struct GaugeSample {
  std::string_view name;
  std::vector<std::string> labels;
  double value = 0;
};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The one of this process, which /metrics shows. Never destroyed, since threads left behind may still count.
  static Metrics& Process();

  // ---- Jobs
  JobSeries& Series(std::string_view queue, Priority priority, std::string_view kind);
  void Count(JobSeries& series, JobEvent event, std::int64_t jobs);
  void Observe(JobSeries& series, JobTime what, const SecondsTally& tally);
  // The value a queue has as a label: itself, or "other".
  [[nodiscard]] std::string QueueLabel(std::string_view queue);
  // What has been counted of an event, over all series. For tests and people.
  [[nodiscard]] std::int64_t Total(JobEvent event, std::string_view queue) const;

  // ---- The database
  // A statement of this name was answered after so long. Names are few and constant.
  void ObserveQuery(std::string_view name, double seconds);
  // A connection was had from the pool, or given up on, after so long.
  void ObservePoolWait(double seconds);

  // ---- The process
  void SetBuild(std::string_view version, std::string_view type);
  // The process has begun to do its work. Only the first call counts.
  void Started();
  // Somebody asked it to stop. Only the first call counts.
  void ShutdownAsked();
  void SetLeader(std::string_view scope, bool leads);

  // Everything in Prometheus's text format, in the catalogue's order, with the samples in it. Series that never counted
  // anything are left out with their name.
  [[nodiscard]] std::string Text(std::span<const GaugeSample> samples) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Finds series by names. Remembers the latest ones, so that a batch of few kinds asks the registry (a lock and a
// look-up) only once for each. One thread at a time.
class SeriesFinder {
 public:
  explicit SeriesFinder(Metrics& metrics) : metrics_(metrics) {}
  JobSeries& Find(std::string_view queue, Priority priority, std::string_view kind);

 private:
  struct Known {
    std::string queue, kind;
    Priority priority;
    JobSeries* series;
  };
  Metrics& metrics_;
  std::vector<Known> known_;  // the latest found first
};

// Counts events of a batch: equal ones that follow each other are recorded together. One thread at a time.
class EventTally {
 public:
  explicit EventTally(Metrics& metrics) : metrics_(metrics) {}
  ~EventTally() { Flush(); }
  EventTally(const EventTally&) = delete;
  EventTally& operator=(const EventTally&) = delete;
  // Without a series: nothing.
  void Add(JobSeries* series, JobEvent event);
  void Flush();

 private:
  Metrics& metrics_;
  JobSeries* series_ = nullptr;
  std::array<std::int64_t, kJobEventCount> jobs_{};
};

// Gathers durations of a batch by queue and priority, without a lock, and records them together. One thread at a time.
class TimeTally {
 public:
  TimeTally(Metrics& metrics, JobTime what) : metrics_(metrics), what_(what) {}
  ~TimeTally() { Flush(); }
  TimeTally(const TimeTally&) = delete;
  TimeTally& operator=(const TimeTally&) = delete;
  // Without a series: nothing.
  void Add(JobSeries* series, double seconds);
  void Flush();

 private:
  struct Lane {
    JobSeries* series;  // one of its kinds
    SecondsTally seconds;
  };
  Metrics& metrics_;
  const JobTime what_;
  std::vector<Lane> lanes_;
};

}  // namespace millrace::base
