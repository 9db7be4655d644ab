// The PostgreSQL driver: any number of processes share a schema; every rule that must hold between them is in the
// schema's functions (functions/*.sql), under locks and against the database's clock.
#pragma once

#include <memory>

#include "storage/storage.h"

namespace millrace::storage::postgres {

// Connects to options.url (postgres://, postgresql://, with jdbc: before it or not) and checks the schema's version.
// Fails with kSchemaOld (`millrace migrate up` makes or updates the schema), kSchemaNew, kPermission, kNotFound (no
// such database), kReadOnly (a replica), kUnsupported (a server before 14), kDatabaseUnavailable, kInvalidArgument (the
// URL).
Result<std::unique_ptr<Storage>> OpenPostgres(const StorageOptions& options);

}  // namespace millrace::storage::postgres
