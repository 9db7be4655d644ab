// Several workers, each with connections of its own, share a run on one PostgreSQL.
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

#include "millrace/worker.h"
#include "pipelines/documents/report.h"
#include "pipelines/documents/test_support.h"
#include "runtime/client_impl.h"

namespace millrace::documents {
namespace {

class FleetTest : public testing::Test {
 protected:
  FleetTest() : database_(databases_.Make()) {
    for (int i = 0; i < 200; ++i) {
      const std::string n = std::to_string(i);
      files_.Write("d" + std::to_string(i % 7) + "/f" + n,
                   i % 50 == 0 ? "!broken" : "Title " + n + "\nsome words " + n);
    }
    FileSource source;
    source.name = "files";
    source.base_path = files_.path();
    spec_.sources = {source};
  }
  [[nodiscard]] Client Open() const {
    StorageOptions options;
    options.url = database_;
    return Machine::Must(Client::open(options));
  }

  TempFolder files_, folder_;
  TestDatabases databases_;
  std::string database_;
  DocumentsSpec spec_;
};

// A worker with its own connections and parser, which says when it first parses.
struct Member {
  explicit Member(Client opened, const std::string& id) : client(std::move(opened)) {
    options.id = id;
    options.concurrency = 2;
    worker.emplace(client, options);
    RegisterDocuments(*worker, documents);
  }
  Client client;
  LinesPool pool;
  DocumentsContext documents{*client.impl()->storage, pool};
  WorkerOptions options;
  std::optional<Worker> worker;
};

TEST_F(FleetTest, TwoWorkersShareARunAndGiveTheContentThatOneGives) {
  LinesPool alone;
  Machine machine((folder_ / "one.db").string(), alone);
  machine.Run(spec_);
  Member first(Open(), "first"), second(Open(), "second");
  // Neither parses a document before both have one.
  std::latch both(2);
  for (Member* member : {&first, &second}) {
    member->pool.on_parse = [&both, met = std::make_shared<std::once_flag>()](const std::string&) {
      std::call_once(*met, [&] { both.arrive_and_wait(); });
    };
  }
  for (Member* member : {&first, &second}) {
    member->worker->handle_raw(std::string(kReportKind), [&, member](Context& context) {
      Outcome outcome = ReportDocuments(context, member->documents);
      first.worker->stop();
      second.worker->stop();
      return outcome;
    });
  }
  storage::Storage& storage = *first.client.impl()->storage;
  const RunId run = Machine::Must(StartDocumentsRun(storage, spec_)).id;
  {
    const std::jthread other([&] { EXPECT_EQ(Machine::Must(second.worker->run()), 0); });
    EXPECT_EQ(Machine::Must(first.worker->run()), 0);
  }
  EXPECT_GT(first.pool.parsed, 0);
  EXPECT_GT(second.pool.parsed, 0);
  EXPECT_EQ(first.pool.parsed + second.pool.parsed, 200) << "every document once";
  std::ostringstream content;
  Machine::Must(DumpContent(storage, content));
  EXPECT_EQ(content.str(), machine.Dump());
  Machine::Must(CheckIndex(storage));
  const auto row = Machine::Must(storage.GetRun(run));
  EXPECT_EQ(row->state, storage::RunState::kCompleted);
  EXPECT_EQ(row->counts[static_cast<int>(JobState::kDead)], 4);
}

// A worker that lost its job while it parsed leaves nothing of what it read, and what took its place stays.
TEST_F(FleetTest, AWorkerThatLostItsLeaseWritesNothing) {
  LinesPool slow_pool, quick_pool;
  Machine slow(database_, slow_pool);
  bool lost = false;
  std::string content;
  slow_pool.on_parse = [&](const std::string& name) {
    if (lost) return;
    lost = true;
    // Another machine of the same name takes over, with all that is left to do, while the file changes.
    Machine quick(database_, quick_pool);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(files_.path())) {
      if (entry.path().filename() != name) continue;
      std::ofstream(entry.path()) << "Newer\nother words";
    }
    quick.Work();
    content = quick.Dump();
    for (const auto& entry : std::filesystem::recursive_directory_iterator(files_.path())) {
      if (entry.path().filename() == name) std::ofstream(entry.path()) << "Stale\nstale words";
    }
  };
  Machine::Must(StartDocumentsRun(slow.storage(), spec_));
  while (!lost) ASSERT_TRUE(slow.WorkOne());
  EXPECT_EQ(quick_pool.parsed, 200);
  EXPECT_NE(content.find("other words"), std::string::npos);
  EXPECT_EQ(slow.Dump(), content);
  Machine::Must(CheckIndex(slow.storage()));
}

}  // namespace
}  // namespace millrace::documents
