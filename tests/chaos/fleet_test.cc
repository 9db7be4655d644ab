// A fleet of worker processes on PostgreSQL under each fault by itself, with an exact account each time.
#include "support/fleet.h"

#include <unistd.h>

#include <optional>

#include "storage/postgres/connection.h"
#include "storage/postgres/test_cluster.h"
#include "storage/postgres/url.h"

namespace millrace::tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using storage::postgres::Connection;
using storage::postgres::TestCluster;

using FleetChaos = FleetTest;

std::string Length(int usual, int full) { return std::to_string(Full() ? full : usual) + "s"; }

TEST_F(FleetChaos, WorkersAreKilled) {
  const auto account =
      Stress({"--duration", Length(20, 300), "--faults", "kill", "--fault-every", "300ms", "--jobs-per-second", "500"});
  EXPECT_GE(Injected(account, "kill"), 20);
  EXPECT_GT(Attempts(account, "crashed"), 0) << "no kill hit a job";
}

TEST_F(FleetChaos, ConnectionsAreTerminated) {
  const auto account = Stress(
      {"--duration", Length(20, 60), "--faults", "backends", "--fault-every", "200ms", "--jobs-per-second", "500"});
  EXPECT_GE(Injected(account, "backends"), 20);
}

TEST_F(FleetChaos, StoppedWorkersWakeTooLateAndAreRefused) {
  const auto account =
      Stress({"--duration", Length(20, 60), "--faults", "stop", "--concurrency", "16", "--jobs-per-second", "500"});
  EXPECT_GE(Injected(account, "stop"), 2);
  EXPECT_GT(account.at("refused_late_writes").to_number<std::int64_t>(), 0) << "no late write was tried";
}

TEST_F(FleetChaos, TheServerCrashesAndComesBack) {
  if (!TestCluster::Get().CanStop()) GTEST_SKIP() << "the server of MILLRACE_TEST_DATABASE_URL is not ours to stop";
  Stress({"--duration", "25s", "--faults", "none", "--jobs-per-second", "500"}, [](Child& child) {
    for (int round = 0; round < 3; ++round) {
      ASSERT_FALSE(child.WaitForExit(seconds(5)));
      TestCluster::Get().Stop(true);
      ASSERT_FALSE(child.WaitForExit(milliseconds(500)));
      TestCluster::Get().Start();
    }
  });
}

TEST_F(FleetChaos, AServerWithoutFreeConnections) {
  Stress({"--duration", "20s", "--faults", "kill", "--jobs-per-second", "300"}, [this](Child& child) {
    ASSERT_FALSE(child.WaitForExit(seconds(4)));
    std::vector<std::unique_ptr<Connection>> idle;
    storage::postgres::ConnectOptions options;
    options.url = url_;
    for (int i = 0; i < 300; ++i) {
      if (auto connection = Connection::Open(options)) idle.push_back(std::move(*connection));
    }
    EXPECT_LT(idle.size(), 300u) << "the server had room for all";
    ASSERT_FALSE(child.WaitForExit(seconds(5)));
  });
}

TEST_F(FleetChaos, PartitionsHaveOneWorkerEach) {
  const auto account = Stress({"--duration", Length(25, 60), "--workers", "20", "--concurrency", "2", "--partitions",
                               "200", "--faults", "kill", "--jobs-per-second", "800"});
  EXPECT_GT(Attempts(account, "crashed"), 0) << "no kill hit a job";
  EXPECT_GE(account.at("enqueued").to_number<std::int64_t>(), 5000);
}

// A PgBouncer of the test's own before the database.
class Bouncer {
 public:
  Bouncer(const TempDir& folder, const std::string& url) : port_(21'000 + getpid() % 20'000) {
    const auto target = storage::postgres::ParseUrl(url).value();
    WriteFile(folder / "users.txt", "\"" + target.endpoint.user + "\" \"" + target.password + "\"\n");
    WriteFile(folder / "bouncer.ini",
              "[databases]\n* = host=" + target.endpoint.host + " port=" + target.endpoint.port +
                  "\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port=" + std::to_string(port_) +
                  "\nunix_socket_dir=\nauth_type=plain\nauth_file=" + (folder / "users.txt").string() +
                  "\npool_mode=transaction\ndefault_pool_size=20\nmax_client_conn=1000\nserver_idle_timeout=5\n");
    std::filesystem::permissions(folder.path(),
                                 std::filesystem::perms::others_exec | std::filesystem::perms::others_read,
                                 std::filesystem::perm_options::add);
    Start start;
    start.argv = {"/usr/sbin/pgbouncer"};
    if (getuid() == 0) start.argv.insert(start.argv.end(), {"-u", "postgres"});
    start.argv.push_back((folder / "bouncer.ini").string());
    process_.emplace(start);
    url_ = "postgresql://" + target.endpoint.user + ":" + target.password + "@127.0.0.1:" + std::to_string(port_) +
           "/" + target.endpoint.database;
  }
  static std::string SkipReason() {
    return std::filesystem::exists("/usr/sbin/pgbouncer") ? ""
                                                          : "there is no /usr/sbin/pgbouncer: ./dev setup installs it";
  }
  bool Serves() { return process_->WaitForText("process up", seconds(20)); }
  [[nodiscard]] const std::string& url() const { return url_; }

 private:
  int port_;
  std::string url_;
  std::optional<Child> process_;
};

TEST_F(FleetChaos, ThroughATransactionPool) {
  if (auto reason = Bouncer::SkipReason(); !reason.empty()) GTEST_SKIP() << reason;
  Bouncer bouncer(folder_, url_);
  ASSERT_TRUE(bouncer.Serves());
  Stress({"--duration", "20s", "--faults", "kill", "--jobs-per-second", "300", "--db", bouncer.url()});
}

}  // namespace
}  // namespace millrace::tests
