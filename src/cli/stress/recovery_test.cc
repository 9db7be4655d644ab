#include "cli/stress/recovery.h"

#include <gtest/gtest.h>

namespace millrace::cli::stress {
namespace {

// 1000 a second for five seconds, nothing for two, 1000 again.
Recovery WithAGap() {
  Recovery recovery;
  double finished = 0;
  for (int tenth = 0; tenth <= 120; ++tenth) {
    recovery.Sample(tenth / 10.0, static_cast<std::int64_t>(finished));
    if (tenth < 50 || tenth >= 70) finished += 100;
  }
  return recovery;
}

TEST(Recovery, TheRateIsThatOfTheStretch) {
  const Recovery recovery = WithAGap();
  EXPECT_NEAR(recovery.Rate(1, 3), 1000, 1);
  EXPECT_NEAR(recovery.Rate(5, 7), 0, 1);
  EXPECT_NEAR(recovery.Rate(4, 8), 500, 1);
  EXPECT_EQ(Recovery().Rate(0, 1), 0);
}

TEST(Recovery, TheTimeUntilTheRateIsNearlyFull) {
  const Recovery recovery = WithAGap();
  const auto after = recovery.After(5, 1000, 12);
  ASSERT_TRUE(after.has_value());
  EXPECT_NEAR(*after, 1.95, 0.06);
  EXPECT_NEAR(recovery.After(2, 1000, 12).value_or(-1), 0, 0.001) << "the rate did not fall";
}

TEST(Recovery, ThereMayBeNone) {
  const Recovery recovery = WithAGap();
  EXPECT_FALSE(recovery.After(5, 1000, 7).has_value()) << "the next fault came first";
  EXPECT_FALSE(recovery.After(5, 2000, 12).has_value()) << "the rate never was so high";
}

}  // namespace
}  // namespace millrace::cli::stress
