// How a process comes by a file: it owns it, or it only reads one that it may not write.
#pragma once

#include <memory>
#include <string>

#include "storage/sqlite/database.h"
#include "storage/sqlite/owner_lock.h"

namespace millrace::storage::sqlite {

// The owner's lock of a file that seems sound. What is wrong with the file is told rather than that its lock cannot be
// had, unless it has an owner. Fails as OwnerLock::Acquire and Database::Check, and with kNotADatabase and kSchemaNew.
Result<OwnerLock> LockSound(const std::string& path, const std::string& owner);

// Whether an existing file can be owned: whether this process may write it, its folder, and what stands beside it.
bool CanBeOwned(const std::string& path);

// A file open for reading, and the lock that keeps owners out meanwhile.
struct ReadOnlyFile {
  OwnerLock lock;
  Database::Mode mode;  // for further connections, as long as the lock is held
  std::unique_ptr<Database> database;
};

// Makes and changes nothing. What stands in the write-ahead log is read too: kReadOnly when that is impossible, saying
// what to do. Fails with kOwned as OwnerLock::Share, and as Database::Open.
Result<ReadOnlyFile> OpenReadOnly(const std::string& path);

}  // namespace millrace::storage::sqlite
