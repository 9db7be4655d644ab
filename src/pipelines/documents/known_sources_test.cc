// One file, one source, whatever folders runs name one after the other; and forgetting.
#include "pipelines/documents/known_sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

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

class KnownSourcesTest : public testing::Test {
 protected:
  KnownSourcesTest() : machine_(databases_.Make(), pool_) {
    files_.Write("a.txt", "Alpha");
    files_.Write("sub/b.txt", "Beta");
    files_.Write("sub/deep/c.txt", "Gamma");
  }

  std::string At(const std::string& name) { return (files_ / name).string(); }
  // As `millrace run documents INPUTS`; notes are kept.
  RunId RunOver(const std::vector<std::string>& inputs) {
    const auto merged = Machine::Must(MergeWithKnown(machine_.storage(), Machine::Must(SpecOfInputs(inputs))));
    notes_ = merged.notes;
    const RunId run = machine_.Run(merged.spec);
    Machine::Must(CheckIndex(machine_.storage()));
    return run;
  }
  // Real files that have documents, one line for each document.
  std::vector<std::string> Files() {
    std::vector<std::string> files;
    for (const DocumentRow& d : Machine::Must(ListDocuments(machine_.storage(), {}))) {
      const bool single = d.source.ends_with("/" + d.path);
      files.push_back(fs::path(single ? d.source : d.source + "/" + d.path).lexically_relative(files_.path()).string());
    }
    return files;
  }
  std::vector<std::string> Sources() {
    std::vector<std::string> names;
    for (const SourceSummary& s : Machine::Must(SummarizeSources(machine_.storage()))) names.push_back(s.source.name);
    return names;
  }
  // How many documents a search finds.
  std::size_t Found(const std::string& query) {
    SearchRequest request;
    request.query = query;
    std::set<std::string> documents;
    for (const SearchHit& hit : Machine::Must(Search(machine_.storage(), request)).hits)
      documents.insert(hit.document_id);
    return documents.size();
  }

  TempFolder files_, elsewhere_;
  TestDatabases databases_;
  LinesPool pool_;
  Machine machine_;
  std::vector<std::string> notes_;
};

TEST_F(KnownSourcesTest, InputsThatOverlapAreReadOnce) {
  fs::create_directory_symlink(files_.path(), elsewhere_ / "alias");
  const std::string alias = (elsewhere_ / "alias").string();
  for (const std::vector<std::string>& inputs : std::vector<std::vector<std::string>>{
           {files_.path(), At("sub")},
           {At("sub"), files_.path()},
           {At("sub/deep/c.txt"), At("sub"), files_.path()},
           {files_.path(), files_.path() + "/", files_.path() + "/sub/..", alias, alias + "/sub", alias + "/a.txt"}}) {
    const auto spec = Machine::Must(SpecOfInputs(inputs));
    ASSERT_THAT(spec.sources, SizeIs(1)) << inputs.front();
    EXPECT_EQ(spec.sources[0].base_path, files_.path());
  }
  RunOver({files_.path(), At("sub")});
  EXPECT_THAT(Files(), UnorderedElementsAre("a.txt", "sub/b.txt", "sub/deep/c.txt"));
}

TEST_F(KnownSourcesTest, WhatTheOuterFolderLeavesOutIsReadForItself) {
  files_.Write(".git/config", "Delta");
  RunOver({files_.path(), At(".git")});
  EXPECT_THAT(Files(), UnorderedElementsAre("a.txt", "sub/b.txt", "sub/deep/c.txt", ".git/config"));
}

TEST_F(KnownSourcesTest, AnInnerFolderIsReadAsPartOfTheOuterOne) {
  RunOver({files_.path()});
  files_.Write("sub/new.txt", "Nova");
  RunOver({At("sub")});
  ASSERT_THAT(notes_, SizeIs(1));
  EXPECT_THAT(notes_[0], HasSubstr(At("sub")));
  EXPECT_THAT(Files(), UnorderedElementsAre("a.txt", "sub/b.txt", "sub/deep/c.txt", "sub/new.txt"));
  RunOver({At("sub/new.txt")});
  EXPECT_THAT(Sources(), ElementsAre(files_.path()));
}

TEST_F(KnownSourcesTest, AnOuterFolderTakesInnerOnesOver) {
  RunOver({At("sub/deep/c.txt")});
  RunOver({At("sub")});
  EXPECT_THAT(Sources(), ElementsAre(At("sub")));
  fs::remove(files_ / "sub/b.txt");
  RunOver({files_.path()});
  EXPECT_THAT(notes_, IsEmpty());
  EXPECT_THAT(Sources(), ElementsAre(files_.path()));
  EXPECT_THAT(Files(), UnorderedElementsAre("a.txt", "sub/deep/c.txt"));
  EXPECT_EQ(Found("gamma"), 1u);
}

TEST_F(KnownSourcesTest, WhatTheOuterFolderCannotSeeIsKept) {
  RunOver({At("sub")});
  const auto spec = Machine::Must(SpecOfInputs(std::vector<std::string>{files_.path()}));
  const auto started = Machine::Must(StartDocumentsRun(machine_.storage(), spec));
  for (const auto& entry : fs::directory_iterator(databases_.folder())) fs::permissions(entry.path(), fs::perms::all);
  fs::permissions(files_ / "sub", fs::perms::none);
  {
    const Unprivileged unprivileged;
    machine_.Work();
  }
  fs::permissions(files_ / "sub", fs::perms::all);
  EXPECT_EQ(Machine::Must(machine_.storage().GetRun(started.id))->state, storage::RunState::kCompleted);
  EXPECT_EQ(Found("beta"), 1u);
  RunOver({files_.path()});
  EXPECT_THAT(Sources(), ElementsAre(files_.path()));
  EXPECT_EQ(Found("beta"), 1u);
}

