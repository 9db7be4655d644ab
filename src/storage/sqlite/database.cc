#include "storage/sqlite/database.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/try.h"
#include "storage/sqlite/owner_lock.h"

namespace millrace::storage::sqlite {
namespace {

ErrorCode CodeOf(int code) {
  switch (code & 0xff) {
    case SQLITE_NOTADB:
      return ErrorCode::kNotADatabase;
    case SQLITE_READONLY:
      return ErrorCode::kReadOnly;
    case SQLITE_FULL:
      return ErrorCode::kDiskFull;
    case SQLITE_CORRUPT:
      return ErrorCode::kCorrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_CANTOPEN:
      return ErrorCode::kDatabaseUnavailable;
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return ErrorCode::kPermission;
    case SQLITE_CONSTRAINT:
      return ErrorCode::kConflict;
    case SQLITE_TOOBIG:
      return ErrorCode::kLimitExceeded;
    case SQLITE_IOERR:
      return ErrorCode::kIo;
    default:
      return ErrorCode::kInternal;
  }
}

std::string_view Advice(ErrorCode code) {
  switch (code) {
    case ErrorCode::kDiskFull:
      return "; free space on its file system and try again, nothing was lost";
    case ErrorCode::kNotADatabase:
      return "; choose another --db path";
    case ErrorCode::kReadOnly:
      return "; make the file and its folder writable";
    case ErrorCode::kCorrupt:
      return "; restore the file from a backup";
    default:
      return "";
  }
}

// The path as SQLite's URI, for a file that nobody writes.
std::string ImmutableUri(const std::string& path) {
  std::string uri = path.starts_with('/') ? "file://" : "file:";  // what follows two slashes would be an authority
  for (const char c : path) {
    if (c == '%' || c == '?' || c == '#') {
      uri += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    } else {
      uri += c;
    }
  }
  return uri + "?immutable=1";
}

}  // namespace

bool IsAllowed(const std::string& path, int what) { return faccessat(AT_FDCWD, path.c_str(), what, AT_EACCESS) == 0; }

Error TranslateError(sqlite3* db, int code, std::string_view doing) {
  const ErrorCode ours = CodeOf(code);
  const char* file = db == nullptr ? nullptr : sqlite3_db_filename(db, "main");
  std::string_view text = db == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db);
  if (ours == ErrorCode::kNotADatabase) text = "the file is not a database";
  return Error{ours, fmt::format("{}: {}: {}{}", file == nullptr ? "sqlite" : file, doing, text, Advice(ours))};
}

void Statement::BindValue(int index, const SqlValue& value) {
  std::visit(
      [&](const auto& held) {
        if constexpr (std::is_same_v<std::decay_t<decltype(held)>, std::monostate>) {
          BindOne(index, nullptr);
        } else {
          BindOne(index, held);
        }
      },
      value);
}

Result<bool> Statement::Step() {
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    sqlite3_reset(handle_);
    return false;
  }
  Error error = TranslateError(db_, code, "running a statement");
  sqlite3_reset(handle_);
  return fail(std::move(error));
}

Result<void> Statement::Run() {
  while (true) {
    MILLRACE_ASSIGN(const bool row, Step());
    if (!row) return {};
  }
}

std::string_view Statement::text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(handle_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

Result<void> Database::Check(const std::string& path, Mode mode) {
  if (path == ":memory:") return {};
  const auto folder = std::filesystem::path(FollowLinks(path)).parent_path();
  std::error_code ignored;
  if (!folder.empty() && !std::filesystem::is_directory(folder, ignored)) {
    return fail(ErrorCode::kNotFound,
                fmt::format("{}: the folder {} does not exist; create it first", path, folder.string()));
  }
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    if (mode != Mode::kReadWriteCreate) return fail(ErrorCode::kNotFound, fmt::format("{}: no such file", path));
    if (IsAllowed(folder.empty() ? "." : folder.string(), W_OK)) return {};
    const ErrorCode code = errno == EROFS ? ErrorCode::kReadOnly : ErrorCode::kPermission;
    return fail(code, fmt::format("{}: cannot create it: {}", path, std::strerror(errno)));
  }
  if (!S_ISREG(info.st_mode))
    return fail(ErrorCode::kNotADatabase, fmt::format("{}: not a regular file; choose another --db path", path));
  if (!IsAllowed(path, R_OK))
    return fail(ErrorCode::kPermission, fmt::format("{}: cannot read it: {}", path, std::strerror(errno)));
  if (mode != Mode::kReadWriteCreate) return {};
  const bool file = IsAllowed(path, W_OK);
  if (file && IsAllowed(folder.empty() ? "." : folder.string(), W_OK)) return {};
  return fail(ErrorCode::kReadOnly, fmt::format("{}: cannot write {}: {}; make the file and its folder writable", path,
                                                file ? "in its folder" : "it", std::strerror(errno)));
}

