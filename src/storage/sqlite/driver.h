// The SQLite driver: one process owns the file and does all writes through one connection under one mutex.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "storage/storage.h"

namespace millrace::storage::sqlite {

// Opens or creates the file at options.url, takes its owner lock, brings the schema up to date, and gives back what a
// process that died was running (one crash each). The clock must outlive the storage. Fails with kOwned, kNotADatabase,
// kReadOnly, kPermission, kDiskFull, kSchemaNew, kNotFound (its folder), kIo.
Result<std::unique_ptr<Storage>> OpenSqlite(const StorageOptions& options,
                                            const base::Clock& clock = base::Clock::System());

}  // namespace millrace::storage::sqlite
