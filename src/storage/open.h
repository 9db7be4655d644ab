// Opens the storage a URL names.
#pragma once

#include <memory>
#include <string_view>

#include "storage/storage.h"

namespace millrace::storage {

// Whether the text names a PostgreSQL: postgres://, postgresql://, one of them after jdbc:, or libpq's keyword form,
// which begins with one of its keywords ("host=db dbname=jobs"). Else it is a path, also with an equals sign further
// on.
bool NamesPostgres(std::string_view url);

// kLook: to read, also a file that may not be written (OpenSqliteToLook). Of a PostgreSQL, the login's role decides.
enum class Purpose { kWork, kLook };

// A path or sqlite:PATH opens SQLite (see storage/sqlite/driver.h for failures), what NamesPostgres says opens
// PostgreSQL (storage/postgres/driver.h); any other scheme is kInvalidArgument. What passes through it is counted in
// the process's metrics.
Result<std::unique_ptr<Storage>> OpenStorage(const StorageOptions& options, Purpose purpose = Purpose::kWork);

}  // namespace millrace::storage
