#include "storage/sqlite/owner_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/clock.h"
#include "base/try.h"

namespace millrace::storage::sqlite {
namespace {

// What the owner wrote about itself; it may be writing right now, so an empty text is no error.
std::string ReadOwner(int fd) {
  std::array<char, 512> buffer{};
  const ssize_t size = pread(fd, buffer.data(), buffer.size(), 0);
  std::string text(buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::string Named(std::string owner) { return owner.empty() ? "another process" : owner; }

constexpr int kReadFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;  // a pipe must not hold us

// 0, or why not. `how`: LOCK_EX or LOCK_SH.
int Lock(int fd, int how = LOCK_EX) {
  while (flock(fd, how | LOCK_NB) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

Error Owned(const std::string& database_path, const std::string& database, int fd) {
  return {ErrorCode::kOwned, fmt::format("{} is owned by {}; stop it, or send commands through its socket {}.sock",
                                         database_path, Named(ReadOwner(fd)), database)};
}

Error OwnedUnderAnotherName(const std::string& database_path) {
  return {ErrorCode::kOwned,
          fmt::format("{} is open in another process, under another name (it is a hard link) or without its .lock "
                      "file (it was removed); stop that process: fuser {} tells which it is",
                      database_path, database_path)};
}

// Where flock takes the very locks that SQLite needs of the same file.
bool IsNetworkFile(int fd) {
  struct statfs info {};
  if (fstatfs(fd, &info) != 0) return false;
  const auto type = static_cast<std::uint32_t>(info.f_type);
  return type == NFS_SUPER_MAGIC || type == CIFS_SUPER_MAGIC || type == SMB_SUPER_MAGIC || type == SMB2_SUPER_MAGIC;
}

}  // namespace

std::string FollowLinks(const std::string& path) {
  constexpr int kMostLinks = 40;  // as the system does
  std::filesystem::path at = path;
  std::error_code error;
  for (int i = 0; i < kMostLinks && std::filesystem::is_symlink(at, error); ++i) {
    const auto target = std::filesystem::read_symlink(at, error);
    if (error) break;
    at = at.parent_path() / target;  // an absolute target stands alone
  }
  return at.string();
}

std::string OwnerOf(const std::string& database_path) {
  const int fd = open((FollowLinks(database_path) + ".lock").c_str(), kReadFlags);
  if (fd < 0) return "";
  std::string owner = ReadOwner(fd);
  close(fd);
  return owner;
}

Result<OwnerLock> OwnerLock::Acquire(const std::string& database_path, const std::string& owner) {
  const std::string database = FollowLinks(database_path);
  const std::string path = database + ".lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) {
    const ErrorCode code = errno == EROFS    ? ErrorCode::kReadOnly
                           : errno == EACCES ? ErrorCode::kPermission
                           : errno == ENOSPC ? ErrorCode::kDiskFull
                                             : ErrorCode::kIo;
    return fail(code, fmt::format("{}: cannot create the lock file: {}", path, std::strerror(errno)));
  }
  OwnerLock lock(fd);
  if (const int error = Lock(fd); error == EWOULDBLOCK) {
    // Those who read share it, and the name in it is of the last owner.
    if (Lock(fd, LOCK_SH) != 0) return fail(Owned(database_path, database, fd));
    return fail(
        ErrorCode::kOwned,
        fmt::format("{} is being read by a process that may not write it; try again when it has ended", database_path));
  } else if (error != 0) {
    return fail(ErrorCode::kIo,
                fmt::format("{}: cannot be locked: {}; put the database on a local disk", path, std::strerror(error)));
  }
  MILLRACE_TRY(lock.LockFile(database));
  const std::string text =
      fmt::format("process {}, {}, since {}\n", getpid(), owner.empty() ? "a Millrace program" : owner,
                  base::FormatTime(base::Clock::System().Now()));
  // The lock holds even when the text does not fit on a full disk.
  if (ftruncate(fd, 0) == 0 && pwrite(fd, text.data(), text.size(), 0) < 0) return lock;
  return lock;
}

Result<OwnerLock> OwnerLock::Share(const std::string& database_path) {
  const std::string database = FollowLinks(database_path);
  OwnerLock lock(open((database + ".lock").c_str(), kReadFlags));
  if (lock.fd_ >= 0 && Lock(lock.fd_, LOCK_SH) == EWOULDBLOCK) return fail(Owned(database_path, database, lock.fd_));
  lock.file_ = open(database.c_str(), kReadFlags);
  if (lock.file_ >= 0 && !IsNetworkFile(lock.file_) && Lock(lock.file_, LOCK_SH) == EWOULDBLOCK)
    return fail(OwnedUnderAnotherName(database_path));
  return lock;
}

Result<void> OwnerLock::LockFile(const std::string& database_path) {
  if (file_ >= 0) return {};
  // What is wrong with a file that cannot be opened so, SQLite tells. A pipe must not hold us.
  file_ = open(database_path.c_str(), O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (file_ < 0 || IsNetworkFile(file_) || Lock(file_) != EWOULDBLOCK) return {};
  return fail(OwnedUnderAnotherName(database_path));
}

OwnerLock& OwnerLock::operator=(OwnerLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(file_, other.file_);
  return *this;
}

OwnerLock::~OwnerLock() {
  if (file_ >= 0) close(file_);
  if (fd_ >= 0) close(fd_);
}

}  // namespace millrace::storage::sqlite
