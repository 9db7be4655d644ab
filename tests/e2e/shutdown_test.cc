// Signals and exit codes, with a user's own worker (millrace_test_worker) and with the program.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <optional>

#include "storage/sqlite/owner_lock.h"
#include "support/content.h"
#include "support/make_documents.h"
#include "support/program.h"

namespace millrace::tests {
namespace {

using std::chrono::seconds;

class Shutdown : public ::testing::Test {
 protected:
  Start TestWorker(std::vector<std::string> args) {
    args.insert(args.begin(), {MILLRACE_BINARY_DIR "/millrace_test_worker", (folder_ / "m.db").string()});
    Start start;
    start.argv = std::move(args);
    start.folder = folder_.path();
    return start;
  }
  TempDir folder_;
};

TEST_F(Shutdown, RunningWorkFinishesAndTheExitCodeIs0) {
  std::string gate = (folder_ / "gate").string();
  ASSERT_EQ(mkfifo(gate.c_str(), 0600), 0);
  Child worker(TestWorker({"--enqueue", "gate", "{\"path\": \"" + gate + "\"}"}));
  ASSERT_TRUE(worker.WaitForText("at the gate", seconds(20)));
  worker.Kill(SIGTERM);
  std::ofstream(gate) << "x";
  Ended ended = worker.Wait(seconds(30));
  EXPECT_EQ(ended.code, 0) << Describe(ended);
  EXPECT_EQ(JobStates(folder_ / "m.db", "gate"), (std::map<std::string, int>{{"completed", 1}}));
}

TEST_F(Shutdown, WorkThatHadToBeReleasedIsExitCode3AndRunsAgain) {
  Child worker(TestWorker({"--enqueue", "wait", "{}", "--shutdown-ms", "200"}));
  ASSERT_TRUE(worker.WaitForText("waiting", seconds(20)));
  worker.Kill(SIGTERM);
  Ended ended = worker.Wait(seconds(30));
  EXPECT_EQ(ended.code, 3) << Describe(ended);
  EXPECT_NE(ended.out.find("asked to stop"), std::string::npos) << "its stop token fired at the deadline";
  EXPECT_EQ(JobStates(folder_ / "m.db", "wait"), (std::map<std::string, int>{{"available", 1}}));
}

TEST_F(Shutdown, ASecondSignalSkipsTheWait) {
  Child worker(TestWorker({"--enqueue", "stubborn", "{}", "--shutdown-ms", "600000"}));
  ASSERT_TRUE(worker.WaitForText("waiting", seconds(20)));
  worker.Kill(SIGINT);
  // The first alone changes nothing while the handler runs.
  EXPECT_FALSE(worker.WaitForExit(std::chrono::milliseconds(300)));
  worker.Kill(SIGINT);
  Ended ended = worker.Wait(seconds(30));
  EXPECT_FALSE(ended.timed_out);
  EXPECT_EQ(ended.code, 3) << Describe(ended);
  EXPECT_EQ(JobStates(folder_ / "m.db", "stubborn"), (std::map<std::string, int>{{"available", 1}}));
}

TEST_F(Shutdown, AnIdleWorkerEndsWith0) {
  Child worker(Millrace(folder_.path(), {"worker", "--db", "m.db"}));
  while (!worker.WaitForExit(std::chrono::milliseconds(1))) {
    if (RunMillrace(folder_.path(), {"healthcheck", "--ready", "--db", "m.db"}).code == 0) break;
  }
  worker.Kill(SIGTERM);
  Ended ended = worker.Wait(seconds(30));
  EXPECT_EQ(ended.code, 0) << Describe(ended);
}

// Whether the process catches SIGTERM, as the system sees it.
bool Catches(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("SigCgt:")) return (std::stoull(line.substr(7), nullptr, 16) >> (SIGTERM - 1) & 1) != 0;
  }
  return false;
}

TEST_F(Shutdown, ASignalWhileItStartsIsKept) {
  WriteFile(folder_ / "in" / "note.txt", "A note.\n");
  ASSERT_EQ(RunMillrace(folder_.path(), {"run", "documents", "in", "--db", "m.db"}).code, 0);
  for (const auto& [command, code] : {std::pair<std::vector<std::string>, int>{{"worker", "--db", "m.db"}, 0},
                                      {{"run", "documents", "in", "--db", "m.db"}, 3}}) {
    // It cannot start its work while the file is held; it waits a while.
    std::optional<storage::sqlite::OwnerLock> held;
    if (auto lock = storage::sqlite::OwnerLock::Acquire((folder_ / "m.db").string(), "test")) held = std::move(*lock);
    ASSERT_TRUE(held);
    Child child(Millrace(folder_.path(), command));
    bool ended = false;
    while (!Catches(child.pid()) && !ended) ended = child.WaitForExit(std::chrono::milliseconds(1));
    ASSERT_FALSE(ended) << "it did not wait for the file, or never caught the signal";
    child.Kill(SIGTERM);
    held.reset();
    Ended end = child.Wait(seconds(30));
    EXPECT_EQ(end.signal, 0) << Describe(end);
    EXPECT_EQ(end.code, code) << Describe(end);
  }
}

TEST_F(Shutdown, AnInterruptedRunCanBeContinued) {
  for (unsigned i = 0; i < 300; ++i) WriteFile(folder_ / "in" / (std::to_string(i) + ".html"), MakeHtml(60'000, i));
  Child run(Millrace(folder_.path(), {"run", "documents", "in", "--db", "m.db", "--json"}));
  // The database is there before the work is done.
  while (!std::filesystem::exists(folder_ / "m.db") && !run.WaitForExit(std::chrono::milliseconds(1))) {
  }
  EXPECT_FALSE(run.WaitForExit(std::chrono::milliseconds(100))) << "over before it could be interrupted";
  run.Kill(SIGINT);
  Ended ended = run.Wait(seconds(40));
  EXPECT_FALSE(ended.timed_out);
  EXPECT_EQ(ended.code, 3) << Describe(ended);
  EXPECT_EQ(RunMillrace(folder_.path(), {"run", "documents", "in", "--db", "m.db", "--json"}).code, 0);
  EXPECT_EQ(Documents(folder_ / "m.db").size(), 300u);
}

}  // namespace
}  // namespace millrace::tests
