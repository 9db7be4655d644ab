// Producing jobs, and doing so inside a transaction.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "millrace/job.h"
#include "millrace/options.h"

namespace millrace {

// A parameter of a statement. Views must outlive the call they are passed to.
struct SqlBlob {
  std::string_view bytes;
};
using SqlValue = std::variant<std::monostate, std::int64_t, double, std::string_view, SqlBlob>;

// One row of a result, valid only inside the callback it is passed to. Columns count from 0;
// reading a NULL gives 0 or an empty view.
class SqlRow {
 public:
  virtual ~SqlRow() = default;
  [[nodiscard]] virtual bool is_null(int column) const = 0;
  [[nodiscard]] virtual std::int64_t integer(int column) const = 0;
  [[nodiscard]] virtual double real(int column) const = 0;
  [[nodiscard]] virtual std::string_view text(int column) const = 0;  // also bytes of a blob
};

// Runs statements written in the database's own SQL. Statements are prepared once and kept, keyed
// by the text's address and length when it is a literal, so pass the same literal again.
// Not thread-safe: it belongs to the callback it was passed to.
class SqlSession {
 public:
  virtual ~SqlSession() = default;
  // Runs a statement whose rows, if any, are not wanted.
  // NOLINTNEXTLINE(google-default-arguments): the default stands here alone, no override has one
  virtual Result<void> execute(std::string_view sql, std::span<const SqlValue> values = {}) = 0;
  // Calls `row` for each row, in order, until it returns false.
  virtual Result<void> query(std::string_view sql, std::span<const SqlValue> values,
                             const std::function<bool(const SqlRow&)>& row) = 0;
  // Rows changed by the latest execute.
  [[nodiscard]] virtual std::int64_t changes() const = 0;
};

// A transaction of the engine's database, open for the length of one callback. It commits when the
// callback returns a value and rolls back when it returns an error or throws.
class Transaction {
 public:
  virtual ~Transaction() = default;
  // The caller's own statements, in the same transaction.
  [[nodiscard]] virtual SqlSession& sql() = 0;
  // Jobs that exist if, and only if, the transaction commits. Fails as Client::enqueue does.
  virtual Result<std::vector<Enqueued>> enqueue(std::span<const NewJob> jobs) = 0;
};

// Enqueues jobs into a database. Thread-safe.
//
// On SQLite one process owns the file: a Client and the Workers of the same process share it, and a
// second process is refused with kOwned.
class Client {
 public:
  // Opens (and for SQLite creates) the database. Fails with kOwned, kNotADatabase, kReadOnly,
  // kDiskFull, kDatabaseUnavailable, kSchemaOld, kSchemaNew, kPermission.
  static Result<Client> open(const StorageOptions& options);

  // Enqueues all of them or none, durably, in one transaction. Results are in the order of `jobs`.
  // Fails with kInvalidArgument (which job and field), kQueueFull (which queue, its capacity),
  // kDiskFull, kDatabaseUnavailable.
  Result<std::vector<Enqueued>> enqueue(std::span<const NewJob> jobs);
  Result<Enqueued> enqueue(const NewJob& job);

  // Runs `body` in one transaction; see Transaction. Keep it short: other writers wait. `body` uses the transaction
  // alone: a call to this Client from inside it would wait for itself.
  Result<void> transaction(const std::function<Result<void>(Transaction&)>& body);

  // Not found is kNotFound.
  Result<Job> get(JobId id);

  struct Impl;
  explicit Client(std::shared_ptr<Impl> impl);
  // The open database, to be shared with a Worker of this process.
  [[nodiscard]] const std::shared_ptr<Impl>& impl() const { return impl_; }

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace millrace
