// The commands in this process, on a database in a temporary folder. The program itself is tried in tests/e2e.
#include "cli/cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "cli/owner.h"
#include "cli/test_support.h"
#include "pipelines/documents/store.h"

namespace millrace::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST_F(CliTest, WrongUsageIsStatus2AndSaysWhatToTry) {
  EXPECT_EQ(Run({}).status, kUsage);
  Ran ran = Run({"jbos"});
  EXPECT_EQ(ran.status, kUsage);
  EXPECT_THAT(ran.err,
              HasSubstr("millrace: error: unknown command 'jbos'; did you mean 'jobs'?\ntry: millrace --help\n"));
  ran = Run({"jobs", "lst"});
  EXPECT_THAT(ran.err, HasSubstr("unknown command 'lst'; did you mean 'list'?"));
  ran = Run({"jobs", "list", "--colour"});
  EXPECT_EQ(ran.status, kUsage);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("--colour"), HasSubstr("try: millrace jobs list --help")));
  EXPECT_EQ(Run({"jobs", "show"}).status, kUsage);
  EXPECT_EQ(Run({"enqueue", "mail", "--max-attempts", "0"}).status, kUsage);
  EXPECT_THAT(ran.out, IsEmpty());
}

TEST_F(CliTest, HelpHasExamples) {
  const Ran ran = Run({"jobs", "list", "--help"});
  EXPECT_EQ(ran.status, kOk);
  EXPECT_THAT(ran.out, AllOf(HasSubstr("Examples:"), HasSubstr("millrace jobs list --state"), HasSubstr("--db"),
                             HasSubstr("--json")));
  EXPECT_EQ(Run({"--version"}).out, Run({"version"}).out);
  EXPECT_THAT(Run({"version", "--json"}).json().at("name").as_string(), "millrace");
}

