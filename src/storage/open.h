// Opens the storage a URL names.
#pragma once

#include <memory>

#include "storage/storage.h"

namespace millrace::storage {

// A path or sqlite:PATH opens SQLite (see storage/sqlite/driver.h for failures), postgres:// and postgresql:// open
// PostgreSQL (storage/postgres/driver.h); any other scheme is kInvalidArgument.
Result<std::unique_ptr<Storage>> OpenStorage(const StorageOptions& options);

}  // namespace millrace::storage
