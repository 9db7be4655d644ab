// `millrace monitor` and `cleanup` as people run them: on a terminal, beside an owner, as a login that may only read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "storage/postgres/test_cluster.h"
#include "support/program.h"
#include "support/terminal.h"

namespace millrace::tests {
namespace {

using base::json::value;
using std::chrono::seconds;
using storage::postgres::TestCluster;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr seconds kLimit(60);

class Monitor : public ::testing::Test {
 protected:
  void SetUp() override {
    const Ended ended =
        RunMillrace(folder_.path(), {"enqueue", "mail", "--any-kind", "--queue", "post", "--db", "m.db"});
    ASSERT_EQ(ended.code, 0) << Describe(ended);
  }
  // A worker that owns the file, and is ready.
  std::unique_ptr<Child> StartOwner() {
    auto worker =
        std::make_unique<Child>(Millrace(folder_.path(), {"worker", "--db", "m.db", "--worker-id", "the-owner"}));
    while (!worker->WaitForExit(std::chrono::milliseconds(1))) {
      if (RunMillrace(folder_.path(), {"healthcheck", "--ready", "--db", "m.db"}).code == 0) return worker;
    }
    ADD_FAILURE() << "the worker ended: " << Describe(worker->Wait());
    return worker;
  }
  Start Live(std::map<std::string, std::string> env = {}) {
    Start start = Millrace(folder_.path(), {"monitor", "--db", "m.db", "--interval", "100ms"});
    start.env["TERM"] = "xterm";
    start.env["LC_ALL"] = "C.UTF-8";
    start.env["NO_COLOR"] = "";
    for (const auto& [name, text] : env) start.env[name] = text;
    return start;
  }
  static auto Has(const std::string& text) {
    return [text](const std::string& frame) { return frame.find(text) != std::string::npos; };
  }
  static bool Same(const termios& a, const termios& b) {
    return a.c_iflag == b.c_iflag && a.c_oflag == b.c_oflag && a.c_cflag == b.c_cflag && a.c_lflag == b.c_lflag &&
           std::memcmp(a.c_cc, b.c_cc, sizeof a.c_cc) == 0;
  }

