#include <filesystem>

#include "pipelines/documents/test_databases.h"

namespace millrace::documents {

std::string TestDatabases::Make() { return (folder_ / (std::to_string(next_++) + ".db")).string(); }

std::string TestDatabases::Copy(const std::string& url) {
  std::string copy = Make();
  std::filesystem::copy(url, copy);
  return copy;
}

}  // namespace millrace::documents