TEST_F(CliTest, ReadingNeverMakesADatabase) {
  const Ran ran = RunDb({"jobs", "list"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_THAT(ran.err, HasSubstr("there is no database " + db_ + " (from flag --db)"));
  EXPECT_FALSE(std::filesystem::exists(db_));
}

TEST_F(CliTest, EnqueuesAndShows) {
  Ran ran = RunDb(
      {"enqueue", "mail", R"({"to":"ada"})", "--any-kind", "--priority", "high", "--in", "5m", "--tag", "a", "--json"});
  EXPECT_EQ(ran.status, kOk) << ran.err;
  EXPECT_EQ(ran.json().at("jobs").as_array().size(), 1u);
  ran = RunDb({"jobs", "show", "1", "--json"});
  EXPECT_EQ(ran.json().at("state").as_string(), "scheduled");
  EXPECT_EQ(ran.json().at("priority").as_string(), "high");
  EXPECT_THAT(RunDb({"jobs", "list"}).out, AllOf(HasSubstr("mail"), HasSubstr("scheduled")));
  EXPECT_EQ(RunDb({"jobs", "cancel", "1"}).out, "job 1: cancelled\n");
  ran = RunDb({"jobs", "cancel", "1", "99"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("cancelled already"), HasSubstr("there is no job 99")));
  EXPECT_THAT(RunDb({"queues", "pause", "default"}).out, HasSubstr("queue default: paused"));
  EXPECT_THAT(RunDb({"queues", "list"}).out, HasSubstr("paused"));
}

TEST_F(CliTest, BadArgsAndUnknownKindsAreRefused) {
  Ran ran = RunDb({"enqueue", "mail", "{to: ada}"});
  EXPECT_EQ(ran.status, kUsage);
  EXPECT_THAT(ran.err, HasSubstr("args: not JSON: 1:2"));
  ran = RunDb({"enqueue", "mail", "[1]"});
  EXPECT_THAT(ran.err, HasSubstr("args: must be a JSON object"));
  ran = RunDb({"enqueue", "mail"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_THAT(ran.err,
              AllOf(HasSubstr("no handler is known for the kind 'mail'; known: documents.discover, documents.parse"),
                    HasSubstr("--any-kind")));
  EXPECT_EQ(RunDb({"enqueue"}).status, kUsage);
  EXPECT_EQ(RunDb({"enqueue", "mail", "--at", "2026-01-01T00:00:00Z", "--in", "5m"}).status, kUsage);
  EXPECT_THAT(RunDb({"enqueue", "mail", "--any-kind", "--priority", "urgent"}).err,
              HasSubstr("priority: unknown priority 'urgent'"));
}

TEST_F(CliTest, AGroupWithoutACommandLists) {
  ASSERT_EQ(RunDb({"enqueue", "mail", "--any-kind"}).status, kOk);
  for (const std::string group : {"queues", "jobs", "runs"}) {
    const auto alone = RunDb({group});
    EXPECT_EQ(alone.status, kOk) << group << alone.err;
    const auto heading = [](const std::string& text) { return text.substr(0, text.find('\n')); };
    EXPECT_EQ(heading(alone.out), heading(RunDb({group, "list"}).out)) << group;
  }
}

TEST_F(CliTest, AKindOfTheConfigurationIsKnownAndHasItsSettings) {
  const std::string file =
      Write("m.yaml", "handlers:\n  - {kind: mail, queue: post, priority: high, timeout: 30s, retry: 5}\n");
  ASSERT_EQ(RunDb({"enqueue", "mail", "--config", file}).status, kOk);
  base::json::object job = RunDb({"jobs", "show", "1", "--json"}).json();
  EXPECT_EQ(job.at("queue").as_string(), "post");
  EXPECT_EQ(job.at("priority").as_string(), "high");
  EXPECT_EQ(job.at("max_attempts").as_int64(), 6);
  EXPECT_EQ(job.at("timeout_seconds").as_int64(), 30);
  ASSERT_EQ(
      RunDb({"enqueue", "--file", Write("j.jsonl", R"({"kind":"mail","priority":"low"})"), "--config", file}).status,
      kOk);
  job = RunDb({"jobs", "show", "2", "--json"}).json();
  EXPECT_EQ(job.at("queue").as_string(), "post");
  EXPECT_EQ(job.at("priority").as_string(), "low");
  EXPECT_EQ(RunDb({"enqueue", "other", "--config", file}).status, kFailed);
}

TEST_F(CliTest, EnqueuesFilesInBatchesAndTellsTheLine) {
  std::string lines;
  for (int i = 0; i < 1500; ++i) lines += R"({"args":{"n":)" + std::to_string(i) + "}}\n";
  const std::string good = Write("good.jsonl", lines + "\n");
  Ran ran = RunDb({"enqueue", "mail", "--any-kind", "--file", good, "--json"});
  EXPECT_EQ(ran.status, kOk) << ran.err;
  EXPECT_EQ(ran.json().at("enqueued").as_int64(), 1500);

  const std::string bad = Write("bad.jsonl", lines + R"({"args":5})" + "\n");
  ran = RunDb({"enqueue", "mail", "--any-kind", "--file", bad});
  EXPECT_EQ(ran.status, kPartial);
  EXPECT_THAT(ran.err, HasSubstr(bad + ":1501.args: must be a JSON object"));
  EXPECT_THAT(ran.out, HasSubstr("enqueued 1,000 jobs"));

  ran = RunDb({"enqueue", "--file", Write("json.jsonl", "{\"kind\":\"mail\"}\n\n{kind}\n"), "--any-kind"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("json.jsonl:3: not JSON"), HasSubstr("nothing of it was enqueued")));
  ran = RunDb({"enqueue", "--file", Write("kind.jsonl", "{\"kind\":\"documents.parse\"}\n{\"kind\":\"mial\"}\n")});
  EXPECT_THAT(ran.err, HasSubstr("kind.jsonl:2: no handler is known for the kind 'mial'"));
  ran = RunDb({"enqueue", "--file", (folder_ / "none").string()});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_THAT(ran.err, HasSubstr("No such file"));
}

// The number of lines is not the number of jobs: lines may be empty.
TEST_F(CliTest, AFileThatFailsHalfWayTellsFromWhichLineTheRestIs) {
  std::string lines = "\n\n";
  for (int i = 0; i < 1200; ++i) lines += "{\"kind\":\"mail\"}\n";
  Ran ran = RunDb({"enqueue", "--any-kind", "--file", Write("half.jsonl", lines + "{}\n")});
  EXPECT_EQ(ran.status, kPartial);
  EXPECT_THAT(ran.err, HasSubstr("send the rest, from line 1003: all before it is in"));
  ran = RunDb({"enqueue", "--any-kind", "--file", folder_.string()});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_THAT(ran.err, HasSubstr("is a directory"));
}

TEST_F(CliTest, WordsThatAreNoUtf8AreNamed) {
  const Ran ran = RunDb({"enqueue", "bad\xFF", "--any-kind"});
  EXPECT_EQ(ran.status, kUsage);
  EXPECT_THAT(ran.err, HasSubstr("KIND: holds bytes that are no UTF-8"));
}

TEST_F(CliTest, APasswordStandsInNoProcessListAndNoComplaint) {
  std::vector<std::string> words = {"millrace", "config", "show", "--db", "postgres://ann:secret@db.invalid/jobs"};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  testing::internal::CaptureStdout();
  EXPECT_EQ(Main(static_cast<int>(argv.size()), argv.data()), kOk);
  EXPECT_THAT(testing::internal::GetCapturedStdout(), AllOf(HasSubstr("db.invalid"), Not(HasSubstr("secret"))));
  EXPECT_EQ(words.back(), "postgres://ann:******@db.invalid/jobs");
  EXPECT_THAT(Run({"workers", "postgres://ann:secret@db.invalid/jobs"}).err,
              AllOf(HasSubstr("db.invalid"), Not(HasSubstr("secret"))));
}

TEST_F(CliTest, AJobWaitsForOthers) {
  ASSERT_EQ(RunDb({"enqueue", "first", "--any-kind"}).status, kOk);
  ASSERT_EQ(RunDb({"enqueue", "second", "--any-kind"}).status, kOk);
  Ran ran = RunDb({"enqueue", "last", "--any-kind", "--after", "1,2", "--when", "finished"});
  ASSERT_EQ(ran.status, kOk) << ran.err;
  EXPECT_THAT(RunDb({"jobs", "show", "3"}).out, AllOf(HasSubstr("waiting"), HasSubstr("[1,2]"), HasSubstr("finished")));
  EXPECT_THAT(RunDb({"jobs", "show", "1"}).out, Not(HasSubstr("after")));
  EXPECT_THAT(RunDb({"jobs", "list"}).out, HasSubstr("waits for [1,2]"));
  ran = RunDb({"enqueue", "last", "--any-kind", "--after", "99"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_THAT(ran.err, HasSubstr("after: there is no job 99"));
  EXPECT_EQ(RunDb({"enqueue", "last", "--any-kind", "--when", "failed"}).status, kUsage);
  EXPECT_EQ(RunDb({"enqueue", "last", "--any-kind", "--after", "1", "--when", "done"}).status, kUsage);
}

// The batches of a file are of 1000 jobs.
TEST_F(CliTest, ALineWaitsForEarlierLinesOfItsFile) {
  std::string lines = "\n";
  for (int i = 2; i <= 1003; ++i) lines += "{}\n";
  const std::string file = Write("j.jsonl", lines + R"({"kind":"join","after_lines":[2,1003],"when":"failed"})" + "\n");
  Ran ran = RunDb({"enqueue", "mail", "--any-kind", "--file", file});
  ASSERT_EQ(ran.status, kOk) << ran.err;
  ran = RunDb({"jobs", "show", "1003", "--json"});
  EXPECT_EQ(ran.json().at("kind").as_string(), "join");
  EXPECT_EQ(ran.json().at("state").as_string(), "waiting");
  EXPECT_EQ(base::ToJson(ran.json().at("after")), "[1,1002]");
  EXPECT_EQ(ran.json().at("when").as_string(), "failed");
  const std::pair<const char*, const char*> cases[] = {{R"({"after_lines":[1]})", ":2: after_lines: line 1 has no job"},
                                                       {R"({"after_lines":[2]})", ":2: after_lines: must be a list"},
                                                       {R"({"after_lines":2})", ":2: after_lines: must be a list"},
                                                       {R"({"after_in_batch":[0]})", ":2: in a file after_lines"}};
  for (const auto& [line, what] : cases) {
    ran = RunDb({"enqueue", "mail", "--any-kind", "--file", Write("bad.jsonl", "\n" + std::string(line))});
    EXPECT_EQ(ran.status, kFailed) << line;
    EXPECT_THAT(ran.err, HasSubstr(what));
  }
}

TEST_F(CliTest, ConfigCheckTellsEverythingAtOnce) {
  const std::string file = Write("m.yaml", "storage: {pth: x}\nworker: {concurrency: many}\nworker: {}\n");
  Ran ran = Run({"config", "check", "--config", file});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_THAT(ran.err,
              AllOf(HasSubstr(file + ":1:11: storage.pth: unknown key"), HasSubstr(file + ":2:23: worker.concurrency"),
                    HasSubstr(file + ":3:1: worker: stands twice"), HasSubstr("3 problems")));
  ran = Run({"config", "check", "--config", file, "--json"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_EQ(ran.json().at("problems").as_array().size(), 3u);
  ran = RunDb({"jobs", "list", "--config", file});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_THAT(ran.err,
              AllOf(HasSubstr("(and 2 more)"), HasSubstr("try: millrace config check --config " + file + "\n")));
  EXPECT_EQ(Run({"config", "check", "--config", Write("g.yaml", "environment: x\n")}).status, kOk);
  EXPECT_THAT(Run({"config", "show", "--config", Write("g.yaml", "environment: x\n")}).out,
              HasSubstr("environment: x"));
}

TEST_F(CliTest, APostgresThatIsNotThereIsToldWithoutItsPassword) {
  const Ran ran = Run({"jobs", "list", "--db", "postgresql://u:hunter2@127.0.0.1:1/db"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("cannot connect to PostgreSQL at 127.0.0.1:1/db"), Not(HasSubstr("hunter2"))));
}

TEST_F(CliTest, RunChecksItsInputsBeforeAnythingStarts) {
  Ran ran = RunDb({"run", "documents", (folder_ / "none").string()});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_THAT(ran.err, HasSubstr("none"));
  ran = RunDb({"run", "nonsense"});
  EXPECT_THAT(ran.err, HasSubstr("'nonsense' is neither a pipeline (known: documents) nor a folder or file"));
  ran = RunDb({"run", "https://example.net/"});
  EXPECT_THAT(ran.err, HasSubstr("not addresses"));
  ran = RunDb({"run"});
  EXPECT_THAT(ran.err, HasSubstr("what should the pipeline 'documents' read?"));
  EXPECT_FALSE(std::filesystem::exists(db_));
}

TEST_F(CliTest, ARunIsStartedForWhoeverWillWorkOnIt) {
  EXPECT_EQ(RunDb({"runs", "start"}).status, kUsage);
  EXPECT_EQ(RunDb({"runs", "start", "documents", (folder_ / "none").string()}).status, kFailed);
  EXPECT_FALSE(std::filesystem::exists(db_));
  const std::string file = Write("note.txt", "A note.\n");
  Ran ran = RunDb({"runs", "start", "documents", file});
  EXPECT_EQ(ran.status, kOk) << ran.err;
  EXPECT_EQ(ran.out, "run 1 started\n");
  EXPECT_THAT(ran.err, HasSubstr("millrace worker --db " + db_));
  EXPECT_THAT(RunDb({"jobs", "list", "--run", "1"}).out, HasSubstr("documents.discover"));
  ran = RunDb({"runs", "start", file, "--json"});
  EXPECT_TRUE(ran.json().at("joined").as_bool());
  EXPECT_EQ(ran.json().at("run_id").as_int64(), 1);
}

TEST_F(CliTest, CommandsReachTheOwnerThroughItsSocket) {
  Cli cli;
  cli.db = db_;
  const auto config = cli.CheckedConfig();
  ASSERT_TRUE(config);
  auto owner = Owner::Open(*config, "a test", Duration(0));
  ASSERT_TRUE(owner) << owner.error().message;
  ASSERT_TRUE((*owner)->Serve());
  EXPECT_EQ(RunDb({"enqueue", "mail", "--any-kind"}).status, kOk);
  EXPECT_EQ((*owner)->storage().GetJob(1).value()->kind, "mail");
  EXPECT_THAT(RunDb({"jobs", "list"}).out, HasSubstr("mail"));
  EXPECT_THAT(RunDb({"healthcheck", "--live"}).out, HasSubstr("alive"));
  EXPECT_EQ(RunDb({"healthcheck", "--ready"}).status, kFailed);
  EXPECT_THAT(RunDb({"debug", "threads"}).out, HasSubstr("threads of process"));
  EXPECT_EQ(RunDb({"jobs", "show", "77"}).status, kFailed);
  owner->reset();
  EXPECT_EQ(RunDb({"healthcheck", "--live"}).status, kFailed);
  EXPECT_THAT(RunDb({"jobs", "list"}).out, HasSubstr("mail"));
}

TEST_F(CliTest, ASecondOwnerIsRefusedAndNamesTheFirst) {
  Cli cli;
  cli.db = db_;
  const auto config = cli.CheckedConfig();
  auto owner = Owner::Open(*config, "the first owner", Duration(0));
  ASSERT_TRUE(owner);
  const auto second = Owner::Open(*config, "the second", Duration(0));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kOwned);
  EXPECT_THAT(second.error().message, AllOf(HasSubstr("the first owner"), HasSubstr(db_)));
}

TEST_F(CliTest, DeadLetterCommandsNeedAYes) {
  ASSERT_EQ(RunDb({"enqueue", "mail", "--any-kind"}).status, kOk);
  EXPECT_EQ(RunDb({"deadletter", "list"}).out, "no dead letters\n");
  EXPECT_EQ(RunDb({"deadletter", "--list"}).out, "no dead letters\n");
  EXPECT_EQ(RunDb({"deadletter", "--analyze"}).out, "no dead letters\n");
  EXPECT_EQ(RunDb({"deadletter"}).status, kUsage);
  EXPECT_EQ(RunDb({"deadletter", "retry"}).status, kUsage);
  const Ran ran = RunDb({"deadletter", "retry", "--all"});
  EXPECT_EQ(ran.status, kUsage);
  EXPECT_THAT(ran.err, HasSubstr("--yes"));
  EXPECT_EQ(RunDb({"deadletter", "retry", "--all", "--yes"}).status, kOk);
  EXPECT_EQ(RunDb({"deadletter", "--purge", "30", "--yes"}).out, "deleted 0 dead letters\n");
  EXPECT_EQ(RunDb({"deadletter", "retry", "1"}).status, kFailed);
  const std::string file = (folder_ / "dead.jsonl").string();
  EXPECT_EQ(RunDb({"deadletter", "export", file}).status, kOk);
  EXPECT_TRUE(std::filesystem::exists(file));
}

TEST_F(CliTest, MigratesUpAndDown) {
  EXPECT_EQ(RunDb({"migrate", "status"}).status, kFailed);
  EXPECT_EQ(RunDb({"migrate", "up", "--json"}).status, kOk);
  EXPECT_EQ(RunDb({"migrate", "validate"}).status, kOk);
  EXPECT_THAT(RunDb({"migrate", "status"}).out, HasSubstr("applied"));
  EXPECT_EQ(RunDb({"migrate", "down", "0"}).status, kUsage);
  EXPECT_EQ(RunDb({"migrate", "down", "0", "--yes"}).status, kOk);
  EXPECT_THAT(RunDb({"migrate", "status"}).out, HasSubstr("missing"));
}

TEST_F(CliTest, AFileThatIsNoDatabaseIsSaidSo) {
  Write("m.db", std::string(10'000, 'x'));
  const Ran ran = RunDb({"jobs", "list"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_THAT(ran.err, HasSubstr(db_));
}

TEST_F(CliTest, CompletionKnowsTheCommands) {
  EXPECT_THAT(Run({"completion", "bash"}).out,
              AllOf(HasSubstr("complete -o default -F _millrace millrace"), HasSubstr("\"jobs list\")")));
  EXPECT_THAT(Run({"completion", "fish"}).out, HasSubstr("__fish_seen_subcommand_from jobs"));
  EXPECT_EQ(Run({"completion", "tcsh"}).status, kUsage);
}

TEST_F(CliTest, SearchTakesExcludedWords) {
  ASSERT_EQ(RunDb({"migrate", "up"}).status, kOk);
  const Ran ran = RunDb({"search", "invoice", "-draft"});
  EXPECT_EQ(ran.status, kOk) << ran.err;
  EXPECT_EQ(ran.out, "nothing found\n");
}

TEST_F(CliTest, SourcesAreListedAndForgotten) {
  EXPECT_EQ(RunDb({"sources", "list"}).status, kFailed) << "reading makes no database";
  const std::string in = std::filesystem::canonical(folder_).string() + "/in";
  for (const char* name : {"one", "two"}) {
    std::filesystem::create_directories(in + "/" + name);
    std::ofstream(in + "/" + name + "/note.txt") << "A note about the wobbegong.\n";
    Cli cli;
    cli.db = db_;
    auto owner = Owner::Open(*cli.CheckedConfig(), "a test", Duration(0));
    ASSERT_TRUE(owner) << owner.error().message;
    ASSERT_TRUE((*owner)->storage().Transact([&](storage::Transaction& transaction) {
      documents::DocumentRecord record;
      record.source = in + "/" + name;
      record.path = "note.txt";
      return documents::ReplaceDocument({(*owner)->storage(), transaction.sql()}, record, nullptr);
    }));
  }
  EXPECT_THAT(RunDb({"sources"}).out, AllOf(HasSubstr(in + "/one"), HasSubstr(in + "/two")));
  EXPECT_EQ(RunDb({"sources", "list", "--json"}).json().at("sources").as_array().size(), 2u);
  Ran ran = RunDb({"sources", "forget", in + "/three", "--yes"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("there is no source"), HasSubstr(in + "/one")));
  ran = RunDb({"sources", "forget", in + "/one"});
  EXPECT_EQ(ran.status, kUsage);
  EXPECT_THAT(ran.err, HasSubstr("--yes"));
  std::filesystem::remove_all(in + "/one");
  ran = RunDb({"sources", "forget", in + "/two/../one/", "--yes", "--json"});
  EXPECT_EQ(ran.status, kOk) << ran.err;
  EXPECT_EQ(ran.json().at("documents").as_int64(), 1);
  EXPECT_THAT(RunDb({"sources", "list"}).out, AllOf(Not(HasSubstr(in + "/one")), HasSubstr(in + "/two")));
}

TEST_F(CliTest, AnEmptyDatabaseOrConfigurationIsNotTheDefaultOne) {
  Ran ran = Run({"queues", "list", "--db", ""});
  EXPECT_EQ(ran.status, kUsage);
  EXPECT_THAT(ran.err, HasSubstr("flag --db: storage.url: names no file"));
  ran = Run({"queues", "list", "--db", db_, "--config", ""});
  EXPECT_EQ(ran.status, kUsage);
  EXPECT_THAT(ran.err, HasSubstr("error"));
}

TEST_F(CliTest, MonitorPrintsOneFrameWithoutATerminal) {
  ASSERT_EQ(RunDb({"enqueue", "mail", "--any-kind", "--queue", "post", "--priority", "high"}).status, kOk);
  Ran ran = RunDb({"monitor"});
  EXPECT_EQ(ran.status, kOk) << ran.err;
  EXPECT_THAT(ran.out,
              AllOf(HasSubstr("millrace monitor  " + db_), HasSubstr("completed 0/s"), HasSubstr("CRITICAL  no worker"),
                    HasSubstr("post"), HasSubstr("high"), Not(HasSubstr("\033"))));
  ran = RunDb({"monitor", "--once", "--json"});
  const auto report = ran.json();
  EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), '\n'), 1);
  EXPECT_FALSE(report.at("stale").as_bool());
  EXPECT_EQ(report.at("totals").at("backlog").as_int64(), 1);
  EXPECT_EQ(report.at("throughput").at("completed_per_second").to_number<double>(), 0);
  EXPECT_EQ(report.at("queues").at(0).at("name").as_string(), "post");
  EXPECT_TRUE(report.at("queues").at(0).at("oldest_available_seconds").is_number());
  EXPECT_EQ(report.at("alerts").at(0).at("severity").as_string(), "critical");
}

TEST_F(CliTest, MonitorRefusesWhatItCannotDo) {
  Ran ran = RunDb({"monitor"});
  EXPECT_EQ(ran.status, kFailed);
  EXPECT_THAT(ran.err, HasSubstr("there is no database " + db_));
  EXPECT_FALSE(std::filesystem::exists(db_));
  for (const char* interval : {"soon", "1ms", "2h", "-1s"}) {
    ran = RunDb({"monitor", std::string("--interval=") + interval});
    EXPECT_EQ(ran.status, kUsage) << interval;
    EXPECT_THAT(ran.err, HasSubstr("--interval: ")) << interval;
  }
  EXPECT_THAT(RunDb({"monitor", "--live"}).err, HasSubstr("--live needs a terminal"));
  EXPECT_EQ(RunDb({"monitor", "--live", "--once"}).status, kUsage);
  ASSERT_EQ(RunDb({"enqueue", "mail", "--any-kind"}).status, kOk);
  EXPECT_THAT(RunDb({"monitor", "--run-id", "7"}).err, HasSubstr("there is no run 7"));
}

TEST_F(CliTest, CleanupTellsFirstAndDeletesWithYes) {
  for (int i = 0; i < 3; ++i) ASSERT_EQ(RunDb({"enqueue", "mail", "--any-kind"}).status, kOk);
  ASSERT_EQ(RunDb({"jobs", "cancel", "1", "2"}).status, kOk);
  Ran ran = RunDb({"cleanup"});
  EXPECT_EQ(ran.status, kOk) << ran.err;
  EXPECT_THAT(ran.out, AllOf(HasSubstr("finished jobs"), HasSubstr("7d"), HasSubstr("kept; --dead-older-than"),
                             HasSubstr("nothing was deleted")));
  const auto finished = [](const base::json::object& report) { return report.at("categories").at(0).as_object(); };
  ran = RunDb({"cleanup", "--older-than", "0s", "--json"});
  EXPECT_TRUE(ran.json().at("dry_run").as_bool());
  EXPECT_EQ(finished(ran.json()).at("count").as_int64(), 2);
  EXPECT_EQ(finished(ran.json()).at("deleted").as_int64(), 0);
  EXPECT_EQ(RunDb({"jobs", "list", "--json"}).json().at("jobs").as_array().size(), 3u);
  ran = RunDb({"cleanup", "--older-than", "0s", "--dead-older-than", "0s", "--yes", "--json"});
  EXPECT_EQ(finished(ran.json()).at("deleted").as_int64(), 2);
  EXPECT_FALSE(ran.json().at("categories").at(1).at("kept").as_bool());
  EXPECT_EQ(RunDb({"jobs", "list", "--json"}).json().at("jobs").as_array().size(), 1u);
}

TEST_F(CliTest, CleanupRefusesWhatIsNoAge) {
  ASSERT_EQ(RunDb({"enqueue", "mail", "--any-kind"}).status, kOk);
  for (const auto& [option, age] : std::vector<std::pair<std::string, std::string>>{
           {"--older-than", ""}, {"--older-than", "week"}, {"--dead-older-than", ""}, {"--dead-older-than", "1 day"}}) {
    const Ran ran = RunDb({"cleanup", option, age, "--yes"});
    EXPECT_EQ(ran.status, kUsage) << option << age;
    EXPECT_THAT(ran.err, HasSubstr("error: " + option + ": ")) << option << age;
  }
  EXPECT_EQ(RunDb({"cleanup", "--yes", "--dry-run"}).status, kUsage);
}

TEST_F(CliTest, CompletionKnowsEveryCommand) {
  EXPECT_THAT(Run({"completion", "bash"}).out, AllOf(HasSubstr("monitor"), HasSubstr("--refresh-interval"),
                                                     HasSubstr("cleanup"), HasSubstr("--dead-older-than")));
}

TEST_F(CliTest, BenchWorksItsJobs) {
  const Ran ran = Run({"bench", "noop", "--jobs", "2000", "--json", "--folder", folder_.string()});
  EXPECT_EQ(ran.status, kOk) << ran.err;
  EXPECT_EQ(ran.json().at("jobs").as_int64(), 2000);
  EXPECT_GT(ran.json().at("jobs_per_second").as_double(), 0);
  EXPECT_EQ(Run({"bench", "nothing"}).status, kUsage);
}

}  // namespace
}  // namespace millrace::cli
