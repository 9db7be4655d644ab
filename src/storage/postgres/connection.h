// The door to PostgreSQL: one connection, statements and their results as values, PostgreSQL's errors as ours.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/client.h"
#include "storage/postgres/errors.h"
#include "storage/postgres/params.h"

namespace millrace::storage::postgres {

// A statement and the name it has in metrics and messages. Placeholders are $1, $2 and so on.
struct Query {
  std::string_view name;
  std::string sql;
};

// One statement of a pipeline. Both must outlive the call.
struct Call {
  const Query* query = nullptr;
  const Params* params = nullptr;  // nullptr: no parameters
};

// The rows one statement returned, in memory. Move-only. Views into it are valid while it lives.
class ResultSet {
 public:
  // One row. Columns count from 0; reading a NULL gives 0, false or an empty view. A column whose type a reader does
  // not know reads as 0.
  class Row : public SqlRow {
   public:
    Row(const PGresult* result, int row) : result_(result), row_(row) {}
    [[nodiscard]] bool is_null(int column) const override;
    // int2, int4, int8, bool, oid, numeric and floats (truncated), and timestamptz as microseconds since the Unix
    // epoch. In text format: a number, t or f.
    [[nodiscard]] std::int64_t integer(int column) const override;
    [[nodiscard]] double real(int column) const override;
    // Text, JSON, names, and the bytes of a bytea. In binary format other types are not readable as text.
    [[nodiscard]] std::string_view text(int column) const override;
    [[nodiscard]] bool boolean(int column) const { return integer(column) != 0; }
    [[nodiscard]] Time time(int column) const { return Time(Duration(integer(column))); }

   private:
    const PGresult* result_;
    int row_;
  };

  ResultSet() = default;
  explicit ResultSet(PGresult* result) : result_(result) {}

  [[nodiscard]] int rows() const { return PQntuples(result_.get()); }
  [[nodiscard]] int columns() const { return PQnfields(result_.get()); }
  [[nodiscard]] bool empty() const { return rows() == 0; }
  [[nodiscard]] Row row(int index) const { return {result_.get(), index}; }
  // Rows the statement inserted, updated, deleted or returned.
  [[nodiscard]] std::int64_t affected() const;
  [[nodiscard]] PGresult* get() const { return result_.get(); }

 private:
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  std::unique_ptr<PGresult, Clear> result_;
};

struct ConnectOptions {
  std::string url;                                        // see ParseUrl
  std::string password;                                   // wins over one in the url; empty: that, or libpq's own
  Duration connect_timeout = std::chrono::seconds(10);    // 0: none
  Duration statement_timeout = std::chrono::seconds(30);  // 0: none
  Duration lock_timeout = std::chrono::seconds(10);       // 0: none
  Duration idle_in_transaction_timeout = std::chrono::seconds(60);  // 0: none
  std::string application_name = "millrace";
  // Behind a PgBouncer that pools transactions: nothing is set for the session, and each transaction sets the timeouts
  // for itself.
  bool pooled = false;
  int cancel_fd = -1;  // gives up connecting when this can be read; -1: nothing does
};

// One connection. Not thread-safe: one thread at a time. Statements are sent unnamed (nothing is left prepared on the
// server) and results come in binary. Each statement's time is counted by its name. Every failure of the connection
// itself makes it broken(): from then on each call fails with kDatabaseUnavailable, and the owner drops it. Destroying
// it closes it; an open transaction rolls back.
class Connection {
 public:
  // Connects, with keepalives (10 s idle, every 5 s, 3 times; 20 s for unacknowledged data) unless the URL sets them,
  // the time zone UTC, no JIT, and the three timeouts. A server that refuses start-up options is taken to be a
  // PgBouncer: the connection then acts as if `pooled` were set. Fails with kInvalidArgument (URL), kPermission
  // (password), kNotFound (no such database), kUnsupported (older than PostgreSQL 14), kCancelled (cancel_fd),
  // kDatabaseUnavailable. Blocks for at most connect_timeout, and as long as the system's look-up of host names takes.
  static Result<std::unique_ptr<Connection>> Open(const ConnectOptions& options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Runs one statement: in the open transaction, or in one of its own. Fails with what Translate says; kTimeout when
  // the server cancelled it (statement_timeout), and when the server did not answer 5 s after that (the connection is
  // then broken); kInvalidArgument for params with an error.
  Result<ResultSet> Run(const Query& query, const Params& params);
  Result<ResultSet> Run(const Query& query) { return Run(query, Params()); }

  // Sends all calls at once and waits once: in the open transaction, or together in one of their own. Results are in
  // the order of the calls. The first error is returned; nothing of the pipeline was applied then (inside an open
  // transaction: it can only be rolled back). No call may be BEGIN, COMMIT or the like.
  Result<std::vector<ResultSet>> Pipeline(std::span<const Call> calls);
  // The two halves of Pipeline, to do other things while the server works. Between them the connection takes no other
  // call. After an error of Send: no Receive.
  Result<void> Send(std::span<const Call> calls);
  Result<std::vector<ResultSet>> Receive(std::span<const Call> calls);

  // Runs any number of statements without parameters, together in one transaction unless they contain their own.
  Result<void> Script(std::string_view sql);

  // Opens a transaction (READ COMMITTED). kInternal when one is open.
  Result<void> Begin();
  // Commits. An error says nothing was committed, except kDatabaseUnavailable: then it may have been. A transaction in
  // which a statement failed is rolled back by this and is kConflict.
  Result<void> Commit();
  // Rolls back. Without an open transaction: does nothing.
  Result<void> Rollback();
  // As the server said last: true from Begin to Commit or Rollback, also when a statement failed in it.
  [[nodiscard]] bool in_transaction() const;

  [[nodiscard]] bool broken() const { return broken_; }
  // Without asking the server: false when it closed the connection, and when broken. Also notices notifications.
  [[nodiscard]] bool LooksAlive();
  [[nodiscard]] int server_version() const { return PQserverVersion(conn_.get()); }  // 150004 is 15.4
  [[nodiscard]] int backend_pid() const { return PQbackendPID(conn_.get()); }
  [[nodiscard]] bool pooled() const { return options_.pooled; }
  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }
  // The latest failure, with its SQLSTATE.
  [[nodiscard]] const PgError& last_error() const { return last_error_; }

