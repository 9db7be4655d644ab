// A real server's failures, in our codes.
#include <gmock/gmock.h>

#include "storage/postgres/errors.h"
#include "storage/postgres/pg_fixture.h"

namespace millrace::storage::postgres {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class PgErrorsTest : public PgTest {
 protected:
  // A role of this test alone; its password is "role-secret".
  std::string Role(const std::string& name, const std::string& with) {
    TestCluster::Get().Execute("DROP ROLE IF EXISTS " + name + "; CREATE ROLE " + name +
                               " LOGIN PASSWORD 'role-secret' " + with);
    return TestCluster::Get().Url(Database(), name, "role-secret");
  }
  std::unique_ptr<Connection> OpenUrl(const std::string& url) {
    ConnectOptions options = options_;
    options.url = url;
    return OpenWith(options);
  }
};

TEST_F(PgErrorsTest, AWrongPassword) {
  Role("millrace_wrong", "");
  options_.url = TestCluster::Get().Url(Database(), "millrace_wrong", "hidden-guess");
  const Error error = OpenError(options_);
  EXPECT_EQ(error.code, ErrorCode::kPermission);
  EXPECT_THAT(error.message, HasSubstr("password authentication failed for user 'millrace_wrong' at "));
  EXPECT_THAT(error.message, Not(HasSubstr("hidden-guess")));
  options_.password = "role-secret";
  EXPECT_TRUE(Connection::Open(options_).has_value()) << "the password apart from the URL wins";
}

TEST_F(PgErrorsTest, AMissingDatabase) {
  options_.url = TestCluster::Get().Url("millrace_nowhere");
  const Error error = OpenError(options_);
  EXPECT_EQ(error.code, ErrorCode::kNotFound);
  EXPECT_THAT(error.message, HasSubstr("createdb millrace_nowhere"));
}

TEST_F(PgErrorsTest, NoServerThere) {
  options_.url = "postgresql://ann@127.0.0.1:1/jobs";
  options_.password = "hidden";
  const Error error = OpenError(options_);
  EXPECT_EQ(error.code, ErrorCode::kDatabaseUnavailable);
  EXPECT_THAT(error.message, HasSubstr("127.0.0.1:1/jobs"));
  EXPECT_THAT(error.message, Not(HasSubstr("hidden")));
  options_.url = "postgresql://ann:hidden/x@127.0.0.1/jobs";
  EXPECT_THAT(OpenError(options_).message, Not(HasSubstr("hidden")));
}

TEST_F(PgErrorsTest, TooManyConnections) {
  const std::string url = Role("millrace_few", "CONNECTION LIMIT 1");
  auto first = OpenUrl(url);
  options_.url = url;
  const Error error = OpenError(options_);
  EXPECT_EQ(error.code, ErrorCode::kDatabaseUnavailable);
  EXPECT_THAT(error.message, HasSubstr("too many connections for role"));
  EXPECT_THAT(error.message, HasSubstr("max_connections"));
}

TEST_F(PgErrorsTest, AMissingGrant) {
  Execute(*Open(), "CREATE TABLE t (x int8)");
  const Error error = RunError(*OpenUrl(Role("millrace_poor", "")), "SELECT * FROM t");
  EXPECT_EQ(error.code, ErrorCode::kPermission);
  EXPECT_THAT(error.message, HasSubstr("permission denied for table t"));
  EXPECT_THAT(error.message, HasSubstr("run `psql -c 'GRANT millrace_worker TO millrace_poor'`"));
}

TEST_F(PgErrorsTest, AMissingTableFunctionOrSchema) {
  auto connection = Open();
  for (const char* sql : {"SELECT * FROM nothing", "SELECT nothing(1)", "CREATE TABLE nothing.t ()"}) {
    const Error error = RunError(*connection, sql);
    EXPECT_EQ(error.code, ErrorCode::kSchemaOld) << sql;
    EXPECT_THAT(error.message, HasSubstr("run `millrace migrate up --db postgresql://"));
    EXPECT_THAT(error.message, HasSubstr(Database()));
  }
  EXPECT_FALSE(connection->broken());
}

TEST_F(PgErrorsTest, AReadOnlyTransaction) {
  auto connection = Open();
  Execute(*connection, "SET default_transaction_read_only = on");
  EXPECT_EQ(RunError(*connection, "CREATE TABLE t ()").code, ErrorCode::kReadOnly);
}

TEST_F(PgErrorsTest, ALockNotGotInTime) {
  auto holder = Open();
  Execute(*holder, "CREATE TABLE t (x int8)");
  ASSERT_TRUE(holder->Begin().has_value());
  Execute(*holder, "LOCK TABLE t");
  options_.lock_timeout = std::chrono::milliseconds(20);
  auto waiter = Open();
  const Error error = RunError(*waiter, "SELECT * FROM t");
  EXPECT_EQ(error.code, ErrorCode::kDatabaseUnavailable);
  EXPECT_TRUE(IsRetryable(error)) << error.message;
  EXPECT_TRUE(waiter->last_error().retryable);
  EXPECT_FALSE(waiter->broken());
}

TEST_F(PgErrorsTest, AStatementThatTakesTooLong) {
  options_.statement_timeout = std::chrono::milliseconds(20);
  for (const bool pooled : {false, true}) {
    options_.pooled = pooled;
    auto connection = Open();
    const Error error = RunError(*connection, "SELECT pg_sleep(60)");
    EXPECT_EQ(error.code, ErrorCode::kTimeout) << pooled;
    EXPECT_THAT(error.message, HasSubstr("statement timeout"));
    EXPECT_FALSE(connection->broken());
    EXPECT_EQ(Number(*connection, "SELECT 1"), 1);
  }
}

TEST_F(PgErrorsTest, ASerializationFailure) {
  auto one = Open();
  auto two = Open();
  Execute(*one, "CREATE TABLE t (x int8); INSERT INTO t VALUES (1)");
  Execute(*one, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM t");
  Execute(*two, "UPDATE t SET x = 2");
  const Error error = RunError(*one, "UPDATE t SET x = 3");
  EXPECT_TRUE(IsRetryable(error)) << error.message;
}

TEST_F(PgErrorsTest, BadDataAndTheEnginesOwnErrors) {
  auto connection = Open();
  EXPECT_EQ(RunError(*connection, "SELECT 'x'::int").code, ErrorCode::kInvalidArgument);
  Execute(*connection, "CREATE TABLE t (x int8 UNIQUE); INSERT INTO t VALUES (1)");
  const Error duplicate = RunError(*connection, "INSERT INTO t VALUES (1)");
  EXPECT_EQ(duplicate.code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(duplicate.message, HasSubstr("Key (x)=(1) already exists"));
  Execute(*connection,
          "CREATE FUNCTION full_queue() RETURNS int LANGUAGE plpgsql AS $$ BEGIN "
          "RAISE EXCEPTION 'queue ''mail'' is full' USING ERRCODE = 'MR001'; END $$");
  const Error full = RunError(*connection, "SELECT full_queue()");
  EXPECT_EQ(full.code, ErrorCode::kQueueFull);
  EXPECT_EQ(full.message, "queue 'mail' is full");
}

TEST_F(PgErrorsTest, AServerThatIsDown) {
  if (!TestCluster::Get().CanStop()) GTEST_SKIP() << "the server is not ours to stop";
  auto connection = Open();
  TestCluster::Get().Stop(true);
  EXPECT_EQ(RunError(*connection, "SELECT 1").code, ErrorCode::kDatabaseUnavailable);
  EXPECT_TRUE(connection->broken());
  EXPECT_EQ(OpenError(options_).code, ErrorCode::kDatabaseUnavailable);
  TestCluster::Get().Start();
  EXPECT_EQ(Number(*Open(), "SELECT 1"), 1);
}

}  // namespace
}  // namespace millrace::storage::postgres
