#include "runtime/loop_watch.h"

#include <gtest/gtest.h>

namespace millrace::runtime {
namespace {

using std::chrono::seconds;
using Loop = LoopWatch::Loop;

TEST(LoopWatchTest, ALoopIsStuckWhenItsLatestStepIsLongAgo) {
  LoopWatch watch;
  const LoopWatch::Clock::time_point start = LoopWatch::Clock::now();
  EXPECT_EQ(watch.Stuck(seconds(60), start), "") << "nothing has begun";
  watch.Step(Loop::kFetchAndReport, start);
  EXPECT_EQ(watch.Stuck(seconds(60), start + seconds(60)), "");
  EXPECT_EQ(watch.Stuck(seconds(60), start + seconds(61)), "fetch and report");
  watch.Step(Loop::kFetchAndReport, start + seconds(61));
  EXPECT_EQ(watch.Stuck(seconds(60), start + seconds(121)), "");
}

TEST(LoopWatchTest, ALoopThatRestsIsNotStuck) {
  LoopWatch watch;
  const LoopWatch::Clock::time_point start = LoopWatch::Clock::now();
  watch.Step(Loop::kHeartbeat, start);
  EXPECT_EQ(watch.Stuck(seconds(60), start + seconds(3600)), "heartbeat");
  watch.Rest(Loop::kHeartbeat);
  EXPECT_EQ(watch.Stuck(seconds(60), start + seconds(3600)), "");
  watch.Step(Loop::kMaintenance, start);
  EXPECT_EQ(watch.Stuck(seconds(60), start + seconds(3600)), "maintenance");
}

}  // namespace
}  // namespace millrace::runtime
