#include "cli/monitor/overview.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"

namespace millrace::cli::monitor {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Time kStart = *base::ParseTime("2026-01-01T00:00:00Z");

// The counters at `at` seconds.
Overview At(int at, std::int64_t completed, std::int64_t dead = 0, std::int64_t critical = 0) {
  Overview out;
  out.now = kStart + seconds(at);
  out.total.completed = completed;
  out.total.dead = dead;
  out.critical_available = critical;
  Worker worker;
  worker.id = "w";
  worker.state = "active";
  out.workers = {worker};
  return out;
}

std::vector<std::string> Texts(const std::vector<Alert>& alerts) {
  std::vector<std::string> texts;
  for (const Alert& alert : alerts) texts.push_back(alert.text);
  return texts;
}

TEST(OverviewTest, ReadsAnAnswerAndTellsWhoIsSilent) {
  const auto answer = base::ParseJson(R"({"now":"2026-01-01T00:01:00Z",
    "queues":[{"name":"q","paused":true,"oldest_available":"2026-01-01T00:00:15Z",
      "counts":{"waiting":1,"scheduled":2,"available":3,"running":4,"retryable":5,"completed":6,"dead":7},
      "by_priority":{"low":{"available":1},"critical":{"available":2,"completed":6}}}],
    "workers":[{"id":"quick","state":"active","slots":4,"running":2,"last_heartbeat":"2026-01-01T00:00:58Z"},
      {"id":"slow","state":"draining","slots":4,"running":2,"last_heartbeat":"2026-01-01T00:00:29Z"},
      {"id":"gone","state":"stopped","slots":4,"running":0,"last_heartbeat":"2026-01-01T00:00:00Z"}],
    "runs":[{"id":7,"pipeline":"p","generation":2,"state":"active","discovery_done":true,"open":25,
      "counts":{"completed":70,"dead":5,"cancelled":0},"started_at":"2026-01-01T00:00:00Z"}]})");
  ASSERT_TRUE(answer);
  const auto overview = ReadOverview(answer->as_object(), seconds(30));
  ASSERT_TRUE(overview) << overview.error().message;
  const Queue& queue = overview->queues.at(0);
  EXPECT_TRUE(queue.paused);
  EXPECT_EQ(queue.oldest, 45);
  EXPECT_EQ(queue.counts.Depth(), 11);
  ASSERT_EQ(queue.lanes.size(), 2u);
  EXPECT_EQ(queue.lanes[0].priority, "critical");
  EXPECT_EQ(overview->total.running, 4);
  EXPECT_EQ(overview->critical_available, 2);
  EXPECT_EQ(overview->workers[0].state, "active");
  EXPECT_EQ(overview->workers[1].state, "silent");
  EXPECT_EQ(overview->workers[2].state, "stopped");
  EXPECT_EQ(overview->runs[0].Progress(), 0.75);
}

TEST(OverviewTest, AnAnswerOfAnotherShapeIsAnError) {
  for (const char* text : {"{}", R"({"now":"2026-01-01T00:00:00Z"})",
                           R"({"now":"2026-01-01T00:00:00Z","queues":[5],"workers":[],"runs":[]})"}) {
    const auto overview = ReadOverview(base::ParseJson(text)->as_object(), seconds(30));
    ASSERT_FALSE(overview) << text;
    EXPECT_EQ(overview.error().code, ErrorCode::kInternal);
  }
}

TEST(HistoryTest, OneLookTellsNoRate) {
  History history;
  EXPECT_FALSE(history.CompletedPerSecond());
  EXPECT_THAT(history.CompletedRates(5), IsEmpty());
  history.Add(At(0, 100));
  EXPECT_FALSE(history.CompletedPerSecond());
  EXPECT_THAT(history.CompletedRates(5), IsEmpty());
}

TEST(HistoryTest, RatesAreOfTheLastTenSeconds) {
  History history;
  history.Add(At(0, 0));
  history.Add(At(2, 1000));
  EXPECT_EQ(history.CompletedPerSecond(), 500);
  for (int at = 4; at <= 14; at += 2) history.Add(At(at, 1000 + 20 * (at - 2), (at - 2) / 2));
  EXPECT_EQ(history.CompletedPerSecond(), 20) << "the burst is longer ago";
  EXPECT_EQ(history.FailedPerSecond(), 0.5);
  EXPECT_THAT(history.CompletedRates(2), ElementsAre(20, 20));
  EXPECT_EQ(history.CompletedRates(100).size(), 7u);
  EXPECT_EQ(history.CompletedRates(100).front(), 500);
}

