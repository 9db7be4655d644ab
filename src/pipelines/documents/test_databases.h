// Databases for tests of the documents pipeline. Which kind, the test program says: documents_tests has SQLite files
// (sqlite_databases_test.cc), documents_pgtests PostgreSQL (postgres_databases_pgtest.cc).
#pragma once

#include <string>

#include "millrace/options.h"
#include "pipelines/documents/test_folder.h"

namespace millrace::documents {

// Failures throw std::runtime_error.
class TestDatabases {
 public:
  // Of a new, empty database with all tables there may be before it is first opened.
  std::string Make();
  // Of a copy of a database that nobody has open.
  std::string Copy(const std::string& url);
  // What a process without rights needs to get at, besides the server.
  [[nodiscard]] const std::string& folder() const { return folder_.path(); }

 private:
  TempFolder folder_;
  int next_ = 0;
};

}  // namespace millrace::documents
