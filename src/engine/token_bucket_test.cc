#include "engine/token_bucket.h"

#include <gtest/gtest.h>

#if __has_include(<rapidcheck/gtest.h>)
#include <rapidcheck/gtest.h>
#define MILLRACE_HAS_RAPIDCHECK 1
#endif

namespace millrace::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Time kStart(seconds(1'700'000'000));

TEST(TokenBucketTest, ANewBucketIsFull) {
  TokenBucket bucket;
  bucket.Refill(10, kStart);
  EXPECT_EQ(bucket.Whole(), 10);
}

TEST(TokenBucketTest, ASlowRateStillHasOneToken) {
  TokenBucket bucket;
  bucket.Refill(0.1, kStart);
  EXPECT_EQ(bucket.Whole(), 1);
  bucket.Take(1);
  bucket.Refill(0.1, kStart + seconds(9));
  EXPECT_EQ(bucket.Whole(), 0);
  bucket.Refill(0.1, kStart + seconds(10) + milliseconds(1));
  EXPECT_EQ(bucket.Whole(), 1);
}

TEST(TokenBucketTest, RefillsWithTimeUpToOneSecondsWorth) {
  TokenBucket bucket;
  bucket.Refill(4, kStart);
  bucket.Take(4);
  EXPECT_EQ(bucket.Whole(), 0);
  bucket.Refill(4, kStart + milliseconds(500));
  EXPECT_EQ(bucket.Whole(), 2);
  bucket.Refill(4, kStart + seconds(3600));
  EXPECT_EQ(bucket.Whole(), 4);
}

TEST(TokenBucketTest, TimeThatGoesBackAddsNothing) {
  TokenBucket bucket;
  bucket.Refill(4, kStart);
  bucket.Take(4);
  bucket.Refill(4, kStart - seconds(100));
  EXPECT_EQ(bucket.Whole(), 0);
  bucket.Refill(4, kStart);
  EXPECT_EQ(bucket.Whole(), 0) << "nor does its coming forward again";
  bucket.Refill(4, kStart + milliseconds(250));
  EXPECT_EQ(bucket.Whole(), 1);
}

#ifdef MILLRACE_HAS_RAPIDCHECK
// A greedy taker at moments of chance. What it got since `from` until `now` never exceeds rate x time + burst.
RC_GTEST_PROP(TokenBucketLaws, NeverMoreThanRateTimesTimePlusBurst, ()) {
  const double rate = *rc::gen::inRange(1, 10'000) / 10.0;
  const double burst = std::max(rate, 1.0);
  TokenBucket bucket;
  Time now = kStart;
  std::vector<std::pair<Time, std::int64_t>> taken;
  for (int i = 0; i < 100; ++i) {
    now += Duration(*rc::gen::inRange<std::int64_t>(0, 500'000));
    bucket.Refill(rate, now);
    const std::int64_t count = *rc::gen::inRange<std::int64_t>(0, bucket.Whole() + 1);
    bucket.Take(count);
    RC_ASSERT(bucket.tokens >= 0);
    taken.emplace_back(now, count);
    std::int64_t sum = 0;
    for (auto step = taken.rbegin(); step != taken.rend(); ++step) {
      sum += step->second;
      const double since = static_cast<double>((now - step->first).count()) / 1e6;
      RC_ASSERT(static_cast<double>(sum) <= rate * since + burst + 1e-6);
    }
  }
}

// And one that takes all it can gets nearly that much.
RC_GTEST_PROP(TokenBucketLaws, AGreedyTakerGetsTheRate, ()) {
  const double rate = *rc::gen::inRange(10, 10'000) / 10.0;
  TokenBucket bucket;
  std::int64_t sum = 0;
  const int steps = 1000;
  const Duration step = milliseconds(20);
  for (int i = 0; i <= steps; ++i) {
    bucket.Refill(rate, kStart + i * step);
    sum += bucket.Whole();
    bucket.Take(bucket.Whole());
  }
  const double expected = rate * 20 + std::max(rate, 1.0);
  RC_ASSERT(static_cast<double>(sum) <= expected + 1e-6);
  RC_ASSERT(static_cast<double>(sum) >= expected - 1.001);
}
#endif

}  // namespace
}  // namespace millrace::engine