  TempDir folder_;
};

TEST_F(Monitor, LeavesTheTerminalAsItWas) {
  const std::vector<std::function<void(TerminalProgram&)>> ways = {
      [](TerminalProgram& program) { program.Type("q"); },
      [](TerminalProgram& program) { program.Type("\003"); },  // Ctrl-C
      [](TerminalProgram& program) { kill(program.pid(), SIGTERM); },
  };
  for (std::size_t way = 0; way < ways.size(); ++way) {
    const Start start = Live();
    TerminalProgram program(start, 120, 40);
    ASSERT_TRUE(program.WaitForFrame(Has("post"), kLimit)) << program.output();
    const termios during = program.Settings();
    EXPECT_EQ(during.c_lflag & (ICANON | ECHO), 0u);
    EXPECT_NE(program.output().find("\033[?1049h\033[?25l"), std::string::npos);
    ways[way](program);
    EXPECT_EQ(program.Wait(kLimit), 0) << way << program.output();
    EXPECT_TRUE(Same(program.Settings(), program.Before())) << way;
    EXPECT_TRUE(program.output().ends_with("\033[?7h\033[?25h\033[?1049l")) << way;
  }
}

TEST_F(Monitor, FollowsTheTerminalsSizeAndColoursIt) {
  TerminalProgram program(Live(), 120, 40);
  ASSERT_TRUE(program.WaitForFrame(Has("COMPLETED"), kLimit)) << program.output();
  EXPECT_TRUE(Has("\033[1m")(program.Frame())) << program.Frame();
  program.Resize(50, 8);
  ASSERT_TRUE(program.WaitForFrame([&](const std::string& frame) { return !Has("COMPLETED")(frame); }, kLimit));
  const std::string frame = program.Frame();
  EXPECT_LE(std::count(frame.begin(), frame.end(), '\n'), 7);
  program.Type("q");
  EXPECT_EQ(program.Wait(kLimit), 0);
  TerminalProgram plain(Live({{"NO_COLOR", "1"}}), 120, 40);
  ASSERT_TRUE(plain.WaitForFrame(Has("post"), kLimit)) << plain.output();
  EXPECT_FALSE(Has("\033[1m")(plain.output())) << plain.output();
}

TEST_F(Monitor, GivesTheTerminalBackWhileItIsStopped) {
  TerminalProgram program(Live(), 120, 40);
  ASSERT_TRUE(program.WaitForFrame(Has("post"), kLimit)) << program.output();
  kill(program.pid(), SIGTSTP);
  siginfo_t info{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(program.pid()), &info, WSTOPPED), 0);
  EXPECT_TRUE(Same(program.Settings(), program.Before()));
  kill(program.pid(), SIGCONT);
  ASSERT_TRUE(
      program.WaitForFrame([&](const std::string&) { return !Same(program.Settings(), program.Before()); }, kLimit));
  program.Type("q");
  EXPECT_EQ(program.Wait(kLimit), 0);
  EXPECT_TRUE(Same(program.Settings(), program.Before()));
}

// A file nobody owns is held only for a moment, so that a worker can start beside the monitor; then it goes through the
// worker's socket. A worker that stops answering leaves the last figures, marked.
TEST_F(Monitor, FollowsTheOwnerAsItComesHangsAndGoes) {
  TerminalProgram program(Live(), 200, 40);
  ASSERT_TRUE(program.WaitForFrame(Has("no worker with a heartbeat"), kLimit)) << program.output();
  auto worker = StartOwner();
  ASSERT_TRUE(program.WaitForFrame(Has("the-owner"), kLimit)) << program.output();
  worker->Kill(SIGSTOP);
  ASSERT_TRUE(program.WaitForFrame(Has("STALE for"), kLimit)) << program.output();
  EXPECT_THAT(program.Frame(), AllOf(HasSubstr("the-owner"), HasSubstr("post"),
                                     HasSubstr("is stopped; `kill -CONT " + std::to_string(worker->pid()))));
  worker->Kill(SIGCONT);
  const auto fresh = [&](const std::string& frame) { return Has("the-owner")(frame) && !Has("STALE")(frame); };
  ASSERT_TRUE(program.WaitForFrame(fresh, kLimit)) << program.output();
  worker->Kill(SIGTERM);
  EXPECT_EQ(worker->Wait(kLimit).code, 0);
  ASSERT_TRUE(program.WaitForFrame(Has("no worker with a heartbeat"), kLimit)) << program.output();
  program.Type("q");
  EXPECT_EQ(program.Wait(kLimit), 0);
}

TEST_F(Monitor, LeavesAtOnceThoughTheOwnerDoesNotAnswer) {
  auto worker = StartOwner();
  TerminalProgram program(Live(), 120, 40);
  ASSERT_TRUE(program.WaitForFrame(Has("the-owner"), kLimit)) << program.output();
  worker->Kill(SIGSTOP);
  ASSERT_TRUE(program.WaitForFrame(Has("STALE for"), kLimit)) << program.output();
  program.Type("q");
  EXPECT_EQ(program.Wait(seconds(3)), 0) << "less than the answer is waited for";
  worker->Kill(SIGCONT);
}

TEST_F(Monitor, PrintsOneJsonObjectAnInterval) {
  Child child(Millrace(folder_.path(), {"monitor", "--db", "m.db", "--json", "--interval", "100ms"}));
  ASSERT_TRUE(child.WaitForText("}\n{", kLimit)) << Describe(child.Wait());
  child.Kill(SIGTERM);
  const Ended ended = child.Wait();
  const auto first = base::ParseJson(ended.out.substr(0, ended.out.find('\n')));
  ASSERT_TRUE(first) << ended.out;
  EXPECT_FALSE(first->at("stale").as_bool());
  EXPECT_EQ(first->at("queues").at(0).at("name").as_string(), "post");
}

// Commands that meet an owner that hangs say who it is, after two seconds, and go on when it does.
TEST_F(Monitor, ACommandTellsWhoItWaitsFor) {
  auto worker = StartOwner();
  worker->Kill(SIGSTOP);
  const std::string hint = "is stopped; `kill -CONT " + std::to_string(worker->pid()) + "` lets it go on";
  Child waiting(Millrace(folder_.path(), {"queues", "list", "--db", "m.db", "--json"}));
  ASSERT_TRUE(waiting.WaitForText(hint, kLimit)) << Describe(waiting.Wait());
  worker->Kill(SIGCONT);
  const Ended ended = waiting.Wait();
  EXPECT_EQ(ended.code, 0) << Describe(ended);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("millrace: warning: the owner of m.db (process "), HasSubstr(hint)));
  worker->Kill(SIGSTOP);
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"queues", "list"}, std::vector<std::string>{"debug", "threads"}}) {
    std::vector<std::string> args = command;
    args.insert(args.end(), {"--db", "m.db"});
    const Ended refused = RunMillrace(folder_.path(), args);
    EXPECT_EQ(refused.code, 1) << Describe(refused);
    EXPECT_LT(refused.seconds, 30) << "a minute is too long to wait for nothing";
    EXPECT_THAT(refused.err, AllOf(HasSubstr("error: no answer in 10s: the owner of m.db"), HasSubstr(hint)));
  }
  worker->Kill(SIGCONT);
}

