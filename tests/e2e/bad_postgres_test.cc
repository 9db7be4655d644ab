// What people get wrong about a PostgreSQL: each mistake has an exit code, and a message that names the next command.
#include <sstream>

#include "storage/postgres/connection.h"
#include "storage/postgres/test_cluster.h"
#include "support/fleet.h"

namespace millrace::tests {
namespace {

using storage::postgres::TestCluster;

class BadPostgres : public FleetTest {
 protected:
  // Whoever opens the database fails with status 1 and says all of `words`.
  void ExpectError(const std::string& url, const std::vector<std::string>& words) {
    for (const std::string command : {"worker", "queues list", "enqueue try --any-kind"}) {
      std::vector<std::string> args;
      std::istringstream text(command);
      for (std::string word; text >> word;) args.push_back(word);
      args.insert(args.end(), {"--db", url});
      const Ended ended = RunMillrace(folder_.path(), args);
      EXPECT_EQ(ended.code, 1) << command << ": " << Describe(ended);
      for (const std::string& word : words) {
        EXPECT_NE(ended.err.find(word), std::string::npos) << "'" << word << "' is missing\n" << Describe(ended);
      }
      std::fprintf(stderr, "%s: %s", command.c_str(), ended.err.c_str());
    }
  }
  [[nodiscard]] std::string Database() const { return url_.substr(url_.rfind('/') + 1); }
  // In the test's own database.
  void Execute(const std::string& sql) const {
    storage::postgres::ConnectOptions options;
    options.url = url_;
    auto connection = storage::postgres::Connection::Open(options);
    ASSERT_TRUE(connection.has_value()) << connection.error().message;
    auto done = (*connection)->Script(sql);
    ASSERT_TRUE(done.has_value()) << done.error().message;
  }
  // The URL of a login of this test alone.
  [[nodiscard]] std::string Login(const std::string& name, const std::string& with) const {
    TestCluster::Get().Execute("DROP ROLE IF EXISTS " + name + "; CREATE ROLE " + name +
                               " LOGIN PASSWORD 'role-secret' " + with);
    return TestCluster::Get().Url(Database(), name, "role-secret");
  }
};

TEST_F(BadPostgres, AWrongPassword) {
  std::string url = Login("millrace_guess", "");
  url.replace(url.find("role-secret"), 11, "a-guess");
  ExpectError(url, {"password authentication failed for user 'millrace_guess'", "`millrace config show`"});
}

TEST_F(BadPostgres, ADatabaseThatIsNotThere) {
  ExpectError(TestCluster::Get().Url("millrace_nowhere"), {"millrace_nowhere", "`createdb millrace_nowhere`"});
}

TEST_F(BadPostgres, ASchemaThatIsNotThere) {
  url_ = TestCluster::Get().CreateDatabase();
  ExpectError(url_, {"lacks migration 1 (engine)", "millrace migrate up --db postgres://"});
}

TEST_F(BadPostgres, AnOlderSchema) {
  Execute("DELETE FROM millrace.schema_migration WHERE number = 2");
  ExpectError(url_, {"lacks migration 2 (documents)", "millrace migrate up --db postgres://"});
}

TEST_F(BadPostgres, ANewerSchema) {
  Execute("INSERT INTO millrace.schema_migration (number, name, breaking) VALUES (900, 'future', true)");
  ExpectError(url_, {"migration 900 (future)", "use a newer millrace", "try: millrace version"});
}

TEST_F(BadPostgres, AReadOnlyReplica) {
  TestCluster::Get().Execute("ALTER DATABASE " + Database() + " SET default_transaction_read_only = on");
  ExpectError(url_, {"read-only replica", "run the same with --db and the primary"});
}

TEST_F(BadPostgres, ALoginWithoutGrants) {
  ExpectError(Login("millrace_poor_login", ""),
              {"permission denied", "`psql -c 'GRANT millrace_worker TO millrace_poor_login'`"});
}

TEST_F(BadPostgres, ALoginThatMayNotMakeASchema) {
  url_ = TestCluster::Get().CreateDatabase();
  const Ended ended = RunMillrace(folder_.path(), {"migrate", "up", "--db", Login("millrace_guest_login", "")});
  EXPECT_EQ(ended.code, 1) << Describe(ended);
  EXPECT_NE(ended.err.find("`psql -c 'GRANT CREATE ON DATABASE " + Database() + " TO millrace_guest_login'`"),
            std::string::npos)
      << Describe(ended);
}

TEST_F(BadPostgres, TooFewConnections) {
  ExpectError(Login("millrace_none_login", "CONNECTION LIMIT 0"), {"max_connections", "`psql -c 'SELECT usename"});
}

}  // namespace
}  // namespace millrace::tests
