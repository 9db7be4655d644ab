// The pipeline under a real worker with several threads.
#include "pipelines/documents/pipeline.h"

#include <gtest/gtest.h>

#include "millrace/worker.h"
#include "pipelines/documents/report.h"
#include "pipelines/documents/test_support.h"
#include "runtime/client_impl.h"

namespace millrace::documents {
namespace {

class PipelineTest : public testing::Test {
 protected:
  PipelineTest() {
    for (int i = 0; i < 300; ++i) {
      const std::string n = std::to_string(i);
      files_.Write("d" + std::to_string(i % 7) + "/f" + n,
                   i % 50 == 0 ? "!broken" : "Title " + n + "\nsome words " + n);
    }
    FileSource source;
    source.name = "files";
    source.base_path = files_.path();
    spec_.sources = {source};
  }
  static Client Open(const std::string& database) {
    StorageOptions options;
    options.url = database;
    return Machine::Must(Client::open(options));
  }
  // Works until a run over the files is over.
  RunId RunAll(const Client& client) {
    storage::Storage& storage = *client.impl()->storage;
    DocumentsContext documents(storage, pool_);
    WorkerOptions options;
    options.concurrency = 4;
    Worker worker(client, options);
    RegisterDocuments(worker, documents);
    worker.handle_raw(std::string(kReportKind), [&](Context& context) {
      Outcome outcome = ReportDocuments(context, documents);
      worker.stop();
      return outcome;
    });
    const RunId run = Machine::Must(StartDocumentsRun(storage, spec_)).id;
    EXPECT_EQ(Machine::Must(worker.run()), 0);
    return run;
  }
  static std::string Dump(const Client& client) {
    std::ostringstream out;
    Machine::Must(DumpContent(*client.impl()->storage, out));
    return out.str();
  }

  TempFolder files_;
  TestDatabases databases_;
  LinesPool pool_;
  DocumentsSpec spec_;
};

TEST_F(PipelineTest, ManyThreadsGiveTheContentThatOneGives) {
  std::string expected;
  {
    Machine machine(databases_.Make(), pool_);
    machine.Run(spec_);
    expected = machine.Dump();
  }
  const Client client = Open(databases_.Make());
  pool_.parsed = 0;
  const RunId run = RunAll(client);
  EXPECT_EQ(pool_.parsed, 300);
  EXPECT_EQ(Dump(client), expected);
  Machine::Must(CheckIndex(*client.impl()->storage));
  const auto row = Machine::Must(client.impl()->storage->GetRun(run));
  EXPECT_EQ(row->state, storage::RunState::kCompleted);
  EXPECT_EQ(row->counts[static_cast<int>(JobState::kDead)], 6);
  const auto progress = Machine::Must(ProgressOfRun(*client.impl()->storage, run));
  EXPECT_TRUE(progress.finished);
  EXPECT_EQ(progress.discovered, 300);
  EXPECT_EQ(progress.done, 294);
  EXPECT_EQ(progress.failed, 6);
}

TEST_F(PipelineTest, ASecondRunParsesOnlyWhatChanged) {
  const Client client = Open(databases_.Make());
  RunAll(client);
  pool_.parsed = 0;
  RunAll(client);
  EXPECT_EQ(pool_.parsed, 0);
  files_.Write("d1/f1", "Title 1\nother words");
  RunAll(client);
  EXPECT_EQ(pool_.parsed, 1);
}

}  // namespace
}  // namespace millrace::documents
