// Workers that sleep past their lease and wake in the middle of a job: what they write then is refused.
#include "support/fleet.h"

namespace millrace::tests {
namespace {

using FleetStop = FleetTest;

TEST_F(FleetStop, StoppedWorkersWakeTooLateAndAreRefused) {
  const auto account = Stress({"--duration", Full() ? "90s" : "30s", "--faults", "stop", "--concurrency", "16",
                               "--work", "200ms", "--jobs-per-second", "500"});
  EXPECT_GE(Injected(account, "stop"), 3);
  EXPECT_GT(LateWrites(account, "tried"), 0) << "no late write was tried";
  EXPECT_EQ(LateWrites(account, "refused"), LateWrites(account, "tried"));
}

}  // namespace
}  // namespace millrace::tests
