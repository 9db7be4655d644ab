// kill -9 again and again while jobs are enqueued and worked: the books are exact at the end.
#include <gtest/gtest.h>

#include <csignal>
#include <random>

#include "millrace/client.h"
#include "support/content.h"
#include "support/program.h"

namespace millrace::tests {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kBooks = 20'000;

Start TestWorker(const TempDir& folder, std::vector<std::string> args) {
  args.insert(args.begin(), {MILLRACE_BINARY_DIR "/millrace_test_worker", (folder / "m.db").string(), "--books",
                             std::to_string(kBooks)});
  Start start;
  start.argv = std::move(args);
  return start;
}

// A number the database's user tables hold.
std::int64_t Count(const TempDir& folder, const std::string& query) {
  StorageOptions options;
  options.url = (folder / "m.db").string();
  auto client = Client::open(options);
  EXPECT_TRUE(client.has_value());
  std::int64_t count = -1;
  auto done = client->transaction([&](Transaction& transaction) {
    return transaction.sql().query(query, {}, [&](const SqlRow& row) {
      count = row.integer(0);
      return false;
    });
  });
  EXPECT_TRUE(done.has_value()) << done.error().message;
  return count;
}

TEST(Chaos, EveryJobIsCompletedExactlyOnceOrDead) {
  TempDir folder;
  unsigned seed = Seed(20260302);
  SCOPED_TRACE("MILLRACE_TEST_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  int rounds = Full() ? 60 : 15;
  for (int round = 0; round < rounds; ++round) {
    Child child(TestWorker(folder, {}));
    child.WaitForText("ready", std::chrono::seconds(30));
    child.WaitForExit(milliseconds(std::uniform_int_distribution<int>(1, 150)(random)));
    child.Kill(SIGKILL);
    Ended ended = child.Wait();
    ASSERT_EQ(ended.signal, SIGKILL) << Describe(ended);
  }
  // In peace now, until nothing is left; a retry makes a job count twice, so that a few goes are needed.
  for (int round = 0; round < 30; ++round) {
    auto states = JobStates(folder / "m.db", "book");
    std::int64_t finished = states["completed"] + states["dead"];
    if (finished == kBooks) break;
    Ended ended = RunToEnd(TestWorker(folder, {"--max-jobs", std::to_string(kBooks - finished)}));
    ASSERT_EQ(ended.code, 0) << Describe(ended);
  }
  EXPECT_EQ(JobStates(folder / "m.db", "book"),
            (std::map<std::string, int>{{"completed", kBooks - kBooks / 10}, {"dead", kBooks / 10}}));
  EXPECT_EQ(Count(folder, "SELECT count(*) FROM ordered"), kBooks);
  EXPECT_EQ(Count(folder, "SELECT count(*) FROM books"), kBooks - kBooks / 10);
}

}  // namespace
}  // namespace millrace::tests
