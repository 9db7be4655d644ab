// One process owns a SQLite file: a lock on `<db>.lock`, which says who it is, held until the process ends.
#pragma once

#include <string>

#include "millrace/error.h"

namespace millrace::storage::sqlite {

// Holds the lock until destroyed; the operating system frees it when the process dies, however it dies.
class OwnerLock {
 public:
  // Fails with kOwned, naming the owner ("process 4711, millrace worker, since 2026-..."), kPermission, kReadOnly, kIo.
  static Result<OwnerLock> Acquire(const std::string& database_path, const std::string& owner);
  OwnerLock(OwnerLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  OwnerLock& operator=(OwnerLock&& other) noexcept;
  ~OwnerLock();

 private:
  explicit OwnerLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace millrace::storage::sqlite
