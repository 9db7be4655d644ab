#include "storage/sqlite/file_access.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "base/try.h"
#include "storage/sqlite/migrate.h"

namespace millrace::storage::sqlite {
namespace {

bool IsThere(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

// Without a log the file holds everything. With one SQLite needs the index beside it, which whoever wrote last has
// left.
Result<Database::Mode> ModeOf(const std::string& path) {
  const std::string file = FollowLinks(path);
  std::error_code missing;
  const auto log = std::filesystem::file_size(file + "-wal", missing);
  if (missing || log == 0) return Database::Mode::kImmutable;
  if (IsThere(file + "-shm")) return Database::Mode::kReadOnly;
  return fail(ErrorCode::kReadOnly,
              fmt::format("{}: what was written last stands in {}-wal, and to read that {}-shm would have to be made; "
                          "copy the file and its -wal to a folder that can be written, and look there",
                          path, file, file));
}

// What is wrong with a file whose lock this process does not have: kNotADatabase, kSchemaNew. Nothing when that cannot
// be told, or the file is not there.
Result<void> Examine(const std::string& path) {
  std::error_code none;
  if (std::filesystem::file_size(path, none) == 0 || none) return {};
  const auto database = Database::Open(path, Database::Mode::kImmutable);
  const auto seen = database ? CheckMigrated(**database) : Result<void>(fail(database.error()));
  if (seen) return {};
  const ErrorCode code = seen.error().code;
  return code == ErrorCode::kNotADatabase || code == ErrorCode::kSchemaNew ? seen : Result<void>();
}

}  // namespace

Result<OwnerLock> LockSound(const std::string& path, const std::string& owner) {
  if (auto sound = Database::Check(path, Database::Mode::kReadWriteCreate); !sound) {
    const auto shared = OwnerLock::Share(path);
    return fail(shared || shared.error().code != ErrorCode::kOwned ? sound.error() : shared.error());
  }
  // A file of something else does not get a lock beside it.
  if (!IsThere(FollowLinks(path) + ".lock")) MILLRACE_TRY(Examine(path));
  auto lock = OwnerLock::Acquire(path, owner);
  if (!lock && lock.error().code != ErrorCode::kOwned) MILLRACE_TRY(Examine(path));
  return lock;
}

bool CanBeOwned(const std::string& path) {
  const std::string file = FollowLinks(path);
  const auto folder = std::filesystem::path(file).parent_path();
  if (!IsAllowed(folder.empty() ? "." : folder.string(), W_OK)) return false;
  for (const char* suffix : {"", ".lock", "-wal", "-shm"}) {
    if (IsThere(file + suffix) && !IsAllowed(file + suffix, W_OK)) return false;
  }
  return true;
}

Result<ReadOnlyFile> OpenReadOnly(const std::string& path) {
  MILLRACE_TRY(Database::Check(path, Database::Mode::kReadOnly));
  MILLRACE_ASSIGN(OwnerLock lock, OwnerLock::Share(path));
  MILLRACE_ASSIGN(const Database::Mode mode, ModeOf(path));
  MILLRACE_ASSIGN(auto database, Database::Open(path, mode));
  return ReadOnlyFile{std::move(lock), mode, std::move(database)};
}

}  // namespace millrace::storage::sqlite
