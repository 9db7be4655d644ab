// A short stress of a fleet on PostgreSQL: workers killed, stopped past their lease, and cut off. The long ones are in
// chaos/fleet_*_test.cc.
#include "support/fleet.h"

namespace millrace::tests {
namespace {

using Fleet = FleetTest;

TEST_F(Fleet, BooksAreExactUnderEveryFaultAtOnce) {
  const auto account = Stress({"--duration", "15s", "--workers", "4", "--jobs-per-second", "300", "--faults",
                               "kill,stop,backends", "--stale-threshold", "2s", "--seed", "20260302"});
  EXPECT_GE(Injected(account, "kill"), 3);
  EXPECT_GE(Injected(account, "backends"), 3);
  EXPECT_GE(Injected(account, "stop"), 1);
}

TEST_F(Fleet, BooksOfAFileAreExactUnderKills) {
  const auto account =
      Stress({"--db", "m.db", "--duration", "5s", "--jobs-per-second", "300", "--fault-every", "300ms"});
  EXPECT_GE(Injected(account, "kill"), 2);
}

// Exact books say nothing about a fault that was not there.
TEST_F(Fleet, AFaultThatNeverHappenedIsNoSuccess) {
  const Ended ended = RunMillrace(
      folder_.path(), {"stress", "--db", "m.db", "--jobs", "50", "--json", "--fault-every", "1h", "--faults", "kill"});
  EXPECT_EQ(ended.code, 3) << Describe(ended);
  EXPECT_NE(ended.err.find("no fault 'kill' happened"), std::string::npos) << Describe(ended);
  const auto account = base::ParseJson(ended.out);
  ASSERT_TRUE(account && account->is_object()) << Describe(ended);
  EXPECT_TRUE(account->at("exact").as_bool());
  EXPECT_EQ(base::ToJson(account->at("missed_faults")), R"(["kill"])");
}

}  // namespace
}  // namespace millrace::tests
