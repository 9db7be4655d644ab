#include "cli/schema.h"

#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include "base/try.h"
#include "storage/postgres/migrate.h"
#include "storage/sqlite/file_access.h"
#include "storage/sqlite/migrate.h"

namespace millrace::cli {
namespace {

namespace postgres = storage::postgres;
namespace sqlite = storage::sqlite;

template <class Status>
std::vector<SchemaStep> StepsOf(const std::vector<Status>& migrations) {
  std::vector<SchemaStep> steps;
  for (const auto& one : migrations) steps.push_back({one.number, one.name, one.known, one.applied, one.breaking});
  return steps;
}

// The file as it is; owned, unless it is only read.
class FileSchema : public Schema {
 public:
  static Result<std::unique_ptr<Schema>> Open(const std::string& path, For purpose) {
    std::error_code ignored;
    if (purpose != For::kCreating && !std::filesystem::exists(path, ignored))
      return fail(ErrorCode::kNotFound, fmt::format("there is no database {}", path));
    auto file = std::make_unique<FileSchema>();
    const bool reading = purpose == For::kReading;
    const auto done = reading && !sqlite::CanBeOwned(path) ? file->OpenToRead(path) : file->OpenToOwn(path);
    if (done) return file;
    // A schema in use can be read beside its owner.
    if (!reading || done.error().code != ErrorCode::kOwned) return fail(done.error());
    MILLRACE_ASSIGN(file->database_, sqlite::Database::Open(path, sqlite::Database::Mode::kReadOnly));
    return file;
  }

  Result<std::vector<SchemaStep>> Steps() override {
    MILLRACE_ASSIGN(const auto migrations, sqlite::ReadMigrations(*database_));
    return StepsOf(migrations);
  }
  Result<void> Up(int target) override { return sqlite::MigrateUp(*database_, target); }
  Result<void> Down(int target) override { return sqlite::MigrateDown(*database_, target); }
  Result<void> Validate() override { return sqlite::ValidateSchema(*database_); }

 private:
  Result<void> OpenToOwn(const std::string& path) {
    MILLRACE_ASSIGN(lock_, sqlite::LockSound(path, "millrace migrate"));
    MILLRACE_ASSIGN(database_, sqlite::Database::Open(path, sqlite::Database::Mode::kReadWriteCreate));
    return {};
  }
  Result<void> OpenToRead(const std::string& path) {
    MILLRACE_ASSIGN(sqlite::ReadOnlyFile file, sqlite::OpenReadOnly(path));
    lock_ = std::move(file.lock);
    database_ = std::move(file.database);
    return {};
  }

  std::optional<sqlite::OwnerLock> lock_;
  std::unique_ptr<sqlite::Database> database_;
};

class PostgresSchema : public Schema {
 public:
  static Result<std::unique_ptr<Schema>> Open(const StorageOptions& options) {
    postgres::ConnectOptions connect;
    connect.url = options.url;
    connect.password = options.password;
    auto schema = std::make_unique<PostgresSchema>();
    MILLRACE_ASSIGN(schema->connection_, postgres::Connection::Open(connect));
    schema->name_ = options.schema;
    return schema;
  }

  Result<std::vector<SchemaStep>> Steps() override {
    MILLRACE_ASSIGN(const auto migrations, postgres::ReadMigrations(*connection_, name_));
    return StepsOf(migrations);
  }
  Result<void> Up(int target) override { return postgres::MigrateUp(*connection_, name_, target); }
  Result<void> Down(int target) override { return postgres::MigrateDown(*connection_, name_, target); }
  Result<void> Validate() override { return postgres::ValidateSchema(*connection_, name_); }

 private:
  std::unique_ptr<postgres::Connection> connection_;
  std::string name_;
};

}  // namespace

Result<std::unique_ptr<Schema>> Schema::Open(const runtime::Config& config, For purpose) {
  return config.IsPostgres() ? PostgresSchema::Open(config.storage()) : FileSchema::Open(config.database(), purpose);
}

}  // namespace millrace::cli