class PostgresOperators : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = TestCluster::SkipReason(); !reason.empty()) GTEST_SKIP() << reason;
    owner_url_ = TestCluster::Get().CreateDatabase();
    Ended ended = RunMillrace(folder_.path(), {"migrate", "up", "--db", owner_url_});
    ASSERT_EQ(ended.code, 0) << Describe(ended);
    for (const char* kind : {"a", "b"}) {
      ended = RunMillrace(folder_.path(), {"enqueue", kind, "--any-kind", "--queue", "post", "--db", owner_url_});
      ASSERT_EQ(ended.code, 0) << Describe(ended);
    }
    ended = RunMillrace(folder_.path(), {"jobs", "cancel", "1", "--db", owner_url_});
    ASSERT_EQ(ended.code, 0) << Describe(ended);
    TestCluster::Get().Execute("CREATE ROLE only_reads LOGIN PASSWORD 'secret' IN ROLE millrace_reader");
    const std::size_t slash = owner_url_.rfind('/');
    const std::string database = owner_url_.substr(slash + 1, owner_url_.find('?', slash) - slash - 1);
    reader_url_ = TestCluster::Get().Url(database, "only_reads", "secret");
    // What a worker would write when it opens the database, a reader may not.
    WriteFile(folder_ / "millrace.yaml", "queues:\n  - {name: post, capacity: 10}\n");
  }
  void TearDown() override {
    if (!reader_url_.empty()) TestCluster::Get().Execute("DROP ROLE only_reads");
  }
  value Read(std::vector<std::string> args) {
    args.insert(args.end(), {"--db", reader_url_});
    return MustJson(folder_.path(), std::move(args));
  }

  TempDir folder_;
  std::string owner_url_, reader_url_;
};

TEST_F(PostgresOperators, AReaderWatches) {
  const value report = Read({"monitor", "--once"});
  EXPECT_EQ(report.at("totals").at("available").as_int64(), 1) << base::ToPrettyJson(report);
  EXPECT_EQ(report.at("queues").at(0).at("name").as_string(), "post");
  EXPECT_TRUE(report.at("queues").at(0).at("capacity").is_null()) << "nothing was written";
  EXPECT_EQ(Read({"queues", "list"}).at("queues").as_array().size(), 1u);
  EXPECT_EQ(Read({"jobs", "list"}).at("jobs").as_array().size(), 2u);
  EXPECT_TRUE(Read({"workers"}).at("workers").as_array().empty());
}

TEST_F(PostgresOperators, AReaderSeesWhatWouldGoAndDeletesNothing) {
  const value dry = Read({"cleanup", "--older-than", "0s", "--dead-older-than", "0s"});
  EXPECT_EQ(dry.at("categories").at(0).at("count").as_int64(), 1) << base::ToPrettyJson(dry);
  const Ended refused = RunMillrace(folder_.path(), {"cleanup", "--older-than", "0s", "--yes", "--db", reader_url_});
  EXPECT_EQ(refused.code, 1) << Describe(refused);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("finished jobs: after 0 of 1"), HasSubstr("permission denied")));
  const value done = MustJson(folder_.path(), {"cleanup", "--older-than", "0s", "--yes", "--db", owner_url_});
  EXPECT_EQ(done.at("categories").at(0).at("deleted").as_int64(), 1) << base::ToPrettyJson(done);
  EXPECT_EQ(Read({"jobs", "list"}).at("jobs").as_array().size(), 1u);
}

TEST_F(PostgresOperators, FiguresGoStaleWithTheDatabaseAndComeBack) {
  if (!TestCluster::Get().CanStop()) GTEST_SKIP() << "the server is not ours";
  Start start = Millrace(folder_.path(), {"monitor", "--db", reader_url_, "--interval", "100ms"});
  start.env["TERM"] = "xterm";
  TerminalProgram program(start, 120, 40);
  const auto shows = [](const std::string& frame) { return frame.find("post") != std::string::npos; };
  const auto stale = [](const std::string& frame) { return frame.find("STALE for") != std::string::npos; };
  ASSERT_TRUE(program.WaitForFrame(shows, kLimit)) << program.output();
  TestCluster::Get().Stop(true);
  EXPECT_TRUE(program.WaitForFrame(stale, kLimit)) << program.output();
  EXPECT_TRUE(shows(program.Frame())) << "the last figures stay";
  TestCluster::Get().Start();
  EXPECT_TRUE(program.WaitForFrame([&](const std::string& frame) { return shows(frame) && !stale(frame); }, kLimit))
      << program.output();
  program.Type("q");
  EXPECT_EQ(program.Wait(kLimit), 0);
}

}  // namespace
}  // namespace millrace::tests
