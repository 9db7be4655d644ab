// The server fails the fleet: it ends connections, crashes, and has none left.
#include "storage/postgres/test_cluster.h"
#include "support/fleet.h"

namespace millrace::tests {
namespace {

using storage::postgres::TestCluster;

using FleetServer = FleetTest;

TEST_F(FleetServer, ConnectionsAreTerminated) {
  const auto account = Stress({"--duration", Full() ? "60s" : "20s", "--faults", "backends", "--fault-every", "600ms",
                               "--jobs-per-second", "500"});
  EXPECT_GE(Injected(account, "backends"), 10);
  EXPECT_GE(Recovered(account, "backends"), 5);
}

TEST_F(FleetServer, TheServerCrashesAndComesBack) {
  if (!TestCluster::Get().CanStop()) GTEST_SKIP() << "the server of MILLRACE_TEST_DATABASE_URL is not ours to stop";
  const auto account = Stress({"--duration", Full() ? "60s" : "25s", "--faults", "restart", "--restart-every", "5s",
                               "--restart-command", TestCluster::Get().CrashCommand(), "--jobs-per-second", "500"});
  EXPECT_GE(Injected(account, "restart"), 2);
  EXPECT_GE(Recovered(account, "restart"), 1);
  EXPECT_TRUE(account.at("failed_faults").as_array().empty());
}

TEST_F(FleetServer, NoConnectionIsLeft) {
  const std::string log = (folder_ / "workers.log").string();
  const auto account = Stress({"--duration", Full() ? "90s" : "40s", "--faults", "connections,kill", "--fault-every",
                               "2s", "--restart-every", "5s", "--jobs-per-second", "300", "--log", log});
  EXPECT_GE(Injected(account, "connections"), 1);
  EXPECT_GE(Recovered(account, "connections"), 1);
  EXPECT_GE(account.at("most_idle_connections").to_number<int>(), 200);
  EXPECT_TRUE(account.at("failed_faults").as_array().empty());
  // Who finds no connection says so, and what to do.
  const std::string said = ReadFile(log);
  EXPECT_NE(said.find("max_connections"), std::string::npos) << said.substr(0, 2000);
  EXPECT_NE(said.find("exhausted"), std::string::npos);
}

}  // namespace
}  // namespace millrace::tests
