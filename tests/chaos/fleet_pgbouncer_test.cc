// A fleet behind a PgBouncer in transaction mode, under faults.
#include <unistd.h>

#include <optional>
#include <thread>

#include "storage/postgres/connection.h"
#include "storage/postgres/test_cluster.h"
#include "storage/postgres/url.h"
#include "support/fleet.h"

namespace millrace::tests {
namespace {

using std::chrono::seconds;
using FleetPgBouncer = FleetTest;

// A PgBouncer of the test's own before the database.
class Bouncer {
 public:
  Bouncer(const TempDir& folder, const std::string& url) : port_(21'000 + getpid() % 20'000) {
    const auto target = storage::postgres::ParseUrl(url).value();
    WriteFile(folder / "users.txt", "\"" + target.endpoint.user + "\" \"" + target.password + "\"\n");
    WriteFile(
        folder / "bouncer.ini",
        "[databases]\n* = host=" + target.endpoint.host + " port=" + target.endpoint.port +
            "\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port=" + std::to_string(port_) +
            "\nunix_socket_dir=\nauth_type=plain\nauth_file=" + (folder / "users.txt").string() +
            "\npool_mode=transaction\ndefault_pool_size=20\nmax_client_conn=1000\nserver_idle_timeout=5\nlogfile=" +
            (folder / "bouncer.log").string() + "\n");
    std::filesystem::permissions(folder.path(), std::filesystem::perms::others_all, std::filesystem::perm_options::add);
    Start start;
    start.argv = {"/usr/sbin/pgbouncer", "-q"};  // a pipe that nobody reads would stop it
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
  // Waits for it.
  [[nodiscard]] bool Serves() const {
    const auto give_up = std::chrono::steady_clock::now() + seconds(20);
    storage::postgres::ConnectOptions options;
    options.url = url_;
    while (!storage::postgres::Connection::Open(options)) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return true;
  }
  [[nodiscard]] const std::string& url() const { return url_; }

 private:
  int port_;
  std::string url_;
  std::optional<Child> process_;
};

TEST_F(FleetPgBouncer, ThroughATransactionPool) {
  if (auto reason = Bouncer::SkipReason(); !reason.empty()) GTEST_SKIP() << reason;
  Bouncer bouncer(folder_, url_);
  ASSERT_TRUE(bouncer.Serves());
  const auto account = Stress({"--duration", Full() ? "60s" : "20s", "--faults", "kill,backends", "--jobs-per-second",
                               "300", "--db", bouncer.url()});
  EXPECT_GE(Injected(account, "kill"), 5);
  EXPECT_GE(Injected(account, "backends"), 5);
}

}  // namespace
}  // namespace millrace::tests