  // For those who wait for notifications: the socket to poll, and the call that reads what came and passes each
  // notification on. Fails with kDatabaseUnavailable when the connection is gone.
  [[nodiscard]] int socket() const { return PQsocket(conn_.get()); }
  Result<void> ReadNotifications(const std::function<void(std::string_view channel, std::string_view payload)>& each);

  // Inner calls of Session: as Run, with results in text format when `binary` is false.
  Result<ResultSet> RunText(const Query& query, const Params& params);

 private:
  struct Finish {
    void operator()(PGconn* conn) const { PQfinish(conn); }
  };
  using Deadline = std::chrono::steady_clock::time_point;

  Connection(PGconn* conn, ConnectOptions options);
  static Result<std::unique_ptr<Connection>> OpenOnce(const ConnectOptions& options, bool* refused_options);
  Result<void> WaitUntilConnected();
  Result<void> CheckServer();

  Result<void> CheckUsable(std::string_view doing);
  Result<ResultSet> RunOne(const Query& query, const Params& params, bool binary);
  Result<void> SendCall(const Query& query, const Params& params, bool binary);
  Result<std::vector<ResultSet>> RunPipeline(std::span<const Call> calls, bool binary);
  Result<void> StartPipeline(std::span<const Call> calls, bool binary);
  Result<void> SendPipeline(std::span<const Call> calls, bool binary);
  Result<std::vector<ResultSet>> ReadPipeline(std::span<const Call> calls);
  Result<PGresult*> NextResult(std::string_view doing, Deadline deadline);
  Result<ResultSet> LastResult(std::string_view doing);
  Result<void> Flush(std::string_view doing, Deadline deadline);
  Result<void> WaitFor(short events, std::string_view doing, Deadline deadline);
  Result<void> Simple(const std::string& sql, std::string_view doing);
  [[nodiscard]] Deadline NewDeadline() const;
  // The server has answered this statement: how long that took goes to the process's metrics.
  void Answered(std::string_view name);
  tl::unexpected<Error> Remember(PgError error);
  tl::unexpected<Error> FailResult(const PGresult* result, std::string_view doing);
  tl::unexpected<Error> Lost(std::string_view doing);
  tl::unexpected<Error> GiveUp(std::string_view doing);

  std::unique_ptr<PGconn, Finish> conn_;
  ConnectOptions options_;
  Endpoint endpoint_;
  Query settings_;                               // pooled: sets the timeouts for one transaction
  bool with_settings_ = false;                   // the pipeline under way began with those
  std::chrono::steady_clock::time_point since_;  // when the statement whose answer is due was sent, or the one before
                                                 // it in its pipeline was answered
  PgError last_error_;
  bool broken_ = false;
};

// The caller's own SQL on a Connection, which must outlive it. Integers, reals and texts are sent as text without a
// type, so that the server takes the type from where they stand; blobs as bytea. Not thread-safe.
class Session : public SqlSession {
 public:
  explicit Session(Connection& connection) : connection_(connection) {}
  Result<void> execute(std::string_view sql, std::span<const SqlValue> values) override;
  Result<void> query(std::string_view sql, std::span<const SqlValue> values,
                     const std::function<bool(const SqlRow&)>& row) override;
  [[nodiscard]] std::int64_t changes() const override { return changes_; }

 private:
  Result<ResultSet> RunValues(std::string_view sql, std::span<const SqlValue> values);

  Connection& connection_;
  std::int64_t changes_ = 0;
};

}  // namespace millrace::storage::postgres
