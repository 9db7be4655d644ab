#include "engine/retry_policy.h"

#include <gtest/gtest.h>

#if __has_include(<rapidcheck/gtest.h>)
#include <rapidcheck/gtest.h>
#define MILLRACE_HAS_RAPIDCHECK 1
#endif

namespace millrace::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(RetryPolicyTest, NumbersByPriorityAreTheContracts) {
  const RetryPolicy critical = DefaultRetryPolicy(Priority::kCritical);
  EXPECT_EQ(critical.max_attempts, 6);
  EXPECT_EQ(critical.initial, milliseconds(500));
  EXPECT_EQ(critical.multiplier, 1.5);
  EXPECT_EQ(critical.max, seconds(30));
  for (const Priority priority : {Priority::kHigh, Priority::kDefault, Priority::kLow}) {
    const RetryPolicy policy = DefaultRetryPolicy(priority);
    EXPECT_EQ(policy.max_attempts, 4);
    EXPECT_EQ(policy.initial, seconds(1));
    EXPECT_EQ(policy.multiplier, 2.0);
    EXPECT_EQ(policy.max, minutes(5));
    EXPECT_EQ(policy.jitter, 0.5);
  }
  EXPECT_EQ(DefaultRetryPolicy(Priority::kBulk).max_attempts, 1);
}

TEST(RetryPolicyTest, DelaysDoubleUpToTheMost) {
  RetryPolicy policy;
  policy.jitter = 0;
  const std::vector<Duration> expected = {seconds(1), seconds(2), seconds(4), seconds(8), seconds(16)};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(RetryDelay(policy, static_cast<int>(i) + 1, 0.7), expected[i]);
  }
  EXPECT_EQ(RetryDelay(policy, 9, 0), seconds(256));
  EXPECT_EQ(RetryDelay(policy, 10, 0), minutes(5));
  EXPECT_EQ(RetryDelay(policy, 1'000'000, 0), minutes(5)) << "however often: no overflow";
}

TEST(RetryPolicyTest, JitterOnlyShortens) {
  const RetryPolicy policy;
  EXPECT_EQ(RetryDelay(policy, 1, 0), seconds(1));
  EXPECT_EQ(RetryDelay(policy, 1, 0.5), milliseconds(750));
  EXPECT_EQ(RetryDelay(policy, 1, 1), milliseconds(500));
}

TEST(RetryPolicyTest, JobThenKindThenQueueThenEverywhereThenPriority) {
  RetrySources sources;
  EXPECT_EQ(EffectiveRetryPolicy(sources, Priority::kCritical).max_attempts, 6);
  sources.everywhere_max_attempts = 9;
  EXPECT_EQ(EffectiveRetryPolicy(sources, Priority::kCritical).max_attempts, 9);
  EXPECT_EQ(EffectiveRetryPolicy(sources, Priority::kCritical).initial, milliseconds(500)) << "the backoff stays";
  EXPECT_EQ(EffectiveRetryPolicy(sources, Priority::kBulk).max_attempts, 9);
  sources.queue = RetryPolicy{.max_attempts = 3, .initial = seconds(7)};
  EXPECT_EQ(EffectiveRetryPolicy(sources, Priority::kCritical).max_attempts, 3);
  EXPECT_EQ(EffectiveRetryPolicy(sources, Priority::kCritical).initial, seconds(7));
  sources.kind = RetryPolicy{.max_attempts = 2, .initial = seconds(8)};
  EXPECT_EQ(EffectiveRetryPolicy(sources, Priority::kCritical).max_attempts, 2);
  EXPECT_EQ(EffectiveRetryPolicy(sources, Priority::kCritical).initial, seconds(8));
  sources.job_max_attempts = 5;
  EXPECT_EQ(EffectiveRetryPolicy(sources, Priority::kCritical).max_attempts, 5);
  EXPECT_EQ(EffectiveRetryPolicy(sources, Priority::kCritical).initial, seconds(8)) << "the backoff stays";
}

TEST(RetryPolicyTest, OptionsByPriorityWinOverOptionsForAll) {
  StorageOptions options;
  EXPECT_FALSE(EverywhereMaxAttempts(options, Priority::kHigh));
  options.max_attempts = 3;
  EXPECT_EQ(EverywhereMaxAttempts(options, Priority::kHigh), 3);
  options.max_attempts_by_priority[static_cast<std::size_t>(Priority::kHigh)] = 8;
  EXPECT_EQ(EverywhereMaxAttempts(options, Priority::kHigh), 8);
  EXPECT_EQ(EverywhereMaxAttempts(options, Priority::kLow), 3);
}

#ifdef MILLRACE_HAS_RAPIDCHECK
RetryPolicy AnyPolicy() {
  RetryPolicy policy;
  policy.initial = Duration(*rc::gen::inRange<std::int64_t>(0, 100'000'000));
  policy.max = Duration(*rc::gen::inRange<std::int64_t>(0, 4'000'000'000));
  policy.multiplier = *rc::gen::inRange(10, 50) / 10.0;
  policy.jitter = *rc::gen::inRange(0, 101) / 100.0;
  return policy;
}

RC_GTEST_PROP(RetryPolicyLaws, DelaysStayWithinTheJitterBounds, ()) {
  const RetryPolicy policy = AnyPolicy();
  const int retry = *rc::gen::inRange(1, 200);
  const double random = *rc::gen::inRange(0, 1000) / 1000.0;
  const Duration delay = RetryDelay(policy, retry, random);
  const Duration most = RetryDelay(policy, retry, 0);
  RC_ASSERT(delay >= Duration(0));
  RC_ASSERT(delay <= most);
  RC_ASSERT(most <= policy.max);
  RC_ASSERT(static_cast<double>(delay.count()) >= static_cast<double>(most.count()) * (1 - policy.jitter) - 1);
}

RC_GTEST_PROP(RetryPolicyLaws, DelaysGrowUntilTheMost, ()) {
  const RetryPolicy policy = AnyPolicy();
  const int retry = *rc::gen::inRange(1, 200);
  RC_ASSERT(RetryDelay(policy, retry, 0) <= RetryDelay(policy, retry + 1, 0));
}

RC_GTEST_PROP(RetryPolicyLaws, MoreChanceNeverWaitsLonger, ()) {
  const RetryPolicy policy = AnyPolicy();
  const int retry = *rc::gen::inRange(1, 20);
  const int low = *rc::gen::inRange(0, 1000);
  const int high = *rc::gen::inRange(low, 1000);
  RC_ASSERT(RetryDelay(policy, retry, high / 1000.0) <= RetryDelay(policy, retry, low / 1000.0));
}
#endif

}  // namespace
}  // namespace millrace::engine
