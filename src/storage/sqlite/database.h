// The door to SQLite: a connection and its statements as values, and SQLite's errors as ours.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "millrace/client.h"

namespace millrace::storage::sqlite {

// A prepared statement. Do not use it again inside its own rows. Bind, Step until false, then Reset (Run does it all).
// Text and blobs are bound without a copy: they must outlive the last Step. Belongs to its Database; not thread-safe.
// Whether this process may, by the rights it has now (access() asks for others): R_OK, W_OK, as for access().
bool IsAllowed(const std::string& path, int what);

class Statement : public SqlRow {
 public:
  Statement(sqlite3* db, sqlite3_stmt* handle) : db_(db), handle_(handle) {}
  ~Statement() override { sqlite3_finalize(handle_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Parameters count from 1, and are bound in the order of Bind's arguments from `first`.
  template <class... Values>
  Statement& Bind(const Values&... values) {
    int index = 0;
    (BindOne(++index, values), ...);
    return *this;
  }
  void BindOne(int index, std::int64_t value) { sqlite3_bind_int64(handle_, index, value); }
  void BindOne(int index, int value) { sqlite3_bind_int64(handle_, index, value); }
  void BindOne(int index, bool value) { sqlite3_bind_int64(handle_, index, value ? 1 : 0); }
  void BindOne(int index, double value) { sqlite3_bind_double(handle_, index, value); }
  void BindOne(int index, std::string_view value) {
    sqlite3_bind_text64(handle_, index, value.data() == nullptr ? "" : value.data(), value.size(), SQLITE_STATIC,
                        SQLITE_UTF8);
  }
  void BindOne(int index, std::nullptr_t) { sqlite3_bind_null(handle_, index); }
  void BindOne(int index, SqlBlob value) {
    sqlite3_bind_blob64(handle_, index, value.bytes.empty() ? "" : value.bytes.data(), value.bytes.size(),
                        SQLITE_STATIC);
  }
  template <class T>
  void BindOne(int index, const std::optional<T>& value) {
    if (value) {
      BindOne(index, *value);
    } else {
      BindOne(index, nullptr);
    }
  }
  void BindValue(int index, const SqlValue& value);

  // True: a row is there to be read. False: the end; the statement is reset.
  Result<bool> Step();
  // Steps to the end, ignoring rows.
  Result<void> Run();
  void Reset() { sqlite3_reset(handle_); }

  // Columns count from 0.
  [[nodiscard]] bool is_null(int column) const override { return sqlite3_column_type(handle_, column) == SQLITE_NULL; }
  [[nodiscard]] std::int64_t integer(int column) const override { return sqlite3_column_int64(handle_, column); }
  [[nodiscard]] double real(int column) const override { return sqlite3_column_double(handle_, column); }
  [[nodiscard]] std::string_view text(int column) const override;
  [[nodiscard]] int parameters() const { return sqlite3_bind_parameter_count(handle_); }

 private:
  sqlite3* db_;
  sqlite3_stmt* handle_;
};

// Resets a statement when the scope ends, so that an early return leaves no read transaction open.
class Resetting {
 public:
  explicit Resetting(Statement& statement) : statement_(statement) {}
  ~Resetting() { statement_.Reset(); }
  Resetting(const Resetting&) = delete;
  Resetting& operator=(const Resetting&) = delete;

 private:
  Statement& statement_;
};

// The latest error of a connection, in our codes. `doing` says what was tried.
Error TranslateError(sqlite3* db, int code, std::string_view doing);

// One connection. Not thread-safe: whoever owns it keeps a mutex beside it.
class Database : public SqlSession {
 public:
  // kImmutable reads the file alone, without locks or a write-ahead log: for one that nobody writes meanwhile.
  enum class Mode { kReadWriteCreate, kReadOnly, kImmutable };
  // Why a file cannot be opened so, in the operating system's own words; nothing is opened. kNotFound (also its
  // folder), kNotADatabase (not a regular file), kPermission, kReadOnly.
  static Result<void> Check(const std::string& path, Mode mode);
  // WAL, synchronous=FULL. Fails as Check, and with kNotADatabase, kReadOnly, kPermission, kDiskFull, kIo.
  static Result<std::unique_ptr<Database>> Open(const std::string& path, Mode mode);
  ~Database() override;

  // A statement prepared once and kept, by its text.
  Result<Statement*> Prepare(std::string_view sql);
  // Runs any number of statements without parameters.
  Result<void> ExecuteScript(const std::string& sql);

  // SqlSession, for the callers of transactions.
  Result<void> execute(std::string_view sql, std::span<const SqlValue> values) override;
  Result<void> query(std::string_view sql, std::span<const SqlValue> values,
                     const std::function<bool(const SqlRow&)>& row) override;
  [[nodiscard]] std::int64_t changes() const override { return sqlite3_changes64(handle_); }

  [[nodiscard]] sqlite3* handle() const { return handle_; }

 private:
  explicit Database(sqlite3* handle) : handle_(handle) {}
  Result<Statement*> PrepareBound(std::string_view sql, std::span<const SqlValue> values);

  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  sqlite3* handle_;
  std::unordered_map<std::string, std::unique_ptr<Statement>, TextHash, std::equal_to<>> statements_;
};

}  // namespace millrace::storage::sqlite
