// Opening, transactions, and running statements.
#include "storage/postgres/driver.h"

#include <fmt/format.h>

#include "base/log.h"
#include "storage/postgres/driver_impl.h"
#include "storage/postgres/migrate.h"
#include "storage/postgres/url.h"

namespace millrace::storage::postgres {
namespace {

constexpr int kTries = 5;  // of a transaction that lost a race
constexpr int kHistoryDaysAhead = 3;

}  // namespace

ConnectOptions ConnectOptionsOf(const StorageOptions& options, const std::string& url) {
  ConnectOptions connect;
  connect.url = url;
  connect.password = options.password;
  return connect;
}

Result<std::unique_ptr<Storage>> OpenPostgres(const StorageOptions& options) {
  MILLRACE_TRY(CheckSchemaName(options.schema));
  PoolOptions pool;
  pool.connect = ConnectOptionsOf(options, options.url);
  pool.size = options.pool_size;
  pool.max_overflow = options.max_overflow;
  pool.timeout = options.pool_timeout;
  pool.recycle = options.pool_recycle;
  MILLRACE_TRY(CheckSchema(pool.connect, options.schema));
  const ConnectOptions listen =
      ConnectOptionsOf(options, options.listen_url.empty() ? options.url : options.listen_url);
  auto driver = std::make_unique<Driver>(options, std::move(pool), listen);
  MILLRACE_TRY(driver->Start());
  return driver;
}

// A transaction as callers of Transact see it.
class DriverTransaction : public Transaction {
 public:
  DriverTransaction(Driver& driver, Connection& connection)
      : driver_(driver), connection_(connection), session_(connection) {}
  SqlSession& sql() override { return session_; }
  Result<std::vector<Enqueued>> enqueue(std::span<const NewJob> jobs) override;
  Result<Accepted> ReportIn(const WorkerRef& worker, std::span<const Report> reports) override;
  [[nodiscard]] const Driver::Afterwards& after() const { return after_; }

 private:
  Driver& driver_;
  Connection& connection_;
  Session session_;
  Driver::Afterwards after_;
};

Driver::Driver(StorageOptions options, PoolOptions pool, ConnectOptions listen)
    : options_(std::move(options)), statements_(options_.schema), listen_(std::move(listen)), pool_(std::move(pool)) {}

Result<void> Driver::Start() {
  if (options_.configure) {
    MILLRACE_TRY(ConfigureQueues(options_.queues));
    MILLRACE_TRY(Run(statements_.make_history_partitions, Params().Int4(kHistoryDaysAhead)));
  }
  listener_ = std::make_unique<Listener>(listen_, options_.schema + "_work",
                                         [this](std::string_view payload) { OnNotification(payload); });
  return {};
}

Result<ResultSet> Driver::Run(const Query& query, const Params& params) {
  const Call call{&query, &params};
  MILLRACE_ASSIGN(std::vector<ResultSet> results, RunTogether({&call, 1}));
  return std::move(results.front());
}

Result<std::vector<ResultSet>> Driver::RunTogether(std::span<const Call> calls) {
  for (int tries = 1;; ++tries) {
    MILLRACE_ASSIGN(Pool::Lease connection, pool_.Acquire());
    auto results = connection->Pipeline(calls);
    if (results || tries == kTries || !IsRetryable(results.error())) return results;
  }
}

void Driver::FollowUp(const Afterwards& after) {
  for (const Afterwards::Freed& freed : after.freed) {
    (void)Run(statements_.wake_idle, Params().Untyped(freed.queues).Untyped(freed.priorities));
  }
  AdvanceRuns(after.runs);
}

void Driver::AdvanceRuns(const std::vector<RunId>& runs) {
  if (runs.empty()) return;
  if (const auto done = Run(statements_.advance_runs, Params().Ints(runs)); !done) {
    base::Log(base::Level::kWarn, "Runs that may be over are looked at later", {{"error", done.error().message}});
  }
}

PoolStats Driver::Connections() {
  PoolStats stats = pool_.stats();
  stats.beside = 1;  // the listener's
  return stats;
}

Result<Time> Driver::Now() {
  MILLRACE_ASSIGN(const ResultSet rows, Run(statements_.now, Params()));
  return rows.row(0).time(0);
}

Result<std::vector<Enqueued>> DriverTransaction::enqueue(std::span<const NewJob> jobs) {
  return driver_.EnqueueOn(connection_, jobs);
}

Result<Accepted> DriverTransaction::ReportIn(const WorkerRef& worker, std::span<const Report> reports) {
  return driver_.ReportOn(connection_, worker, reports, after_);
}

Result<void> Driver::Transact(const std::function<Result<void>(Transaction&)>& body) {
  Afterwards after;
  {
    MILLRACE_ASSIGN(Pool::Lease connection, pool_.Acquire());  // rolls back what a body that throws leaves open
    MILLRACE_TRY(connection->Begin());
    DriverTransaction transaction(*this, *connection);
    if (auto done = body(transaction); !done) {
      (void)connection->Rollback();
      return done;
    }
    MILLRACE_TRY(connection->Commit());
    after = transaction.after();
  }
  FollowUp(after);
  return {};
}

Result<void> Driver::Read(const std::function<Result<void>(SqlSession&)>& body) {
  MILLRACE_ASSIGN(Pool::Lease connection, pool_.Acquire());
  MILLRACE_TRY(connection->Begin());
  MILLRACE_TRY(connection->Run({"read", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"}));
  Session session(*connection);
  auto done = body(session);
  (void)connection->Rollback();
  return done;
}

}  // namespace millrace::storage::postgres
