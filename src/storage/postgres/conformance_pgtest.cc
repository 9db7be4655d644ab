// The conformance suite on the PostgreSQL driver, each test in a database of its own.
#include "storage/conformance/suite.h"
#include "storage/postgres/driver.h"
#include "storage/postgres/migrate.h"
#include "storage/postgres/test_cluster.h"

namespace millrace::storage {
namespace {

using postgres::Connection;
using postgres::TestCluster;

// A clock that stands still until it is told to move, and says so to those who wait.
constexpr const char* kManualClock =
    "CREATE TABLE millrace.manual_clock (at timestamptz NOT NULL);"
    "INSERT INTO millrace.manual_clock VALUES ('2023-11-14 22:13:20+00');"
    "CREATE OR REPLACE FUNCTION millrace.clock() RETURNS timestamptz LANGUAGE sql VOLATILE"
    " AS 'SELECT at FROM millrace.manual_clock'";

Instance OpenDatabase(const StorageOptions& options) {
  struct Ground {
    StorageOptions options;
    std::unique_ptr<Connection> hand;
    std::unique_ptr<Storage> Open() { return Must(postgres::OpenPostgres(options)); }
    void Advance(Duration by) {
      Must(hand->Script("UPDATE millrace.manual_clock SET at = at + " + std::to_string(by.count()) +
                        " * interval '1 microsecond'; NOTIFY millrace_work"));
    }
  };
  auto ground = std::make_shared<Ground>();
  ground->options = options;
  ground->options.url = TestCluster::Get().CreateDatabase();
  postgres::ConnectOptions connect;
  connect.url = ground->options.url;
  ground->hand = Must(Connection::Open(connect));
  Must(postgres::MigrateUp(*ground->hand, "millrace"));
  Must(ground->hand->Script(kManualClock));
  Instance instance;
  instance.storage = ground->Open();
  instance.advance = [ground](Duration by) { ground->Advance(by); };
  instance.reopen = nullptr;
  return instance;
}

}  // namespace

INSTANTIATE_CONFORMANCE(Postgres, Driver{"postgresql", OpenDatabase});

}  // namespace millrace::storage
