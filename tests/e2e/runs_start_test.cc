// A run that is started and left to the workers of a PostgreSQL. Of a file's owner: owner_test.cc.
#include <gtest/gtest.h>

#include <csignal>

#include "storage/postgres/test_cluster.h"
#include "support/program.h"

namespace millrace::tests {
namespace {

using base::json::value;
using storage::postgres::TestCluster;

TEST(RunsStart, WorkersOfAPostgresTakeTheRunUp) {
  if (auto reason = TestCluster::SkipReason(); !reason.empty()) GTEST_SKIP() << reason;
  const std::string url = TestCluster::Get().CreateDatabase();
  const TempDir folder;
  WriteFile(folder / "in" / "note.txt", "A note about the wobbegong.\n");
  const Ended migrated = RunMillrace(folder.path(), {"migrate", "up", "--db", url});
  ASSERT_EQ(migrated.code, 0) << Describe(migrated);
  // Before there is a worker, and again: the same run.
  const value started = MustJson(folder.path(), {"runs", "start", "documents", "in", "--db", url});
  EXPECT_FALSE(started.at("joined").as_bool());
  const value again = MustJson(folder.path(), {"runs", "start", "documents", "in", "--db", url});
  EXPECT_TRUE(again.at("joined").as_bool());
  EXPECT_EQ(again.at("run_id"), started.at("run_id"));

  Child worker(Millrace(folder.path(), {"worker", "--db", url}));
  const std::vector<std::string> show = {"runs", "show", base::ToJson(started.at("run_id")), "--db", url};
  value run = MustJson(folder.path(), show);
  while (run.at("state").as_string() == "active") {
    ASSERT_FALSE(worker.WaitForExit(std::chrono::milliseconds(1))) << Describe(worker.Wait());
    run = MustJson(folder.path(), show);
  }
  EXPECT_EQ(run.at("state").as_string(), "completed") << base::ToPrettyJson(run);
  EXPECT_EQ(MustJson(folder.path(), {"search", "wobbegong", "--db", url}).at("hits").as_array().size(), 1U);
  worker.Kill(SIGTERM);
  EXPECT_EQ(worker.Wait(std::chrono::seconds(30)).code, 0);
}

}  // namespace
}  // namespace millrace::tests
