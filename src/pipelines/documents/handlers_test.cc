#include "pipelines/documents/handlers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "pipelines/documents/report.h"
#include "pipelines/documents/search.h"
#include "pipelines/documents/test_support.h"

namespace millrace::documents {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class DocumentsTest : public testing::Test {
 protected:
  DocumentsTest() : database_(databases_.Make()), machine_(std::make_unique<Machine>(database_, pool_, Options())) {}

  static DocumentsContext::Options Options() {
    DocumentsContext::Options options;
    options.max_bytes = 1000;
    options.chunk = 3;
    return options;
  }
  DocumentsSpec Spec() {
    FileSource source;
    source.name = "files";
    source.base_path = files_.path();
    return {{source}};
  }
  // Runs once and returns how many documents were parsed.
  int RunOnce() {
    const int before = pool_.parsed;
    run_ = machine_->Run(Spec());
    Machine::Must(CheckIndex(machine_->storage()));
    return pool_.parsed - before;
  }
  std::map<std::string, std::string> States() {
    std::map<std::string, std::string> states;
    for (const DocumentRow& d : Machine::Must(ListDocuments(machine_->storage(), {}))) {
      states[d.path] = std::string(DocumentStatusName(d.status)) + (d.reason.empty() ? "" : ":" + d.reason);
    }
    return states;
  }
  std::vector<std::string> Find(const std::string& query) {
    SearchRequest request;
    request.query = query;
    std::vector<std::string> found;
    for (const SearchHit& hit : Machine::Must(Search(machine_->storage(), request)).hits) found.push_back(hit.path);
    return found;
  }
  std::size_t Completed() { return machine_->Jobs(JobState::kCompleted, kParseKind).size(); }
  void WriteSomeFiles() {
    files_.Write("a.txt", "Alpha\nthe quick brown fox\n|a cell");
    files_.Write("b/c.txt", "Beta\njumps over");
    files_.Write("b/d.txt", "!broken");
    files_.Write("b/e.txt", "!unsupported_format");
    files_.Write("b/f.txt", "!encrypted");
    files_.Write("g.txt", std::string(2000, 'x'));
    fs::create_symlink("a.txt", files_ / "link");
    for (int i = 0; i < 8; ++i)
      files_.Write("many/" + std::to_string(i), "Number " + std::to_string(i) + "\ncommon words");
  }

