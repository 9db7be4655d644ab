#include "runtime/fetcher.h"

#include <gtest/gtest.h>

namespace millrace::runtime {
namespace {

Executor::Load LoadOf(int slots, int running, int queued, double seconds) { return {slots, running, queued, seconds}; }

TEST(FetcherTest, ClaimsOnlyFreeSlotsUntilDurationsAreKnown) {
  const Fetcher fetcher({}, {"w", 1});
  EXPECT_EQ(fetcher.Request(LoadOf(4, 0, 0, 0)).max_jobs, 4);
  EXPECT_EQ(fetcher.Request(LoadOf(4, 3, 0, 0)).max_jobs, 1);
  EXPECT_EQ(fetcher.Request(LoadOf(4, 4, 0, 0)).max_jobs, 0);
}

TEST(FetcherTest, HoldsAboutFiftyMillisecondsOfWork) {
  const Fetcher fetcher({}, {"w", 1});
  // 1 ms a job: 50 jobs a slot beside the slot itself.
  EXPECT_EQ(fetcher.Request(LoadOf(2, 0, 0, 0.001)).max_jobs, 2 + 100);
  // 10 s a job: nothing is held.
  EXPECT_EQ(fetcher.Request(LoadOf(2, 1, 0, 10)).max_jobs, 1);
  EXPECT_EQ(fetcher.Request(LoadOf(2, 2, 0, 10)).max_jobs, 0);
  // Very short jobs: bounded all the same.
  EXPECT_LE(fetcher.Request(LoadOf(2, 0, 0, 1e-9)).max_jobs, 4002);
}

TEST(FetcherTest, WaitsUntilHalfIsUsedUpSoThatClaimsStayLarge) {
  const Fetcher fetcher({}, {"w", 1});
  EXPECT_EQ(fetcher.Request(LoadOf(2, 2, 60, 0.001)).max_jobs, 0);
  EXPECT_GT(fetcher.Request(LoadOf(2, 2, 40, 0.001)).max_jobs, 50);
}

TEST(FetcherTest, JobsOfPartitionsAndLimitedQueuesAreNeverPrefetched) {
  const Fetcher fetcher({}, {"w", 1});
  const auto request = fetcher.Request(LoadOf(4, 1, 0, 0.001));
  EXPECT_GT(request.max_jobs, 100);
  EXPECT_EQ(request.max_held, 3);
}

TEST(FetcherTest, StopsAtMaxJobs) {
  WorkerOptions options;
  options.max_jobs = 5;
  Fetcher fetcher(options, {"w", 1});
  EXPECT_EQ(fetcher.Request(LoadOf(8, 0, 0, 0)).max_jobs, 5);
  fetcher.Claimed(3);
  EXPECT_EQ(fetcher.Request(LoadOf(8, 0, 0, 0)).max_jobs, 2);
  EXPECT_FALSE(fetcher.Exhausted());
  fetcher.Claimed(2);
  EXPECT_TRUE(fetcher.Exhausted());
  EXPECT_EQ(fetcher.Request(LoadOf(8, 0, 0, 0)).max_jobs, 0);
}

TEST(FetcherTest, TheSchedulerSwitchTurnsClaimsOff) {
  WorkerOptions options;
  options.scheduler_enabled = false;
  const Fetcher fetcher(options, {"w", 1});
  EXPECT_EQ(fetcher.Request(LoadOf(8, 0, 0, 0)).max_jobs, 0);
}

TEST(FetcherTest, FiltersAreExact) {
  WorkerOptions options;
  options.queues = {"mail"};
  options.priorities = {Priority::kCritical, Priority::kHigh};
  const auto request = Fetcher(options, {"w", 1}).Request(LoadOf(1, 0, 0, 0));
  EXPECT_EQ(request.queues, std::vector<std::string>{"mail"});
  EXPECT_TRUE(request.priorities.Has(Priority::kHigh));
  EXPECT_FALSE(request.priorities.Has(Priority::kDefault));
}

}  // namespace
}  // namespace millrace::runtime