TEST(HistoryTest, OneIntervalLongerThanTenSecondsIsEnough) {
  History history;
  history.Add(At(0, 0));
  history.Add(At(60, 600));
  EXPECT_EQ(history.CompletedPerSecond(), 10);
}

TEST(HistoryTest, WhereHistoryIsDeletedNothingIsKnown) {
  History history;
  history.Add(At(0, 10'000));
  history.Add(At(2, 10'100));
  history.Add(At(4, 5'000));
  history.Add(At(6, 5'100));
  EXPECT_THAT(history.CompletedRates(9), ElementsAre(50, std::nullopt, 50));
  EXPECT_EQ(history.CompletedPerSecond(), 50);
}

TEST(HistoryTest, AClockThatStandsStillOrGoesBackMakesNoInterval) {
  History history;
  history.Add(At(10, 0));
  history.Add(At(10, 5));
  history.Add(At(5, 50));
  EXPECT_FALSE(history.CompletedPerSecond());
  history.Add(At(12, 60));
  EXPECT_EQ(history.CompletedPerSecond(), 30);
}

TEST(AlertTest, AQuietSystemHasNone) { EXPECT_THAT(Alerts(At(0, 1000), History()), IsEmpty()); }

TEST(AlertTest, TellsOfWorkers) {
  Overview overview = At(0, 0);
  overview.workers[0].state = "silent";
  overview.workers[0].heartbeat_age = 45;
  EXPECT_THAT(Texts(Alerts(overview, History())), ElementsAre("silent workers: w"));
  overview.workers[0].heartbeat_age = 61;
  EXPECT_THAT(Texts(Alerts(overview, History())),
              ElementsAre("no worker with a heartbeat in the last 60 s", "silent workers: w"));
  overview.workers.clear();
  EXPECT_THAT(Texts(Alerts(overview, History())), ElementsAre("no worker with a heartbeat in the last 60 s"));
}

TEST(AlertTest, TellsOfFailures) {
  History history;
  history.Add(At(0, 0, 0));
  history.Add(At(2, 90, 10));
  EXPECT_THAT(Alerts(At(2, 90, 10), history), IsEmpty()) << "ten percent is not over ten percent";
  history.Add(At(4, 90, 110));
  EXPECT_THAT(Texts(Alerts(At(4, 90, 110), history)),
              ElementsAre("55 % of the jobs that finish fail for good", HasSubstr("110 dead letters")));
}

TEST(AlertTest, TellsOfDeadLettersThatGrow) {
  History history;
  for (int at = 0; at <= 298; at += 2) history.Add(At(at, 1000 * at, at / 50));
  EXPECT_THAT(Alerts(At(298, 0, 5), history), IsEmpty()) << "not for five minutes yet";
  history.Add(At(300, 300'000, 6));
  EXPECT_THAT(Texts(Alerts(At(300, 0, 6), history)), ElementsAre("dead letters have been growing for 5 minutes"));
  history.Add(At(302, 302'000, 5));
  EXPECT_THAT(Alerts(At(302, 0, 5), history), IsEmpty()) << "some were retried";
}

TEST(AlertTest, TellsOfWaiting) {
  Overview overview = At(0, 0);
  overview.queues.emplace_back();
  overview.queues[0].name = "mail";
  overview.queues[0].oldest = 3601;
  EXPECT_THAT(Texts(Alerts(overview, History())),
              ElementsAre("the oldest job of queue mail has waited for over an hour"));
  overview.queues.resize(5, overview.queues[0]);
  EXPECT_THAT(Texts(Alerts(overview, History())),
              ElementsAre("the oldest job of queue mail, mail, mail and 2 more has waited for over an hour"));
  overview.queues.resize(1);
  overview.queues[0].paused = true;
  EXPECT_THAT(Alerts(overview, History()), IsEmpty());
  History history;
  for (int at = 0; at <= 120; at += 2) history.Add(At(at, 0, 0, 101));
  const auto alerts = Alerts(At(120, 0, 0, 101), history);
  ASSERT_EQ(alerts.size(), 1u);
  EXPECT_EQ(alerts[0].severity, Severity::kCritical);
  EXPECT_THAT(alerts[0].text, HasSubstr("over 100 critical jobs"));
  history.Add(At(122, 0, 0, 100));
  EXPECT_THAT(Alerts(At(122, 0, 0, 100), history), IsEmpty());
}

}  // namespace
}  // namespace millrace::cli::monitor