TEST_F(KnownSourcesTest, ConfiguredSourcesOfOnePipelineShareNoFile) {
  files_.Write("sub/d.pdf", "Delta");
  FileSource texts, all, pdfs;
  texts.name = "texts", texts.base_path = files_.path(), texts.include = {"*.txt"};
  all.name = "all", all.base_path = At("sub");
  pdfs.name = "pdfs", pdfs.base_path = At("sub"), pdfs.extensions = {"pdf"};
  machine_.Run({{all, pdfs, texts}});
  std::map<std::string, std::string> owner;
  for (const DocumentRow& d : Machine::Must(ListDocuments(machine_.storage(), {}))) {
    EXPECT_TRUE(owner.emplace(fs::path(d.path).filename(), d.source).second) << d.path << " is there twice";
  }
  EXPECT_EQ(owner, (std::map<std::string, std::string>{
                       {"a.txt", "texts"}, {"b.txt", "texts"}, {"c.txt", "texts"}, {"d.pdf", "all"}}));
}

// Works until the run is over, as the command does, and not a job more.
TEST_F(KnownSourcesTest, ARunEndsAfterWhatAnEarlierRunLeftOfItsSources) {
  TempFolder other;
  other.Write("z.txt", "Zeta");
  const auto first = Machine::Must(SpecOfInputs(std::vector<std::string>{files_.path()}));
  const RunId interrupted = Machine::Must(StartDocumentsRun(machine_.storage(), first)).id;
  ASSERT_TRUE(machine_.WorkOne()) << "its discovery";
  // So that whatever order jobs are given in, those of the interrupted run come last.
  Machine::Must(machine_.storage().PauseQueue(std::string(kParseKind), true));
  const auto both = Machine::Must(SpecOfInputs(std::vector<std::string>{files_.path(), other.path()}));
  const RunId run = Machine::Must(StartDocumentsRun(machine_.storage(), both)).id;
  for (int i = 0; i < 5; ++i) machine_.WorkOne();
  EXPECT_FALSE(Machine::Must(machine_.storage().GetRun(run))->discovery_done) << "it left out what others have to do";
  EXPECT_EQ(Machine::Must(RunAtWorkOn(machine_.storage(), both, run)), interrupted);
  Machine::Must(machine_.storage().PauseQueue(std::string(kParseKind), false));
  while (Machine::Must(machine_.storage().GetRun(run))->state == storage::RunState::kActive) {
    ASSERT_TRUE(machine_.WorkOne());
  }
  for (const char* word : {"alpha", "beta", "gamma", "zeta"}) EXPECT_EQ(Found(word), 1u) << word;
  EXPECT_EQ(pool_.parsed, 4) << "no document twice";
}

TEST_F(KnownSourcesTest, NeitherOfTwoRunsWaitsForTheOtherForEver) {
  TempFolder other;
  other.Write("z.txt", "Zeta");
  const auto first = Machine::Must(SpecOfInputs(std::vector<std::string>{files_.path()}));
  const auto both = Machine::Must(SpecOfInputs(std::vector<std::string>{files_.path(), other.path()}));
  Machine::Must(StartDocumentsRun(machine_.storage(), both));
  Machine::Must(StartDocumentsRun(machine_.storage(), first));
  machine_.Work();
  for (const auto& run : Machine::Must(machine_.storage().ListRuns(10))) {
    EXPECT_EQ(run.state, storage::RunState::kCompleted) << run.id;
  }
  EXPECT_EQ(pool_.parsed, 4);
}

TEST_F(KnownSourcesTest, AForgottenSourceLeavesNothing) {
  RunOver({At("sub")});
  TempFolder other;
  for (int i = 0; i < 450; ++i) other.Write("n" + std::to_string(i), "Number\ncommon words");
  RunOver({other.path()});
  ASSERT_EQ(Machine::Must(SummarizeSources(machine_.storage())).size(), 2u);
  std::int64_t documents = 0;
  int calls = 0;
  for (bool more = true; more; ++calls) {
    const Forgotten forgotten = Machine::Must(ForgetSome(machine_.storage(), other.path()));
    documents += forgotten.documents;
    more = forgotten.more;
  }
  EXPECT_EQ(documents, 450);
  EXPECT_EQ(calls, 3) << "in batches";
  Machine::Must(CheckIndex(machine_.storage()));
  EXPECT_EQ(Found("common"), 0u);
  EXPECT_EQ(Found("beta"), 1u) << "the other one stays";
  EXPECT_THAT(Sources(), ElementsAre(At("sub")));
  EXPECT_EQ(ForgetSome(machine_.storage(), other.path()).error().code, ErrorCode::kNotFound);
  RunOver({other.path()});
  EXPECT_EQ(Found("beta"), 1u);
  EXPECT_THAT(Sources(), SizeIs(2)) << "it can be read again";
}

TEST_F(KnownSourcesTest, ASourceThatARunIsAtWorkOnIsNotForgotten) {
  RunOver({files_.path()});
  const auto spec = Machine::Must(SpecOfInputs(std::vector<std::string>{files_.path()}));
  const RunId run = Machine::Must(StartDocumentsRun(machine_.storage(), spec)).id;
  const auto refused = ForgetSome(machine_.storage(), files_.path());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
  EXPECT_THAT(refused.error().message, HasSubstr("millrace runs cancel " + std::to_string(run)));
  EXPECT_EQ(Machine::Must(SummarizeSources(machine_.storage())).at(0).active_run, run);
  Machine::Must(machine_.storage().CancelRun(run));
  EXPECT_TRUE(ForgetSome(machine_.storage(), files_.path()).has_value());
}

}  // namespace
}  // namespace millrace::documents
