#include "storage/postgres/connection.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/metrics.h"
#include "base/try.h"

namespace millrace::storage::postgres {
namespace {

using Clock = std::chrono::steady_clock;

// How much longer than statement_timeout we wait for the server to say so.
constexpr auto kGrace = std::chrono::seconds(5);
constexpr Oid kBytea = 17;

std::string Field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? "" : text;
}

bool IsOk(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY;
}

bool IsCopy(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

// A blob in text format is written in hexadecimal; readers want its bytes.
void DecodeBlobs(PGresult* result) {
  for (int column = 0; column < PQnfields(result); ++column) {
    if (PQftype(result, column) != kBytea || PQfformat(result, column) != 0) continue;
    for (int row = 0; row < PQntuples(result); ++row) {
      if (PQgetisnull(result, row, column) != 0) continue;
      std::size_t length = 0;
      const auto* text = reinterpret_cast<const unsigned char*>(PQgetvalue(result, row, column));
      const std::unique_ptr<unsigned char, void (*)(void*)> bytes(PQunescapeBytea(text, &length), &PQfreemem);
      if (bytes == nullptr) continue;
      PQsetvalue(result, row, column, reinterpret_cast<char*>(bytes.get()), static_cast<int>(length));
    }
  }
}

const Params& NoParams() {
  static const Params none;
  return none;
}

const Params& ParamsOf(const Call& call) { return call.params == nullptr ? NoParams() : *call.params; }

}  // namespace

// ---- Failures -----------------------------------------------------------------------------------

tl::unexpected<Error> Connection::Remember(PgError error) {
  last_error_ = std::move(error);
  return fail(last_error_.error);
}

tl::unexpected<Error> Connection::FailResult(const PGresult* result, std::string_view doing) {
  if (PQstatus(conn_.get()) == CONNECTION_BAD) broken_ = true;
  const std::string state = Field(result, PG_DIAG_SQLSTATE);
  if (state.empty()) {
    broken_ = true;  // not the server's answer: libpq itself could not go on
    return Remember(ConnectionLost(PQresultErrorMessage(result), doing, endpoint_));
  }
  std::string message = Field(result, PG_DIAG_MESSAGE_PRIMARY);
  const std::string detail = Field(result, PG_DIAG_MESSAGE_DETAIL);
  if (!detail.empty() && !state.starts_with("MR")) message += ": " + detail;
  return Remember(Translate(state, message, doing, endpoint_));
}

tl::unexpected<Error> Connection::Lost(std::string_view doing) {
  broken_ = true;
  const std::string message = PQerrorMessage(conn_.get());
  // The server's last word (it is shutting down, say) may have arrived before the end. Only then: on an open connection
  // PQgetResult would wait.
  while (PQstatus(conn_.get()) == CONNECTION_BAD) {
    const ResultSet last(PQgetResult(conn_.get()));
    if (last.get() == nullptr || IsCopy(last.get())) break;
    if (!Field(last.get(), PG_DIAG_SQLSTATE).empty()) return FailResult(last.get(), doing);
  }
  return Remember(ConnectionLost(message, doing, endpoint_));
}

tl::unexpected<Error> Connection::GiveUp(std::string_view doing) {
  broken_ = true;
  const std::unique_ptr<PGcancel, void (*)(PGcancel*)> cancel(PQgetCancel(conn_.get()), &PQfreeCancel);
  std::array<char, 256> ignored{};
  if (cancel != nullptr) PQcancel(cancel.get(), ignored.data(), ignored.size());
  const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(options_.statement_timeout + kGrace);
  return Remember({{ErrorCode::kTimeout, std::string(doing) + ": PostgreSQL at " + endpoint_.Place() +
                                             " did not answer within " + std::to_string(waited.count()) +
                                             " ms; asked it to cancel and dropped the connection"}});
}

Result<void> Connection::CheckUsable(std::string_view doing) {
  if (PQstatus(conn_.get()) == CONNECTION_BAD) broken_ = true;
  if (!broken_) return {};
  return fail(ErrorCode::kDatabaseUnavailable,
              std::string(doing) + ": the connection to PostgreSQL at " + endpoint_.Place() + " is closed");
}

// ---- Waiting ------------------------------------------------------------------------------------

Connection::Deadline Connection::NewDeadline() const {
  if (options_.statement_timeout.count() <= 0) return Deadline::max();
  return Clock::now() + options_.statement_timeout + kGrace;
}

Result<void> Connection::WaitFor(short events, std::string_view doing, Deadline deadline) {
  while (true) {
    int timeout = -1;
    if (deadline != Deadline::max()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
      if (left <= 0) return GiveUp(doing);
      timeout = static_cast<int>(std::min<std::int64_t>(left, 3'600'000));
    }
    pollfd fd = {socket(), events, 0};
    const int ready = poll(&fd, 1, timeout);
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return Lost(doing);
  }
}

Result<void> Connection::Flush(std::string_view doing, Deadline deadline) {
  while (true) {
    const int more = PQflush(conn_.get());
    if (more == 0) return {};
    if (more < 0) return Lost(doing);
    // The server may be waiting for us to read before it reads on.
    MILLRACE_TRY(WaitFor(POLLIN | POLLOUT, doing, deadline));
    if (PQconsumeInput(conn_.get()) == 0) return Lost(doing);
  }
}

Result<PGresult*> Connection::NextResult(std::string_view doing, Deadline deadline) {
  while (PQisBusy(conn_.get()) != 0) {
    MILLRACE_TRY(WaitFor(POLLIN, doing, deadline));
    if (PQconsumeInput(conn_.get()) == 0) return Lost(doing);
  }
  return PQgetResult(conn_.get());
}

// Reads to the end of what one statement or script answers: the first error, or the last result.
Result<ResultSet> Connection::LastResult(std::string_view doing) {
  ResultSet last;
  std::optional<Error> error;
  MILLRACE_TRY(Flush(doing, NewDeadline()));
  while (true) {
    MILLRACE_ASSIGN(PGresult * next, NextResult(doing, NewDeadline()));
    if (next == nullptr) break;
    ResultSet result(next);
    if (IsCopy(next)) {
      broken_ = true;
      return fail(ErrorCode::kUnsupported, std::string(doing) + ": COPY to or from the client is not supported here");
    }
    if (IsOk(next)) {
      last = std::move(result);
    } else if (!error) {
      error = FailResult(next, doing).value();
    }
  }
  if (PQstatus(conn_.get()) == CONNECTION_BAD) broken_ = true;
  if (error) return fail(std::move(*error));
  return last;
}

void Connection::Answered(std::string_view name) {
  const auto now = Clock::now();
  base::Metrics::Process().ObserveQuery(name, std::chrono::duration<double>(now - since_).count());
  since_ = now;
}

// ---- Statements ---------------------------------------------------------------------------------

Result<void> Connection::SendCall(const Query& query, const Params& params, bool binary) {
  const Params::Wire wire = params.wire();
  const int sent = PQsendQueryParams(conn_.get(), query.sql.c_str(), params.size(), wire.types.data(),
                                     wire.values.data(), wire.lengths.data(), wire.formats.data(), binary ? 1 : 0);
  if (sent == 0) return Lost(query.name);
  return {};
}

Result<void> CheckParams(const Query& query, const Params& params) {
  if (params.size() > 65535) {
    return fail(ErrorCode::kInvalidArgument, std::string(query.name) + ": more than 65535 parameters; pass arrays");
  }
  if (!params.error().empty()) {
    return fail(ErrorCode::kInvalidArgument, std::string(query.name) + ": " + params.error());
  }
  return {};
}

Result<ResultSet> Connection::RunOne(const Query& query, const Params& params, bool binary) {
  if (options_.pooled && !in_transaction()) {
    const Call call{&query, &params};
    MILLRACE_ASSIGN(auto results, RunPipeline({&call, 1}, binary));
    return std::move(results.front());
  }
  MILLRACE_TRY(CheckUsable(query.name));
  MILLRACE_TRY(CheckParams(query, params));
  since_ = Clock::now();
  MILLRACE_TRY(SendCall(query, params, binary));
  auto result = LastResult(query.name);
  Answered(query.name);
  return result;
}

Result<ResultSet> Connection::Run(const Query& query, const Params& params) { return RunOne(query, params, true); }

Result<ResultSet> Connection::RunText(const Query& query, const Params& params) {
  MILLRACE_ASSIGN(ResultSet result, RunOne(query, params, false));
  DecodeBlobs(result.get());
  return result;
}

Result<std::vector<ResultSet>> Connection::Pipeline(std::span<const Call> calls) { return RunPipeline(calls, true); }

Result<void> Connection::Send(std::span<const Call> calls) { return StartPipeline(calls, true); }

Result<std::vector<ResultSet>> Connection::RunPipeline(std::span<const Call> calls, bool binary) {
  if (calls.empty()) return std::vector<ResultSet>();
  MILLRACE_TRY(StartPipeline(calls, binary));
  return Receive(calls);
}

Result<void> Connection::StartPipeline(std::span<const Call> calls, bool binary) {
  MILLRACE_TRY(CheckUsable(calls.front().query->name));
  for (const Call& call : calls) MILLRACE_TRY(CheckParams(*call.query, ParamsOf(call)));
  // The same transaction carries the timeouts that a pooled session may not keep.
  with_settings_ = options_.pooled && !in_transaction();
  if (!with_settings_) return SendPipeline(calls, binary);
  std::vector<Call> all(calls.begin(), calls.end());
  all.insert(all.begin(), Call{&settings_, nullptr});
  return SendPipeline(all, binary);
}

Result<std::vector<ResultSet>> Connection::Receive(std::span<const Call> calls) {
  if (!with_settings_) return ReadPipeline(calls);
  std::vector<Call> all(calls.begin(), calls.end());
  all.insert(all.begin(), Call{&settings_, nullptr});
  MILLRACE_ASSIGN(auto results, ReadPipeline(all));
  results.erase(results.begin());
  return results;
}

Result<void> Connection::SendPipeline(std::span<const Call> calls, bool binary) {
  const std::string_view doing = calls.front().query->name;
  if (PQenterPipelineMode(conn_.get()) == 0) return Lost(doing);
  since_ = Clock::now();
  for (const Call& call : calls) MILLRACE_TRY(SendCall(*call.query, ParamsOf(call), binary));
  if (PQpipelineSync(conn_.get()) == 0) return Lost(doing);
  return Flush(doing, NewDeadline());
}

Result<std::vector<ResultSet>> Connection::ReadPipeline(std::span<const Call> calls) {
  std::vector<ResultSet> results;
  std::optional<Error> error;
  std::size_t at = 0;
  while (true) {
    const std::string_view doing = calls[std::min(at, calls.size() - 1)].query->name;
    MILLRACE_ASSIGN(PGresult * next, NextResult(doing, NewDeadline()));
    if (next == nullptr) {  // the end of one call's results
      if (PQstatus(conn_.get()) == CONNECTION_BAD) break;
      ++at;
      continue;
    }
    ResultSet result(next);
    if (PQresultStatus(next) == PGRES_PIPELINE_SYNC) break;
    if (IsOk(next)) {
      Answered(doing);
      results.push_back(std::move(result));
    } else if (!error && PQresultStatus(next) != PGRES_PIPELINE_ABORTED) {
      Answered(doing);
      error = FailResult(next, doing).value();
    }
  }
  const std::string_view doing = calls.back().query->name;
  if (PQstatus(conn_.get()) == CONNECTION_BAD || PQexitPipelineMode(conn_.get()) == 0) broken_ = true;
  if (error) return fail(std::move(*error));
  if (broken_ || results.size() != calls.size()) return Lost(doing);
  return results;
}

Result<void> Connection::Simple(const std::string& sql, std::string_view doing) {
  MILLRACE_TRY(CheckUsable(doing));
  since_ = Clock::now();
  if (PQsendQuery(conn_.get(), sql.c_str()) == 0) return Lost(doing);
  MILLRACE_TRY(LastResult(doing));
  Answered(doing);
  return {};
}

Result<void> Connection::Script(std::string_view sql) {
  if (sql.find('\0') != std::string_view::npos) {
    return fail(ErrorCode::kInvalidArgument, "script: it has a NUL byte, which SQL cannot have");
  }
  return Simple(std::string(sql), "script");
}

// ---- Transactions -------------------------------------------------------------------------------

Result<void> Connection::Begin() {
  if (in_transaction()) return fail(ErrorCode::kInternal, "begin: a transaction is open on this connection");
  std::string sql = "BEGIN ISOLATION LEVEL READ COMMITTED";
  if (options_.pooled) sql += "; " + settings_.sql;
  return Simple(sql, "begin");
}

Result<void> Connection::Commit() {
  MILLRACE_TRY(CheckUsable("commit"));
  const bool failed = PQtransactionStatus(conn_.get()) == PQTRANS_INERROR;
  MILLRACE_TRY(Simple("COMMIT", "commit"));
  // The server answers COMMIT of a failed transaction with ROLLBACK, and no error.
  if (failed) return fail(ErrorCode::kConflict, "commit: a statement had failed; the transaction was rolled back");
  return {};
}

Result<void> Connection::Rollback() {
  if (!in_transaction()) return {};
  return Simple("ROLLBACK", "rollback");
}

bool Connection::in_transaction() const {
  const PGTransactionStatusType status = PQtransactionStatus(conn_.get());
  return status != PQTRANS_IDLE && status != PQTRANS_UNKNOWN;
}

// ---- What the server sends by itself --------------------------------------------------------------

bool Connection::LooksAlive() {
  // Twice at most: first a parting message, then the end.
  for (int round = 0; round < 4 && !broken_; ++round) {
    pollfd fd = {socket(), POLLIN, 0};
    if (poll(&fd, 1, 0) <= 0) break;
    if (PQconsumeInput(conn_.get()) == 0) broken_ = true;
    if (PQstatus(conn_.get()) == CONNECTION_BAD) broken_ = true;
  }
  return !broken_;
}

Result<void> Connection::ReadNotifications(
    const std::function<void(std::string_view channel, std::string_view payload)>& each) {
  MILLRACE_TRY(CheckUsable("listen"));
  const bool alive = PQconsumeInput(conn_.get()) != 0;
  while (PGnotify* notify = PQnotifies(conn_.get())) {
    const std::unique_ptr<PGnotify, void (*)(void*)> owned(notify, &PQfreemem);
    each(notify->relname, notify->extra);
  }
  if (!alive) return Lost("listen");
  return {};
}

}  // namespace millrace::storage::postgres
