// What is exact across the fleet stays so while workers die: partitions, limits of a queue.
#include "support/fleet.h"

namespace millrace::tests {
namespace {

using FleetLimits = FleetTest;

TEST_F(FleetLimits, PartitionsHaveOneWorkerEach) {
  const auto account = Stress({"--jobs", "20000", "--duration", "200s", "--workers", "20", "--concurrency", "2",
                               "--partitions", "200", "--partitioned", "100", "--faults", "kill"});
  EXPECT_EQ(account.at("enqueued").to_number<int>(), 20'000);
  EXPECT_GT(Attempts(account, "crashed"), 0) << "no kill hit a job";
}

TEST_F(FleetLimits, NoMoreJobsAtOnceThanTheQueueAllows) {
  const auto account = Stress({"--jobs", Full() ? "20000" : "4000", "--duration", "200s", "--workers", "4",
                               "--concurrency", "4", "--queue-concurrency", "5", "--faults", "kill"});
  EXPECT_EQ(account.at("most_at_once").to_number<int>(), 5) << "the queue's slots were never all in use";
  EXPECT_GT(Attempts(account, "crashed"), 0) << "no kill hit a job";
}

TEST_F(FleetLimits, NoMoreStartsThanTheQueuesRate) {
  const auto account = Stress({"--duration", Full() ? "60s" : "20s", "--queue-rate", "40", "--jobs-per-second", "40",
                               "--faults", "kill", "--partitions", "10"});
  EXPECT_GE(account.at("jobs_per_second").to_number<double>(), 20) << "the rate was not used";
}

}  // namespace
}  // namespace millrace::tests
