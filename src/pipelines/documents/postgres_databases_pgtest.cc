#include <gtest/gtest.h>

#include <stdexcept>

#include "pipelines/documents/test_databases.h"
#include "storage/postgres/migrate.h"
#include "storage/postgres/test_cluster.h"

namespace millrace::documents {
namespace {

using storage::postgres::TestCluster;

std::string Migrated() {
  std::string url = TestCluster::Get().CreateDatabase();
  storage::postgres::ConnectOptions options;
  options.url = url;
  auto connection = storage::postgres::Connection::Open(options);
  if (!connection) throw std::runtime_error(connection.error().message);
  const auto made = storage::postgres::MigrateUp(**connection, "millrace");
  if (!made) throw std::runtime_error(made.error().message);
  return url;
}

std::string NameOf(const std::string& url) { return url.substr(url.rfind('/') + 1); }

// In place of a database that was just made: the server knows of that one and drops it in the end.
std::string CopyOf(const std::string& url) {
  std::string copy = TestCluster::Get().CreateDatabase();
  TestCluster::Get().Execute("DROP DATABASE " + NameOf(copy));
  TestCluster::Get().Execute("CREATE DATABASE " + NameOf(copy) + " TEMPLATE " + NameOf(url));
  return copy;
}

class NeedsServer : public testing::Environment {
 public:
  void SetUp() override {
    if (auto reason = TestCluster::SkipReason(); !reason.empty()) GTEST_SKIP() << reason;
  }
};

const auto* const kNeedsServer = testing::AddGlobalTestEnvironment(new NeedsServer);  // gtest owns it

}  // namespace

std::string TestDatabases::Make() {
  static const std::string empty = Migrated();  // to copy is quicker than to migrate
  return CopyOf(empty);
}

std::string TestDatabases::Copy(const std::string& url) { return CopyOf(url); }

}  // namespace millrace::documents
