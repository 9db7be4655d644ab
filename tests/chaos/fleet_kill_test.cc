// Workers killed every second: the books are exact at the end.
#include "support/fleet.h"

namespace millrace::tests {
namespace {

using FleetKill = FleetTest;

TEST_F(FleetKill, WorkersAreKilled) {
  const auto account = Stress(
      {"--duration", Full() ? "300s" : "20s", "--faults", "kill", "--fault-every", "1s", "--jobs-per-second", "500"});
  EXPECT_GE(Injected(account, "kill"), Full() ? 200 : 10);
  EXPECT_GT(Attempts(account, "crashed"), 0) << "no kill hit a job";
}

}  // namespace
}  // namespace millrace::tests
