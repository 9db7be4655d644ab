#include "storage/sqlite/owner_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/clock.h"

namespace millrace::storage::sqlite {
namespace {

// What the owner wrote about itself; it may be writing right now, so an empty text is no error.
std::string ReadOwner(int fd) {
  std::array<char, 512> buffer{};
  const ssize_t size = pread(fd, buffer.data(), buffer.size(), 0);
  std::string text(buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.empty() ? "another process" : text;
}

}  // namespace

Result<OwnerLock> OwnerLock::Acquire(const std::string& database_path, const std::string& owner) {
  const std::string path = database_path + ".lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) {
    const ErrorCode code = errno == EROFS    ? ErrorCode::kReadOnly
                           : errno == EACCES ? ErrorCode::kPermission
                           : errno == ENOSPC ? ErrorCode::kDiskFull
                                             : ErrorCode::kIo;
    return fail(code, fmt::format("{}: cannot create the lock file: {}", path, std::strerror(errno)));
  }
  OwnerLock lock(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return fail(ErrorCode::kOwned,
                fmt::format("{} is owned by {}; stop it, or send commands through its socket {}.sock", database_path,
                            ReadOwner(fd), database_path));
  }
  const std::string text =
      fmt::format("process {}, {}, since {}\n", getpid(), owner.empty() ? "a Millrace program" : owner,
                  base::FormatTime(base::Clock::System().Now()));
  // The lock holds even when the text does not fit on a full disk.
  if (ftruncate(fd, 0) == 0 && pwrite(fd, text.data(), text.size(), 0) < 0) return lock;
  return lock;
}

OwnerLock& OwnerLock::operator=(OwnerLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

OwnerLock::~OwnerLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace millrace::storage::sqlite
