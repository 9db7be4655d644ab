#include <gmock/gmock.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "storage/postgres/connection.h"
#include "storage/postgres/pg_fixture.h"

namespace millrace::storage::postgres {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class PgConnectionTest : public PgTest {};

// The three timeouts as the session (or, pooled, the transaction) has them.
std::string Timeouts(Connection& connection) {
  auto result =
      connection.Run({"timeouts",
                      "SELECT concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'), "
                      "current_setting('idle_in_transaction_session_timeout'), current_setting('jit'))"});
  return result ? std::string(result->row(0).text(0)) : result.error().message;
}

TEST_F(PgConnectionTest, TheSessionIsSetUp) {
  auto connection = Open();
  EXPECT_EQ(Timeouts(*connection), "30s 10s 1min off");
  EXPECT_EQ(Text(*connection, "SELECT current_setting('TimeZone')"), "UTC");
  EXPECT_EQ(Text(*connection, "SELECT current_setting('application_name')"), "millrace");
  EXPECT_EQ(Number(*connection, "SELECT pg_backend_pid()"), connection->backend_pid());
  EXPECT_GE(connection->server_version(), 140000);
  options_.url += "?application_name=mine&options=-c%20lock_timeout%3D1234";
  auto own = Open();
  EXPECT_EQ(Text(*own, "SELECT current_setting('application_name')"), "mine") << "what the URL says wins";
  EXPECT_EQ(Timeouts(*own), "30s 1234ms 1min off");
}

TEST_F(PgConnectionTest, APooledConnectionSetsTimeoutsForEachTransactionOnly) {
  options_.pooled = true;
  auto connection = Open();
  EXPECT_EQ(Timeouts(*connection), "30s 10s 1min off") << "one statement";
  ASSERT_TRUE(connection->Begin().has_value());
  EXPECT_EQ(Timeouts(*connection), "30s 10s 1min off") << "a transaction";
  ASSERT_TRUE(connection->Commit().has_value());
  const Query settings{"settings", "SELECT current_setting('statement_timeout')"};
  const Call calls[] = {{&settings, nullptr}, {&settings, nullptr}};
  auto results = connection->Pipeline(calls);
  ASSERT_TRUE(results.has_value()) << results.error().message;
  ASSERT_EQ(results->size(), 2U);
  EXPECT_EQ((*results)[1].row(0).text(0), "30s");
  ASSERT_TRUE(
      connection->Script("CREATE TABLE seen AS SELECT current_setting('statement_timeout') AS value").has_value());
  EXPECT_EQ(Text(*connection, "SELECT value FROM seen"), "0") << "nothing stays with the session";
}

TEST_F(PgConnectionTest, AResultHasItsRows) {
  auto connection = Open();
  auto result = connection->Run({"rows", "SELECT g, 'n' || g FROM generate_series(1, 3) g"});
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_EQ(result->rows(), 3);
  EXPECT_EQ(result->columns(), 2);
  EXPECT_EQ(result->row(2).text(1), "n3");
  Execute(*connection, "CREATE TABLE t (x int8)");
  EXPECT_EQ(connection->Run({"insert", "INSERT INTO t SELECT generate_series(1, 7)"})->affected(), 7);
  EXPECT_EQ(connection->Run({"none", "DELETE FROM t WHERE x > 100"})->affected(), 0);
}

TEST_F(PgConnectionTest, ATransactionCommitsOrRollsBack) {
  auto connection = Open();
  Execute(*connection, "CREATE TABLE t (x int8 UNIQUE)");
  ASSERT_TRUE(connection->Begin().has_value());
  EXPECT_TRUE(connection->in_transaction());
  EXPECT_EQ(connection->Begin().error().code, ErrorCode::kInternal);
  Execute(*connection, "INSERT INTO t VALUES (1)");
  ASSERT_TRUE(connection->Commit().has_value());
  EXPECT_FALSE(connection->in_transaction());
  ASSERT_TRUE(connection->Begin().has_value());
  Execute(*connection, "INSERT INTO t VALUES (2)");
  ASSERT_TRUE(connection->Rollback().has_value());
  EXPECT_TRUE(connection->Rollback().has_value()) << "without a transaction there is nothing to do";
  EXPECT_EQ(Number(*connection, "SELECT count(*) FROM t"), 1);

  ASSERT_TRUE(connection->Begin().has_value());
  EXPECT_EQ(RunError(*connection, "INSERT INTO t VALUES (1)").code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(connection->in_transaction());
  EXPECT_EQ(connection->Commit().error().code, ErrorCode::kConflict) << "it did not commit, and says so";
  EXPECT_FALSE(connection->in_transaction());
}

TEST_F(PgConnectionTest, APipelineIsOneTransaction) {
  auto connection = Open();
  Execute(*connection, "CREATE TABLE t (x int8 UNIQUE)");
  const Query insert{"insert_t", "INSERT INTO t VALUES ($1) RETURNING x"};
  const Query second{"second_insert", insert.sql};
  const Params one = std::move(Params().Int(1));
  const Params two = std::move(Params().Int(2));
  const Call good[] = {{&insert, &one}, {&second, &two}};
  auto results = connection->Pipeline(good);
  ASSERT_TRUE(results.has_value()) << results.error().message;
  ASSERT_EQ(results->size(), 2U);
  EXPECT_EQ((*results)[0].row(0).integer(0), 1);
  EXPECT_EQ((*results)[1].row(0).integer(0), 2);

  const Params three = std::move(Params().Int(3));
  const Params four = std::move(Params().Int(4));
  const Call bad[] = {{&insert, &three}, {&second, &two}, {&insert, &four}};
  results = connection->Pipeline(bad);
  ASSERT_FALSE(results.has_value());
  EXPECT_EQ(results.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(results.error().message, HasSubstr("second_insert: duplicate key"));
  EXPECT_EQ(connection->last_error().sqlstate, "23505");
  EXPECT_EQ(Number(*connection, "SELECT count(*) FROM t"), 2) << "nothing of the failed pipeline was applied";
}

TEST_F(PgConnectionTest, APipelineInATransactionIsPartOfIt) {
  auto connection = Open();
  Execute(*connection, "CREATE TABLE t (x int8)");
  ASSERT_TRUE(connection->Begin().has_value());
  const Query insert{"insert", "INSERT INTO t VALUES (1)"};
  const Call calls[] = {{&insert, nullptr}, {&insert, nullptr}};
  ASSERT_TRUE(connection->Pipeline(calls).has_value());
  EXPECT_TRUE(connection->in_transaction());
  ASSERT_TRUE(connection->Rollback().has_value());
  EXPECT_EQ(Number(*connection, "SELECT count(*) FROM t"), 0);
}

// More than the buffers of both sides hold: it must be read while it is sent.
TEST_F(PgConnectionTest, APipelineLargerThanEveryBufferDoesNotHang) {
  auto connection = Open();
  const Query echo{"echo", "SELECT $1"};
  const std::string text(256 << 10, 'x');
  const Params params = std::move(Params().Text(text));
  const std::vector<Call> calls(100, Call{&echo, &params});
  auto results = connection->Pipeline(calls);
  ASSERT_TRUE(results.has_value()) << results.error().message;
  ASSERT_EQ(results->size(), 100U);
  EXPECT_EQ(results->back().row(0).text(0), text);
}

TEST_F(PgConnectionTest, ATerminatedSessionIsBrokenAndSaysWhy) {
  auto connection = Open();
  auto other = Open();
  EXPECT_TRUE(connection->LooksAlive());
  Terminate(*other, connection->backend_pid());
  const Error error = RunError(*connection, "SELECT 1");
  EXPECT_EQ(error.code, ErrorCode::kDatabaseUnavailable);
  EXPECT_THAT(error.message, HasSubstr("terminating connection due to administrator command"));
  EXPECT_EQ(connection->last_error().sqlstate, "57P01") << error.message;
  EXPECT_TRUE(connection->broken());
  EXPECT_THAT(RunError(*connection, "SELECT 1").message, HasSubstr("is closed"));

  auto idle = Open();
  Terminate(*other, idle->backend_pid());
  EXPECT_FALSE(idle->LooksAlive()) << "seen without asking";

  auto pipelined = Open();
  Terminate(*other, pipelined->backend_pid());
  const Query one{"one", "SELECT 1"};
  const Call calls[] = {{&one, nullptr}, {&one, nullptr}};
  EXPECT_EQ(pipelined->Pipeline(calls).error().code, ErrorCode::kDatabaseUnavailable);
  EXPECT_TRUE(pipelined->broken());
}

// A server that hangs answers no cancellation either.
TEST_F(PgConnectionTest, AServerThatDoesNotAnswerIsGivenUp) {
  if (!TestCluster::Get().CanStop()) GTEST_SKIP() << "the server's processes are not ours to stop";
  options_.statement_timeout = std::chrono::milliseconds(100);
  auto connection = Open();
  const int backend = connection->backend_pid();
  ASSERT_EQ(kill(backend, SIGSTOP), 0);
  const Error error = RunError(*connection, "SELECT 1");
  kill(backend, SIGCONT);
  EXPECT_EQ(error.code, ErrorCode::kTimeout);
  EXPECT_THAT(error.message, HasSubstr("did not answer within 5100 ms"));
  EXPECT_TRUE(connection->broken());
}

TEST_F(PgConnectionTest, ConnectingCanBeStopped) {
  const int listening = socket(AF_INET, SOCK_STREAM, 0);  // accepts and never answers
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(listening, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listening, 8), 0);
  getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size);
  options_.url = "postgresql://ann@127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/jobs";
  options_.password = "hidden";
  options_.connect_timeout = std::chrono::milliseconds(50);
  const Error late = OpenError(options_);
  EXPECT_EQ(late.code, ErrorCode::kDatabaseUnavailable);
  EXPECT_THAT(late.message, HasSubstr("no answer within 50 ms"));
  EXPECT_THAT(late.message, Not(HasSubstr("hidden")));

  options_.connect_timeout = Duration(0);
  options_.cancel_fd = eventfd(1, 0);
  EXPECT_EQ(OpenError(options_).code, ErrorCode::kCancelled);
  close(options_.cancel_fd);
  close(listening);
}

TEST_F(PgConnectionTest, ASessionRunsTheCallersSql) {
  using namespace std::string_view_literals;
  auto connection = Open();
  Session session(*connection);
  ASSERT_TRUE(
      session.execute("CREATE TABLE t (i int4, r float8, s text, b bytea, n numeric, ok bool, nothing text)", {})
          .has_value());
  const SqlValue values[] = {std::int64_t{-5}, 0.25, "naïve"sv, SqlBlob{"\0\xff\\x"sv}, std::monostate{}};
  auto done =
      session.execute("INSERT INTO t VALUES ($1, $2, $3, $4, 12.5, true, $5), ($1, $2, $3, $4, 1, false, $5)", values);
  ASSERT_TRUE(done.has_value()) << done.error().message;
  EXPECT_EQ(session.changes(), 2);
  int rows = 0;
  done = session.query("SELECT i, r, s, b, n, ok, nothing, now() FROM t ORDER BY n DESC", {}, [&](const SqlRow& row) {
    ++rows;
    EXPECT_EQ(row.integer(0), -5);
    EXPECT_EQ(row.real(1), 0.25);
    EXPECT_EQ(row.text(2), "naïve");
    EXPECT_EQ(row.text(3), "\0\xff\\x"sv);
    EXPECT_EQ(row.real(4), 12.5);
    EXPECT_EQ(row.integer(4), 12);
    EXPECT_EQ(row.text(4), "12.5");
    EXPECT_EQ(row.integer(5), 1);
    EXPECT_TRUE(row.is_null(6));
    EXPECT_THAT(std::string(row.text(7)), HasSubstr("+00"));
    return false;
  });
  EXPECT_TRUE(done.has_value());
  EXPECT_EQ(rows, 1) << "false ends it";
  EXPECT_EQ(session.query("SELECT 1/0", {}, [](const SqlRow&) { return true; }).error().code,
            ErrorCode::kInvalidArgument);
}

TEST_F(PgConnectionTest, CopyIsRefused) {
  auto connection = Open();
  EXPECT_EQ(RunError(*connection, "COPY (SELECT 1) TO STDOUT").code, ErrorCode::kUnsupported);
  EXPECT_TRUE(connection->broken());
}

}  // namespace
}  // namespace millrace::storage::postgres
