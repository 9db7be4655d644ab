// The names that dashboards rely on, and that what is counted comes out as it went in.
#include "base/metrics.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "base/process_stats.h"

namespace millrace::base {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string ReadFile(const std::string& name) {
  std::ifstream file(std::string(MILLRACE_SOURCE_DIR) + "/" + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string_view KindName(MetricKind kind) {
  return kind == MetricKind::kCounter ? "counter" : kind == MetricKind::kGauge ? "gauge" : "histogram";
}

// The value of one line, whose name and labels are as the text has them; -1 when there is none.
double ValueOf(const std::string& text, const std::string& series) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(series + " ")) return std::stod(line.substr(series.size() + 1));
  }
  return -1;
}

TEST(MetricsTest, TheCatalogueIsTheGoldenList) {
  std::string list;
  for (const MetricInfo& info : MetricCatalogue()) {
    list += std::string(info.name) + " " + std::string(KindName(info.kind));
    if (!info.labels.empty()) list += " " + std::string(info.labels);
    list += "\n";
    EXPECT_TRUE(info.help.ends_with('.')) << info.name;
  }
  EXPECT_EQ(list, ReadFile("tests/golden/metrics.txt"));
}

TEST(MetricsTest, TheDocsHaveEveryMetricWithItsTypeAndLabelsAndNoOther) {
  std::string wanted;
  for (const MetricInfo& info : MetricCatalogue()) {
    wanted += "| `" + std::string(info.name) + "` | " + std::string(KindName(info.kind)) + " |";
    if (!info.labels.empty()) wanted += " `" + std::string(info.labels) + "`";
    wanted += "\n";
  }
  std::istringstream lines(ReadFile("docs/metrics.md"));
  std::string found;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| `millrace_") && !line.starts_with("| `process_")) continue;
    std::size_t bar = 0;
    for (int i = 0; i < 3; ++i) bar = line.find(" |", bar + 1);
    found += line.substr(0, bar) + "\n";
  }
  EXPECT_EQ(found, wanted);
}

TEST(MetricsTest, CountsComeOutByQueuePriorityAndKind) {
  Metrics metrics;
  JobSeries& series = metrics.Series("mail", Priority::kHigh, "send");
  metrics.Count(series, JobEvent::kCompleted, 3);
  metrics.Count(series, JobEvent::kCompleted, 2);
  metrics.Count(metrics.Series("mail", Priority::kLow, "send"), JobEvent::kCompleted, 1);
  const std::string text = metrics.Text({});
  EXPECT_EQ(ValueOf(text, R"(millrace_jobs_completed_total{kind="send",priority="high",queue="mail"})"), 5);
  EXPECT_EQ(ValueOf(text, R"(millrace_jobs_completed_total{kind="send",priority="low",queue="mail"})"), 1);
  EXPECT_EQ(ValueOf(text, R"(millrace_jobs_dead_total{kind="send",priority="high",queue="mail"})"), 0)
      << "a rate of the first one needs the 0 before it";
  EXPECT_EQ(metrics.Total(JobEvent::kCompleted, "mail"), 6);
}

