#include "runtime/missing_handlers.h"

#include <gtest/gtest.h>

namespace millrace::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(MissingHandlersTest, PutsAKindOffEverLonger) {
  MissingHandlers missing;
  MissingHandlers::Clock::time_point now;
  for (const int expected : {1, 2, 4, 8, 16, 32, 60, 60}) {
    const Duration delay = missing.Met("k", now).delay;
    EXPECT_EQ(delay, seconds(expected));
    now += delay;
  }
  EXPECT_EQ(missing.Met("other", now).delay, seconds(1)) << "each kind for itself";
}

TEST(MissingHandlersTest, ManyJobsMetTogetherArePutOffAlike) {
  MissingHandlers missing;
  const MissingHandlers::Clock::time_point now;
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(missing.Met("k", now + milliseconds(i % 999)).delay, seconds(1));
}

TEST(MissingHandlersTest, TellsOnceAMinuteAndKind) {
  MissingHandlers missing;
  const MissingHandlers::Clock::time_point start;
  int told = 0;
  for (int second = 0; second < 180; ++second) told += missing.Met("k", start + seconds(second)).tell ? 1 : 0;
  EXPECT_EQ(told, 3);
  EXPECT_TRUE(missing.Met("other", start + seconds(1)).tell);
}

}  // namespace
}  // namespace millrace::runtime