  TempFolder files_;
  TestDatabases databases_;
  LinesPool pool_;
  std::string database_;
  std::unique_ptr<Machine> machine_;
  RunId run_ = 0;
};

TEST_F(DocumentsTest, EveryFileIsAccountedFor) {
  WriteSomeFiles();
  EXPECT_EQ(RunOnce(), 13);
  const auto states = States();
  EXPECT_EQ(states.size(), 15u);
  EXPECT_EQ(states.at("a.txt"), "parsed");
  EXPECT_EQ(states.at("b/d.txt"), "failed:broken");
  EXPECT_EQ(states.at("b/e.txt"), "unsupported:unsupported_format");
  EXPECT_EQ(states.at("b/f.txt"), "failed:encrypted");
  EXPECT_EQ(states.at("g.txt"), "failed:too_large");
  EXPECT_EQ(states.at("link"), "skipped:link");
  const auto dead = machine_->Jobs(JobState::kDead, kParseKind);
  ASSERT_THAT(dead, SizeIs(3));
  for (const Job& job : dead) EXPECT_FALSE(job.error.empty());
  const auto run = Machine::Must(machine_->storage().GetRun(run_));
  EXPECT_EQ(run->state, storage::RunState::kCompleted);
}

TEST_F(DocumentsTest, ASecondRunParsesNothingAndChangesNothing) {
  WriteSomeFiles();
  RunOnce();
  const std::string before = machine_->Dump();
  EXPECT_EQ(RunOnce(), 0);
  EXPECT_EQ(machine_->Dump(), before);
  EXPECT_THAT(machine_->Jobs(JobState::kCompleted, kRecordKind), SizeIs(1));
}

TEST_F(DocumentsTest, AChangedFileReplacesItsDocument) {
  WriteSomeFiles();
  RunOnce();
  EXPECT_THAT(Find("fox"), ElementsAre("a.txt"));
  files_.Write("a.txt", "Alpha\nthe slow red wolf");
  files_.SetTime("a.txt", 1'600'000'000'000'000'000);
  EXPECT_EQ(RunOnce(), 1);
  EXPECT_THAT(Find("fox"), IsEmpty());
  EXPECT_THAT(Find("wolf"), ElementsAre("a.txt"));
  EXPECT_EQ(States().size(), 15u);
}

TEST_F(DocumentsTest, AChangeOfTimeAloneParsesNothing) {
  WriteSomeFiles();
  RunOnce();
  const std::string before = machine_->Dump();
  for (const char* path : {"a.txt", "b/d.txt", "b/e.txt"}) files_.SetTime(path, 1'700'000'000'000'000'000);
  EXPECT_EQ(RunOnce(), 0);
  EXPECT_EQ(Completed(), 11u + 3u);
  EXPECT_EQ(machine_->Dump(), before);
  const auto report = Machine::Must(RunReport(machine_->storage(), run_));
  EXPECT_EQ(report.written.documents, 0);
  EXPECT_EQ(report.reread, 3);
  EXPECT_EQ(report.unchanged, 12);
  EXPECT_THAT(ReportToText(report), HasSubstr("12 unchanged, 3 touched but with the same content"));
  EXPECT_THAT(ReportToJson(report), HasSubstr(R"("reread":3,"unchanged":12)"));
  EXPECT_EQ(RunOnce(), 0);
  EXPECT_EQ(Completed(), 11u + 3u) << "the new times were not kept";
}

TEST_F(DocumentsTest, ADeletedFileGoes) {
  WriteSomeFiles();
  RunOnce();
  fs::remove(files_ / "a.txt");
  fs::remove_all(files_ / "many");
  fs::remove(files_ / "link");
  EXPECT_EQ(RunOnce(), 0);
  EXPECT_EQ(States().size(), 5u);
  EXPECT_THAT(Find("fox"), IsEmpty());
  EXPECT_THAT(Find("common"), IsEmpty());
}

TEST_F(DocumentsTest, AnEmptiedFolderEmptiesItsSourceAndNoOther) {
  WriteSomeFiles();
  RunOnce();
  TempFolder other;
  other.Write("x", "Other\nthing");
  FileSource source;
  source.name = "a source before";
  source.base_path = other.path();
  machine_->Run({{source}});
  source.name = "zz";
  machine_->Run({{source}});
  for (const auto& entry : fs::directory_iterator(files_.path())) fs::remove_all(entry.path());
  RunOnce();
  EXPECT_EQ(Machine::Must(ListDocuments(machine_->storage(), {})).size(), 2u);
  EXPECT_THAT(Find("thing"), SizeIs(2));
}

TEST_F(DocumentsTest, ASourceThatIsGoneKeepsItsDocumentsAndSaysSo) {
  WriteSomeFiles();
  RunOnce();
  const auto started = StartDocumentsRun(machine_->storage(), Spec());
  ASSERT_TRUE(started.has_value());
  fs::rename(files_.path(), files_.path() + "-away");
  machine_->Work();
  fs::rename(files_.path() + "-away", files_.path());
  EXPECT_EQ(States().at("./"), "failed:unreadable");
  EXPECT_EQ(States().size(), 16u);
  EXPECT_EQ(Machine::Must(machine_->storage().GetRun(started->id))->state, storage::RunState::kCompleted);
  EXPECT_EQ(RunOnce(), 0);
  EXPECT_EQ(States().size(), 15u) << "the note about the folder must go when it is back";
}

TEST_F(DocumentsTest, AFolderThatCannotBeListedKeepsItsDocuments) {
  std::string deep = "d";
  for (int i = 0; i < 130; ++i) deep += "/d";
  files_.Write("a", "Alpha");
  RunOnce();
  files_.Write(deep + "/f", "Deep");
  EXPECT_EQ(RunOnce(), 0);
  const auto states = States();
  ASSERT_EQ(states.size(), 2u);
  EXPECT_EQ(states.rbegin()->second, "skipped:too_deep");
}

TEST_F(DocumentsTest, AFileThatVanishedBeforeItWasParsedIsNoDocument) {
  files_.Write("a", "Alpha");
  files_.Write("b", "Beta");
  pool_.on_parse = [&](const std::string& name) {
    if (name == "a") fs::remove(files_ / "b");
  };
  RunOnce();
  EXPECT_EQ(States().size(), 1u);
  EXPECT_THAT(machine_->Jobs(JobState::kDead, kParseKind), IsEmpty());
}

TEST_F(DocumentsTest, AFileWrittenWhileItIsParsedIsParsedAgainNextTime) {
  files_.Write("a", "Alpha");
  pool_.on_parse = [&](const std::string&) { files_.Write("a", "Omega"), files_.SetTime("a", 7'000'000'000); };
  EXPECT_EQ(RunOnce(), 1);
  EXPECT_THAT(Find("omega"), ElementsAre("a", "a"));
  pool_.on_parse = nullptr;
  files_.Write("a", "Alpha");  // what was hashed before the parser read something else
  EXPECT_EQ(RunOnce(), 1);
  EXPECT_THAT(Find("alpha"), ElementsAre("a", "a"));
  EXPECT_THAT(Find("omega"), IsEmpty());
  EXPECT_EQ(RunOnce(), 0);
}

TEST_F(DocumentsTest, TheMachinesFailureIsTriedAgainAndAccountedForInTheEnd) {
  files_.Write("a", "!machine");
  EXPECT_GE(RunOnce(), 1);
  storage::JobFilter filter;
  filter.kind = kParseKind;
  const auto jobs = Machine::Must(machine_->storage().ListJobs(filter));
  ASSERT_THAT(jobs, SizeIs(1));
  EXPECT_EQ(jobs[0].state, JobState::kDead);
  EXPECT_EQ(jobs[0].attempt, 4);
  EXPECT_EQ(States().at("a"), "failed:internal");
  EXPECT_GE(RunOnce(), 1) << "a failure of the machine is tried again in the next run";
}

TEST_F(DocumentsTest, ADeadLetterStartedAgainIsParsedAgain) {
  files_.Write("a", "!broken");
  RunOnce();
  const int before = pool_.parsed;
  storage::JobFilter filter;
  filter.kind = kParseKind;
  ASSERT_THAT(Machine::Must(machine_->storage().RetryDead(filter)), SizeIs(1));
  machine_->Work();
  EXPECT_EQ(pool_.parsed, before + 1);
}

TEST_F(DocumentsTest, AFileThatMayNotBeReadFailsUntilItMay) {
  files_.Write("a", "Alpha");
  files_.Write("closed", "Secret");
  files_.Write("shut/b", "Beta");
  EXPECT_EQ(RunOnce(), 3);
  files_.SetTime("closed", 1'600'000'000'000'000'000);
  fs::permissions(files_ / "closed", fs::perms::none);
  fs::permissions(files_ / "shut", fs::perms::none);
  const auto run_unprivileged = [&] {
    for (const auto& entry : fs::directory_iterator(databases_.folder())) fs::permissions(entry.path(), fs::perms::all);
    const Unprivileged unprivileged;
    return RunOnce();
  };
  EXPECT_EQ(run_unprivileged(), 0);
  const auto states = States();
  EXPECT_EQ(states.at("closed"), "failed:unreadable");
  EXPECT_EQ(states.at("shut/"), "failed:unreadable");
  EXPECT_EQ(states.at("shut/b"), "parsed") << "not to see it is not to see that it is gone";
  EXPECT_THAT(machine_->Jobs(JobState::kDead, kParseKind), SizeIs(1));
  const std::string before = machine_->Dump();
  EXPECT_EQ(run_unprivileged(), 0);
  EXPECT_EQ(machine_->Dump(), before);
  EXPECT_THAT(machine_->Jobs(JobState::kDead, kParseKind), SizeIs(1)) << "an unchanged failure is not tried again";
  fs::permissions(files_ / "closed", fs::perms::all);
  fs::permissions(files_ / "shut", fs::perms::all);
  EXPECT_EQ(run_unprivileged(), 1) << "permissions leave no trace in size and time";
  EXPECT_EQ(States(),
            (std::map<std::string, std::string>{{"a", "parsed"}, {"closed", "parsed"}, {"shut/b", "parsed"}}));
}

TEST_F(DocumentsTest, NamesThatAreNotUtf8AreDocumentsToo) {
  files_.Write("caf\xE9", "Coffee\nblack");
  EXPECT_EQ(RunOnce(), 1);
  EXPECT_THAT(Find("black"), ElementsAre("caf%E9"));
  EXPECT_EQ(RunOnce(), 0);
}

// The law of resumption: die at any write of a run over a changed folder, start again, and the content is the same.
TEST_F(DocumentsTest, DyingAtAnyWriteEndsInTheSameContent) {
  const auto change = [&] {
    files_.Write("a.txt", "Alpha\nthe slow red wolf");
    files_.SetTime("a.txt", 1'600'000'000'000'000'000);
    files_.Write("new.txt", "New\nfile");
    fs::remove(files_ / "many/3");
    fs::remove(files_ / "link");
  };
  WriteSomeFiles();
  RunOnce();
  machine_.reset();  // so that all of it is in the file
  const std::string base = databases_.Copy(database_);
  machine_ = std::make_unique<Machine>(database_, pool_, Options());
  change();
  RunOnce();
  const std::string expected = machine_->Dump();
  machine_.reset();
  for (const bool from_empty : {false, true}) {
    int write = 0;
    bool died = true;
    while (died) {
      ++write;
      for (const bool after : {false, true}) {
        Machine machine(from_empty ? databases_.Make() : databases_.Copy(base), pool_, Options());
        machine.DieAt(write, after);
        machine.Run(Spec());
        died = machine.deaths() > 0;
        ASSERT_EQ(machine.Dump(), expected)
            << "died at write " << write << (after ? " after" : " before") << " its commit";
        Machine::Must(CheckIndex(machine.storage()));
        const std::size_t dead = machine.Jobs(JobState::kDead, kParseKind).size();
        EXPECT_EQ(dead, 3u) << "write " << write;
      }
    }
    EXPECT_GT(write, from_empty ? 15 : 5) << "too few writes to have tested anything";
  }
}

TEST_F(DocumentsTest, TheReportCountsWhatIsThere) {
  WriteSomeFiles();
  RunOnce();
  const auto report = Machine::Must(RunReport(machine_->storage(), run_));
  EXPECT_EQ(report.total.documents, 15);
  EXPECT_EQ(report.by_status.at("parsed").documents, 10);
  EXPECT_EQ(report.by_status.at("failed").documents, 3);
  EXPECT_EQ(report.by_reason.at("broken"), 1);
  EXPECT_EQ(report.by_reason.at("link"), 1);
  EXPECT_EQ(report.by_media_type.at("text/plain").documents, 10);
  EXPECT_EQ(report.by_language.at("en").documents, 10);
  EXPECT_EQ(report.written.documents, 14);
  EXPECT_EQ(report.dead, 3);
  ASSERT_THAT(report.failed, SizeIs(3));
  EXPECT_EQ(report.failed[0].path, "b/d.txt");
  EXPECT_THAT(ReportToText(report), HasSubstr("10 parsed, 1 unsupported, 3 failed, 1 skipped"));
  const auto job = machine_->Jobs(JobState::kCompleted, kReportKind);
  ASSERT_THAT(job, SizeIs(1));
  EXPECT_THAT(job[0].result, HasSubstr("\"documents\":15"));
  RunOnce();
  const auto second = Machine::Must(RunReport(machine_->storage(), run_));
  EXPECT_EQ(second.total.documents, 15);
  EXPECT_EQ(second.written.documents, 0);
  EXPECT_EQ(second.unchanged, 15);
  EXPECT_EQ(second.reread, 0);
}

TEST_F(DocumentsTest, ProgressCountsDocumentsNotStages) {
  WriteSomeFiles();
  RunOnce();
  const auto progress = Machine::Must(ProgressOfRun(machine_->storage(), run_));
  EXPECT_TRUE(progress.listed);
  EXPECT_TRUE(progress.finished);
  EXPECT_EQ(progress.open, 0);
  EXPECT_EQ(progress.failed, 3);
  EXPECT_EQ(progress.done, 12) << "11 documents and the record of a link";
  EXPECT_EQ(ProgressOfRun(machine_->storage(), run_ + 100).error().code, ErrorCode::kNotFound);
}

TEST_F(DocumentsTest, JobsOfNoRunOrSourceAreDead) {
  files_.Write("a", "Alpha");
  RunOnce();
  const auto enqueue = [&](const NewJob& job) { return machine_->storage().Enqueue(std::span(&job, 1)); };
  // A run that is not there, or is over, takes none.
  for (const RunId run : {run_ + 100, run_}) {
    const auto refused = enqueue(ParseJob(run, "files", "b"));
    ASSERT_FALSE(refused.has_value()) << run;
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  }
  Machine::Must(enqueue(ParseJob(0, "files", "a")));
  const auto active = Machine::Must(StartDocumentsRun(machine_->storage(), Spec()));
  Machine::Must(enqueue(ParseJob(active.id, "none", "a")));
  machine_->Work();
  std::vector<std::string> errors;
  for (const Job& job : machine_->Jobs(JobState::kDead, kParseKind)) errors.push_back(job.error);
  EXPECT_THAT(errors, UnorderedElementsAre(HasSubstr("there is no run 0"), HasSubstr("no source named 'none'")));
  EXPECT_EQ(States(), (std::map<std::string, std::string>{{"a", "parsed"}}));
}

TEST_F(DocumentsTest, ARunIsJoinedByItsSources) {
  files_.Write("a", "Alpha");
  const auto first = Machine::Must(StartDocumentsRun(machine_->storage(), Spec()));
  const auto second = Machine::Must(StartDocumentsRun(machine_->storage(), Spec()));
  EXPECT_TRUE(second.joined);
  EXPECT_EQ(first.id, second.id);
  machine_->Work();
  const auto third = Machine::Must(StartDocumentsRun(machine_->storage(), Spec()));
  EXPECT_FALSE(third.joined);
  EXPECT_EQ(third.generation, first.generation + 1);
}

TEST(DocumentsSpecTest, SpecsSurviveJson) {
  FileSource source;
  source.name = "n";
  source.base_path = "/tmp/caf\xE9";
  source.only = "x%41";
  source.include = {"*.pdf"};
  source.exclude = {"a", "b"};
  source.extensions = {"md"};
  source.recursive = false;
  const auto back = SpecFromJson(SpecToJson({{source}}));
  ASSERT_TRUE(back.has_value()) << back.error().message;
  ASSERT_THAT(back->sources, SizeIs(1));
  EXPECT_EQ(back->sources[0].base_path, source.base_path);
  EXPECT_EQ(back->sources[0].only, source.only);
  EXPECT_EQ(back->sources[0].include, source.include);
  EXPECT_EQ(back->sources[0].exclude, source.exclude);
  EXPECT_EQ(back->sources[0].extensions, source.extensions);
  EXPECT_FALSE(back->sources[0].recursive);
  for (const char* json : {"", "{}", "[]", R"({"sources":[{}]})", R"({"sources":[{"type":"file","name":"n"}]})"}) {
    EXPECT_FALSE(SpecFromJson(json).has_value()) << json;
  }
}

TEST(DocumentsSpecTest, InputsAreCheckedBeforeARunStarts) {
  TempFolder folder;
  folder.Write("a", "x");
  const std::vector<std::string> twice = {folder.path(), folder.path() + "/", (folder / "a").string()};
  const auto spec = SpecOfInputs(twice);
  ASSERT_TRUE(spec.has_value());
  EXPECT_THAT(spec->sources, SizeIs(1));
  const std::vector<std::string> missing = {folder.path(), (folder / "missing").string()};
  EXPECT_EQ(SpecOfInputs(missing).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(SpecOfInputs({}).error().code, ErrorCode::kInvalidArgument);
  FileSource source;
  source.name = "same";
  source.base_path = folder.path();
  EXPECT_EQ(ResolveSpec({{source, source}}).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace millrace::documents