TEST(MetricsTest, NamesThatNeedItAreEscaped) {
  Metrics metrics;
  metrics.Count(metrics.Series("a\"b\\c\nd", Priority::kLow, "k"), JobEvent::kDead, 1);
  EXPECT_THAT(metrics.Text({}), HasSubstr(R"(queue="a\"b\\c\nd")"));
}

TEST(MetricsTest, DurationsFallIntoTheirBuckets) {
  Metrics metrics;
  {
    TimeTally tally(metrics, JobTime::kDuration);
    JobSeries& one = metrics.Series("q", Priority::kLow, "one");
    JobSeries& two = metrics.Series("q", Priority::kLow, "two");
    tally.Add(&one, 0.0005);
    tally.Add(&two, 0.001);  // the bound is in its bucket
    tally.Add(&one, 0.3);
    tally.Add(&two, 7200);
    tally.Add(&metrics.Series("q", Priority::kBulk, "one"), 0.02);
    tally.Add(nullptr, 5);
  }
  const std::string text = metrics.Text({});
  const std::string bucket = R"(millrace_job_duration_seconds_bucket{priority="low",queue="q",le=)";
  EXPECT_EQ(ValueOf(text, bucket + R"("0.001"})"), 2) << text;
  EXPECT_EQ(ValueOf(text, bucket + R"("0.25"})"), 2);
  EXPECT_EQ(ValueOf(text, bucket + R"("0.5"})"), 3);
  EXPECT_EQ(ValueOf(text, bucket + R"("3600"})"), 3);
  EXPECT_EQ(ValueOf(text, bucket + R"("+Inf"})"), 4);
  EXPECT_DOUBLE_EQ(ValueOf(text, R"(millrace_job_duration_seconds_sum{priority="low",queue="q"})"), 7200.3015);
  EXPECT_EQ(ValueOf(text, R"(millrace_job_duration_seconds_count{priority="bulk",queue="q"})"), 1);
}

TEST(MetricsTest, NoNumberOfQueuesAndKindsMakesMoreSeriesThanTheCaps) {
  Metrics metrics;
  for (int i = 0; i < 300; ++i) {
    const std::string name = "n" + std::to_string(i);
    metrics.Count(metrics.Series(name, Priority::kLow, "k"), JobEvent::kDead, 1);
    metrics.Count(metrics.Series("q", Priority::kLow, name), JobEvent::kDead, 1);
    metrics.Count(metrics.Series(name, Priority::kBulk, "x" + name), JobEvent::kDead, 1);
  }
  for (int q = 0; q < 50; ++q) {
    for (int k = 0; k < 100; ++k) {
      const std::string kind = "n" + std::to_string(k);
      metrics.Count(metrics.Series("n" + std::to_string(q), Priority::kHigh, kind), JobEvent::kDead, 1);
    }
  }
  std::map<std::string, std::set<std::string>> values;
  double total = 0;
  std::size_t series = 0;
  std::istringstream lines(metrics.Text({}));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("millrace_jobs_dead_total{")) continue;
    ++series;
    total += std::stod(line.substr(line.rfind(' ')));
    for (const std::string label : {"queue", "kind"}) {
      const std::size_t at = line.find(label + "=\"") + label.size() + 2;
      values[label].insert(line.substr(at, line.find('"', at) - at));
    }
  }
  EXPECT_EQ(total, 900 + 5000) << "nothing is lost in \"other\"";
  EXPECT_EQ(values["queue"].size(), kMostQueues + 1);
  EXPECT_EQ(values["kind"].size(), kMostKinds + 1);
  EXPECT_TRUE(values["queue"].contains("other"));
  EXPECT_LE(series, kMostSeries + kPriorityCount) << "those of \"other\" come on top, once a priority";
  EXPECT_EQ(metrics.QueueLabel("n0"), "n0");
  EXPECT_EQ(metrics.QueueLabel("a new one"), "other");
}

TEST(MetricsTest, AFinderFindsWhatTheRegistryHas) {
  Metrics metrics;
  SeriesFinder finder(metrics);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 40; ++i) {  // more than it remembers
      const std::string kind = "k" + std::to_string(i);
      for (const Priority priority : {Priority::kLow, Priority::kHigh})
        EXPECT_EQ(&finder.Find("q", priority, kind), &metrics.Series("q", priority, kind));
    }
  }
}

TEST(MetricsTest, ATallyCountsEachEventOfEachSeries) {
  Metrics metrics;
  JobSeries& a = metrics.Series("a", Priority::kLow, "k");
  JobSeries& b = metrics.Series("b", Priority::kLow, "k");
  {
    EventTally tally(metrics);
    for (JobSeries* series : {&a, &a, &b, static_cast<JobSeries*>(nullptr), &a}) {
      tally.Add(series, JobEvent::kFailed);
      tally.Add(series, JobEvent::kDead);
    }
    tally.Add(&b, JobEvent::kRetried);
  }
  EXPECT_EQ(metrics.Total(JobEvent::kFailed, "a"), 3);
  EXPECT_EQ(metrics.Total(JobEvent::kDead, "a"), 3);
  EXPECT_EQ(metrics.Total(JobEvent::kFailed, "b"), 1);
  EXPECT_EQ(metrics.Total(JobEvent::kRetried, "b"), 1);
  EXPECT_EQ(metrics.Total(JobEvent::kRetried, "a"), 0);
}