Result<std::unique_ptr<Database>> Database::Open(const std::string& path, Mode mode) {
  MILLRACE_TRY(Check(path, mode));
  // SQLite's own allocation statistics cost a process-wide lock per allocation. Refused, harmlessly, when the program
  // that uses this library has initialised SQLite already.
  static const int configured = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  (void)configured;
  sqlite3* handle = nullptr;
  const bool immutable = mode == Mode::kImmutable;
  const int access = mode == Mode::kReadWriteCreate ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
  const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | access | (immutable ? SQLITE_OPEN_URI : 0);
  const int code = sqlite3_open_v2((immutable ? ImmutableUri(path) : path).c_str(), &handle, flags, nullptr);
  std::unique_ptr<Database> database(new Database(handle));
  if (code != SQLITE_OK) return fail(TranslateError(handle, code, "opening"));
  sqlite3_busy_timeout(handle, 5000);
  // Pages of a job row are rewritten soon after they were written, so a cache of some MB saves most reads; the log is
  // checkpointed by the writer itself, when it has grown to 16 MiB.
  MILLRACE_TRY(database->ExecuteScript("PRAGMA cache_size=-16384; PRAGMA foreign_keys=OFF; PRAGMA temp_store=MEMORY;"));
  if (mode == Mode::kReadWriteCreate) {
    MILLRACE_TRY(
        database->ExecuteScript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=4096;"
                                "PRAGMA journal_size_limit=67108864;"));
  }
  return database;
}

Database::~Database() {
  statements_.clear();
  sqlite3_close(handle_);
}

Result<Statement*> Database::Prepare(std::string_view sql) {
  constexpr std::size_t kMostKept = 500;  // callers' literals are few; texts made on the fly must not pile up
  if (auto found = statements_.find(sql); found != statements_.end()) return found->second.get();
  if (statements_.size() >= kMostKept) statements_.clear();
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                      &handle, nullptr);
  if (code != SQLITE_OK)
    return fail(TranslateError(handle_, code, fmt::format("preparing \"{}\"", sql.substr(0, 200))));
  if (handle == nullptr) return fail(ErrorCode::kInvalidArgument, "the SQL text holds no statement");
  auto made = std::make_unique<Statement>(handle_, handle);
  return statements_.emplace(std::string(sql), std::move(made)).first->second.get();
}

Result<void> Database::ExecuteScript(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return fail(TranslateError(handle_, code, "running a script"));
  return {};
}

Result<Statement*> Database::PrepareBound(std::string_view sql, std::span<const SqlValue> values) {
  MILLRACE_ASSIGN(Statement * statement, Prepare(sql));
  if (static_cast<std::size_t>(statement->parameters()) != values.size()) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("\"{}\" has {} parameters, {} were given", sql.substr(0, 200),
                                                         statement->parameters(), values.size()));
  }
  for (std::size_t i = 0; i < values.size(); ++i) statement->BindValue(static_cast<int>(i) + 1, values[i]);
  return statement;
}

Result<void> Database::execute(std::string_view sql, std::span<const SqlValue> values) {
  MILLRACE_ASSIGN(Statement * statement, PrepareBound(sql, values));
  return statement->Run();
}

Result<void> Database::query(std::string_view sql, std::span<const SqlValue> values,
                             const std::function<bool(const SqlRow&)>& row) {
  MILLRACE_ASSIGN(Statement * statement, PrepareBound(sql, values));
  const Resetting resetting(*statement);
  while (true) {
    MILLRACE_ASSIGN(const bool found, statement->Step());
    if (!found || !row(*statement)) return {};
  }
}

}  // namespace millrace::storage::sqlite
