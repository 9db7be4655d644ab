// The SQLite driver: one process owns the file and does all writes through one connection under one mutex.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "storage/storage.h"

namespace millrace::storage::sqlite {

// Opens or creates the file at options.url: says what is wrong with it before anything else, takes its owner lock,
// brings the schema up to date, and gives back what a process that died was running (one crash each). The clock must
// outlive the storage. Fails with kOwned, kNotADatabase, kReadOnly, kPermission, kDiskFull, kSchemaNew, kNotFound (its
// folder), kIo.
Result<std::unique_ptr<Storage>> OpenSqlite(const StorageOptions& options,
                                            const base::Clock& clock = base::Clock::System());

// Opens an existing file to look: as OpenSqlite where that may be, else for reading only, which changes and makes
// nothing. Then every call that writes fails with kReadOnly, jobs that became due since the last owner ended show as
// scheduled, and those of a worker that died as running. Fails as OpenSqlite and OpenReadOnly (file_access.h), and with
// kSchemaOld, for what may not be written cannot be brought up to date.
Result<std::unique_ptr<Storage>> OpenSqliteToLook(const StorageOptions& options,
                                                  const base::Clock& clock = base::Clock::System());

}  // namespace millrace::storage::sqlite