TEST(MetricsTest, ThreadsCountTogether) {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      SeriesFinder finder(metrics);
      for (int i = 0; i < 2000; ++i) {
        EventTally tally(metrics);
        TimeTally times(metrics, JobTime::kWait);
        JobSeries& series = finder.Find("q", static_cast<Priority>(i % 5), "k" + std::to_string(i % 30));
        tally.Add(&series, JobEvent::kStarted);
        times.Add(&series, 0.01);
        metrics.ObserveQuery("query" + std::to_string(i % 7), 0.001);
        if (i % 500 == 0) (void)metrics.Text({});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(metrics.Total(JobEvent::kStarted, "q"), 8000);
  EXPECT_EQ(ValueOf(metrics.Text({}), R"(millrace_job_wait_seconds_count{priority="bulk",queue="q"})"), 1600);
}

TEST(MetricsTest, TheProcessAndTheDatabaseAreTold) {
  Metrics metrics;
  EXPECT_THAT(metrics.Text({}), Not(HasSubstr("millrace_startup_seconds")));
  EXPECT_EQ(ValueOf(metrics.Text({}), "millrace_shutdown_seconds"), 0);
  metrics.Started();
  metrics.ShutdownAsked();
  metrics.SetBuild("1.2.3", "mail");
  metrics.SetLeader("maintenance", true);
  metrics.ObserveQuery("claim", 0.002);
  metrics.ObserveQuery("claim", 0.003);
  metrics.ObservePoolWait(0.5);
  const std::string text = metrics.Text({});
  EXPECT_GT(ValueOf(text, "millrace_startup_seconds"), 0);
  EXPECT_GT(ValueOf(text, "millrace_shutdown_seconds"), 0);
  EXPECT_EQ(ValueOf(text, R"(millrace_build_info{version="1.2.3",type="mail"})"), 1) << text;
  EXPECT_EQ(ValueOf(text, R"(millrace_leader{scope="maintenance"})"), 1);
  EXPECT_EQ(ValueOf(text, R"(millrace_db_query_seconds_count{query="claim"})"), 2);
  EXPECT_EQ(ValueOf(text, "millrace_db_pool_wait_seconds_sum"), 0.5);
  metrics.SetLeader("maintenance", false);
  EXPECT_EQ(ValueOf(metrics.Text({}), R"(millrace_leader{scope="maintenance"})"), 0);
}

TEST(MetricsTest, SamplesTakeTheirPlaceInTheCatalogue) {
  Metrics metrics;
  const std::vector<GaugeSample> samples = {{"millrace_queue_depth", {"mail", "high"}, 7},
                                            {"millrace_queue_depth", {"mail", "low"}, 8}};
  const std::string text = metrics.Text(samples);
  EXPECT_THAT(text, HasSubstr("# TYPE millrace_queue_depth gauge\n"
                              "millrace_queue_depth{queue=\"mail\",priority=\"high\"} 7\n"
                              "millrace_queue_depth{queue=\"mail\",priority=\"low\"} 8\n"));
  const std::vector<GaugeSample> unknown = {{"millrace_no_such", {}, 1}};
  EXPECT_THROW((void)metrics.Text(unknown), std::logic_error);
}

TEST(ProcessStatsTest, TellsWhatTheSystemTells) {
  const ProcessStats before = ReadProcessStats();
  std::vector<int> files;
  for (int i = 0; i < 5; ++i) files.push_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const ProcessStats stats = ReadProcessStats();
  for (const int file : files) close(file);
  EXPECT_EQ(stats.open_fds, before.open_fds + 5);
  EXPECT_GT(stats.max_fds, stats.open_fds);
  EXPECT_GE(stats.threads, 1);
  EXPECT_GT(stats.resident_bytes, 1e6);
  EXPECT_GT(stats.virtual_bytes, stats.resident_bytes);
  EXPECT_GE(stats.cpu_seconds, before.cpu_seconds);
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_NEAR(stats.start_time + stats.age_seconds, now, 1.0);
  EXPECT_EQ(stats.start_time, before.start_time) << "it must not look like a restart";
  std::thread other([&] { EXPECT_EQ(ReadProcessStats().threads, stats.threads + 1); });
  other.join();
}

}  // namespace
}  // namespace millrace::base
