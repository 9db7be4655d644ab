// One process owns a SQLite file: a lock on `<db>.lock`, which says who it is, and one on the file itself, for those
// who name it by a hard link or removed `<db>.lock`. Both are held until the process ends.
#pragma once

#include <string>
#include <utility>

#include "millrace/error.h"

namespace millrace::storage::sqlite {

// Where a path leads that is a symbolic link, or a link to one; else the path as it is. The file itself need not exist.
// `.lock` and `.sock` stand beside what this returns, so that a database has one of each whatever link names it.
std::string FollowLinks(const std::string& path);

// What the owner of a database, or the last one there was, says of itself: "process 4711, millrace worker, since ..";
// empty when there is none. No lock is taken.
std::string OwnerOf(const std::string& database_path);

// Holds the locks until destroyed; the operating system frees them when the process dies, however it dies. To be
// destroyed after all connections of this process to the file: to close any descriptor of it drops SQLite's locks.
class OwnerLock {
 public:
  // Fails with kOwned, naming the owner ("process 4711, millrace worker, since 2026-..."), kPermission, kReadOnly, kIo
  // (among them: a file system without locks).
  static Result<OwnerLock> Acquire(const std::string& database_path, const std::string& owner);
  // The same locks, shared with others that only read, so that no owner begins meanwhile. Writes nothing and needs no
  // right to write; what cannot be opened for reading is not locked. kOwned.
  static Result<OwnerLock> Share(const std::string& database_path);
  // Locks the file itself, which did not exist at Acquire. Does nothing when it is locked, or not there yet. kOwned.
  Result<void> LockFile(const std::string& database_path);
  OwnerLock(OwnerLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)), file_(std::exchange(other.file_, -1)) {}
  OwnerLock& operator=(OwnerLock&& other) noexcept;
  ~OwnerLock();

 private:
  explicit OwnerLock(int fd) : fd_(fd) {}
  int fd_ = -1;    // of <db>.lock
  int file_ = -1;  // of the database
};

}  // namespace millrace::storage::sqlite
