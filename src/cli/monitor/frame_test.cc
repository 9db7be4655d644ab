#include "cli/monitor/frame.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/clock.h"

namespace millrace::cli::monitor {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

std::size_t Characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

Queue QueueOf(const std::string& name, std::int64_t available) {
  Queue queue;
  queue.name = name;
  queue.counts.available = available;
  queue.lanes = {{"default", queue.counts}};
  return queue;
}

Worker WorkerOf(const std::string& id, const std::string& state) {
  Worker worker;
  worker.id = id;
  worker.state = state;
  worker.slots = 4;
  worker.heartbeat_age = 3;
  return worker;
}

View Busy() {
  View view;
  view.database = "m.db";
  view.interval = 2;
  Overview overview;
  overview.now = *base::ParseTime("2026-01-01T00:00:00Z");
  overview.queues = {QueueOf("idle", 0), QueueOf("mail", 1200), QueueOf("report", 7)};
  overview.queues[1].oldest = 75;
  overview.queues[2].lanes = {{"high", {}}, {"bulk", {}}};
  overview.workers = {WorkerOf("host-1", "active"), WorkerOf("host-2", "silent"), WorkerOf("host-3", "stopped")};
  Run run;
  run.id = 7;
  run.pipeline = "documents";
  run.state = "active";
  run.discovery_done = true;
  run.open = 1;
  run.completed = 2;
  overview.runs = {run};
  overview.total.available = 1207;
  overview.total.running = 3;
  view.history.Add(overview);
  view.overview = overview;
  view.dead = {{"timeout", 12}, {"broken", 3}};
  return view;
}

std::string Text(const View& view, const Canvas& canvas) {
  std::string text;
  for (const std::string& line : Draw(view, canvas)) text += line + "\n";
  return text;
}

TEST(FrameTest, ShowsEverything) {
  EXPECT_THAT(
      Draw(Busy(), {}),
      ElementsAre("millrace monitor  m.db  2026-01-01T00:00:00Z  every 2s  q quits", "completed ?   failed ?",
                  "running 3 of 8 slots   backlog 1,207, oldest 75s   dead 0", "warning   silent workers: host-2", "",
                  "QUEUE   PRIORITY  AVAILABLE  OLDEST  RUNNING  SCHEDULED  RETRYABLE  WAITING  DEAD  COMPLETED",
                  "mail    default       1,200     75s        -          -          -        -     -          -",
                  "report                    7       -        -          -          -        -     -          -",
                  "        high              -       -        -          -          -        -     -          -",
                  "        bulk              -       -        -          -          -        -     -          -",
                  "idle    default           -       -        -          -          -        -     -          -", "",
                  "WORKER  STATE   RUNNING  SLOTS  HEARTBEAT  TYPE  HOST  PID",
                  "host-2  silent        -      4         3s                -",
                  "host-1  active        -      4         3s                -", "",
                  "RUN  PIPELINE   STATE   PROGRESS  OPEN  COMPLETED  DEAD  STARTED",
                  "  7  documents  active      66 %     1          2     -       0s", "", "DEAD LETTERS  REASON",
                  "          12  timeout", "           3  broken"));
}

TEST(FrameTest, DetailsShowWhatHasEnded) {
  View view = Busy();
  view.overview->runs[0].state = "completed";
  Canvas canvas;
  EXPECT_THAT(Text(view, canvas), AllOf(Not(HasSubstr("host-3")), Not(HasSubstr("documents"))));
  canvas.details = true;
  EXPECT_THAT(Text(view, canvas), AllOf(HasSubstr("host-3"), HasSubstr("documents")));
}

TEST(FrameTest, WhatIsStaleIsMarkedAndStays) {
  View view = Busy();
  view.trouble = "cannot reach\nthe database";
  view.stale_seconds = 12;
  EXPECT_THAT(Text(view, {}), AllOf(HasSubstr("STALE for 12s: cannot reach the database\n"), HasSubstr("1,200")));
  view.overview.reset();
  EXPECT_THAT(Draw(view, {}), ElementsAre("millrace monitor  m.db  every 2s  q quits",
                                          "no figures for 12s: cannot reach the database"));
}

TEST(FrameTest, TroubleIsToldInFull) {
  View view = Busy();
  view.trouble = "the owner of m.db does not answer; look at it";
  view.stale_seconds = 12;
  Canvas canvas;
  canvas.width = 30;
  EXPECT_THAT(Draw(view, canvas), AllOf(Contains("STALE for 12s: the owner of"),
                                        Contains("m.db does not answer; look at"), Contains("it")));
}

TEST(FrameTest, ANarrowScreenLosesWhatMattersLeast) {
  Canvas canvas;
  canvas.width = 60;
  const auto lines = Draw(Busy(), canvas);
  EXPECT_THAT(lines, Contains(AllOf(StartsWith("QUEUE"), HasSubstr("AVAILABLE"), HasSubstr("DEAD"), HasSubstr("OLDEST"),
                                    Not(HasSubstr("COMPLETED")))));
  for (const std::string& line : lines) EXPECT_LE(Characters(line), 60u) << line;
}

TEST(FrameTest, ALongNamePushesNoFigureOut) {
  View view = Busy();
  view.overview->queues[1].name = std::string(190, 'q');
  view.overview->workers[1].id = std::string(190, 'w');
  Canvas canvas;
  canvas.width = 80;
  const auto lines = Draw(view, canvas);
  EXPECT_THAT(lines, Contains(AllOf(StartsWith("qqqqqqqqqqqqqqqqqq"), HasSubstr("q... "), HasSubstr("1,200"))));
  EXPECT_THAT(lines, Contains(AllOf(StartsWith("wwwwwwwwwwwwwwwwww"), HasSubstr("w...  silent"))));
  EXPECT_THAT(lines, Contains(AllOf(StartsWith("report"), HasSubstr(" 7 "))));
  for (const std::string& line : lines) EXPECT_LE(Characters(line), 80u) << line;
  EXPECT_THAT(Draw(view, {}), Contains(StartsWith(std::string(190, 'q'))));
}

TEST(FrameTest, TheLastSectionsGoOnAVeryLowScreen) {
  View view = Busy();
  Canvas canvas;
  canvas.height = 10;
  const auto lines = Draw(view, canvas);
  EXPECT_THAT(lines, Contains(StartsWith("mail")));
  EXPECT_THAT(lines, Not(Contains(HasSubstr("timeout"))));
}

TEST(FrameTest, ALowScreenSaysWhatItLeavesOut) {
  View view = Busy();
  for (int i = 0; i < 50; ++i) view.overview->queues.push_back(QueueOf(fmt::format("q{}", i), 1));
  Canvas canvas;
  canvas.height = 24;
  const auto lines = Draw(view, canvas);
  EXPECT_EQ(lines.size(), 24u);
  EXPECT_THAT(lines, Contains(HasSubstr(" more")));
  EXPECT_THAT(lines, Contains(StartsWith("mail"))) << "those with the most work come first";
  EXPECT_THAT(lines, Contains(StartsWith("WORKER")));
  EXPECT_THAT(lines, Contains(HasSubstr("timeout")));
}

TEST(FrameTest, ColoursOnlyWhenAsked) {
  Canvas canvas;
  EXPECT_THAT(Text(Busy(), canvas), Not(HasSubstr("\033")));
  canvas.colours = true;
  EXPECT_THAT(Text(Busy(), canvas), HasSubstr("\033[31msilent\033[0m"));
}

TEST(FrameTest, NamesMoveNoCursor) {
  View view = Busy();
  view.database = "a\033[2Jb";
  view.overview->queues[1].name = "evil\033[2J\n";
  view.overview->workers[1].id = "w\r\n";
  view.dead[0].reason = "\033]0;title\007";
  EXPECT_THAT(Draw(view, {}), Each(Not(AllOf(HasSubstr("\033"), HasSubstr("\n")))));
  EXPECT_THAT(Text(view, {}), Not(HasSubstr("\033")));
}

TEST(FrameTest, ADiscoveringRunHasNoPercentage) {
  View view = Busy();
  view.overview->runs[0].discovery_done = false;
  EXPECT_THAT(Text(view, {}), AllOf(HasSubstr("discovering"), Not(HasSubstr("66 %"))));
}

TEST(SparklineTest, TheHighestIsFull) {
  EXPECT_EQ(Sparkline({0, 50, std::nullopt, 100}, true), "▁▅.█");
  EXPECT_EQ(Sparkline({0, 50, std::nullopt, 100}, false), "_=.#");
  EXPECT_EQ(Sparkline({0, 0}, true), "▁▁");
  EXPECT_EQ(Sparkline({}, true), "");
}

TEST(AgeTest, IsShort) {
  EXPECT_EQ(Age(0), "0s");
  EXPECT_EQ(Age(0.5), "0.5s");
  EXPECT_EQ(Age(119.9), "119s");
  EXPECT_EQ(Age(120), "2m");
  EXPECT_EQ(Age(7200), "2h");
  EXPECT_EQ(Age(172800), "2d");
}

RC_GTEST_PROP(ShareLinesTest, GivesWhatThereIsAndNoMoreThanIsWanted, ()) {
  const auto wanted = *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, 40));
  const auto room = *rc::gen::inRange<std::size_t>(0, 100);
  const auto given = ShareLines(wanted, room);
  RC_ASSERT(given.size() == wanted.size());
  const std::size_t all = std::accumulate(wanted.begin(), wanted.end(), std::size_t{0});
  RC_ASSERT(std::accumulate(given.begin(), given.end(), std::size_t{0}) == std::min(all, room));
  for (std::size_t i = 0; i < given.size(); ++i) {
    RC_ASSERT(given[i] <= wanted[i]);
    // Who goes without has at least what anybody else has, but for one line.
    for (std::size_t j = 0; j < given.size(); ++j) RC_ASSERT(given[i] == wanted[i] || given[i] + 1 >= given[j]);
  }
}

RC_GTEST_PROP(FrameTest, FitsEveryScreen, ()) {
  Canvas canvas;
  canvas.width = *rc::gen::inRange<std::size_t>(1, 200);
  canvas.height = *rc::gen::inRange<std::size_t>(1, 60);
  canvas.details = *rc::gen::arbitrary<bool>();
  View view = Busy();
  const int queues = *rc::gen::inRange(0, 50);
  for (int i = 0; i < queues; ++i) view.overview->queues.push_back(QueueOf("größe" + std::to_string(i), i));
  const auto lines = Draw(view, canvas);
  RC_ASSERT(lines.size() <= canvas.height);
  for (const std::string& line : lines) RC_ASSERT(Characters(line) <= canvas.width);
}

}  // namespace
}  // namespace millrace::cli::monitor
