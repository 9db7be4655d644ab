// The network between the fleet and the server is cut, without a word to either side. The fleet is in a network
// namespace of its own, the server listens on the other end of a pair of virtual interfaces.
#include <unistd.h>

#include "storage/postgres/test_cluster.h"
#include "support/fleet.h"

namespace millrace::tests {
namespace {

using storage::postgres::TestCluster;

// Runs a shell command. False: it failed.
bool Shell(const std::string& command) {
  Start start;
  start.argv = {"/bin/sh", "-c", "PATH=$PATH:/usr/sbin:/sbin; " + command};
  return RunToEnd(start).code == 0;
}

class FleetNetwork : public FleetTest {
 protected:
  static void SetUpTestSuite() {
    if (!SkipReason().empty()) return;
    const std::string ip = "ip -n " + Namespace() + " ";
    made_ =
        Shell("ip netns add " + Namespace() + " && ip link add " + Interface() + " type veth peer name eth0 netns " +
              Namespace() + " && ip address add " + Network() + ".1/24 dev " + Interface() + " && ip link set " +
              Interface() + " up && " + ip + "address add " + Network() + ".2/24 dev eth0 && " + ip +
              "link set eth0 up && " + ip + "link set lo up && ip netns exec " + Namespace() + " nft list ruleset");
    if (made_) TestCluster::Get().MoveTo(Network() + ".1");
  }
  static void TearDownTestSuite() {
    if (SkipReason().empty()) Shell("ip link delete " + Interface() + "; ip netns delete " + Namespace());
  }
  void SetUp() override {
    if (auto reason = SkipReason(); !reason.empty()) GTEST_SKIP() << reason;
    if (!made_) GTEST_SKIP() << "no network namespace can be made here (ip netns, nft): CAP_SYS_ADMIN is needed";
    FleetTest::SetUp();
    through_ = {"/usr/bin/env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "ip", "netns", "exec", Namespace()};
  }

  // Under cuts of packets to the server that match, by both sides without an answer.
  base::json::object StressCut(const std::string& match, const std::string& length) {
    const std::string rules = (folder_ / "cut.nft").string();
    WriteFile(rules, "table inet cut {\n  chain out {\n    type filter hook output priority 0;\n    " + match +
                         " tcp dport " + std::to_string(TestCluster::Get().port()) + " drop\n  }\n}\n");
    return Stress({"--duration", Full() ? "120s" : "40s", "--faults", "network", "--restart-every", "5s", "--fault-for",
                   length, "--cut-command", "nft -f '" + rules + "'", "--mend-command", "nft delete table inet cut",
                   "--jobs-per-second", "300"});
  }

 private:
  static std::string Namespace() { return "millrace-" + std::to_string(getpid()); }
  static std::string Interface() { return "mr" + std::to_string(getpid()); }
  // Of the range that is kept for tests of networks.
  static std::string Network() { return "198.18." + std::to_string(getpid() % 256); }
  static std::string SkipReason() {
    if (geteuid() != 0) return "only root can make a network namespace";
    if (!Shell("command -v ip && command -v nft")) return "ip or nft is not here: ./dev setup installs them";
    if (auto reason = TestCluster::SkipReason(); !reason.empty()) return reason;
    return TestCluster::Get().CanStop() ? "" : "the server of MILLRACE_TEST_DATABASE_URL is not ours to move";
  }
  static inline bool made_ = false;
};

TEST_F(FleetNetwork, TheServerIsOutOfReachForLongerThanALease) {
  const auto account = StressCut("", "6s");
  EXPECT_GE(Injected(account, "network"), 1);
  EXPECT_GE(Recovered(account, "network"), 1);
  EXPECT_TRUE(account.at("failed_faults").as_array().empty());
}

TEST_F(FleetNetwork, HalfOfTheConnectionsHang) {
  const auto account = StressCut("tcp sport & 2 == 2", "8s");
  EXPECT_GE(Injected(account, "network"), 1);
  EXPECT_GE(Recovered(account, "network"), 1);
  EXPECT_TRUE(account.at("failed_faults").as_array().empty());
}

}  // namespace
}  // namespace millrace::tests
