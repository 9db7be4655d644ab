// SIGKILL at random moments of a run, each time started again: the content is that of a run nobody disturbed.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <random>
#include <thread>

#include "support/content.h"
#include "support/make_documents.h"
#include "support/program.h"

namespace millrace::tests {
namespace {

using std::chrono::milliseconds;

class Crash : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { AdoptOrphans(); }

  void MakeFolder() {
    for (unsigned i = 0; i < 60; ++i) {
      std::string name = std::to_string(i);
      WriteFile(In(name + ".txt"), MakeProse(2000, i));
      WriteFile(In("deep/" + name + ".html"), MakeHtml(30'000, i));
      WriteFile(In(name + ".pdf"), MakePdf({MakeProse(40, i), MakeProse(50, i + 1)}));
      WriteFile(In("bad " + name + ".pdf"), "%PDF-1.4 broken " + name);
    }
  }
  std::filesystem::path In(const std::string& name) const { return folder_.path() / "in" / name; }
  Start Run(const std::string& input, const std::string& database) const {
    return Millrace(folder_.path(), {"run", "documents", input, "--db", database, "--json"});
  }

  // Runs to the end over `input`; its content.
  std::string Finish(const std::string& input, const std::string& database) {
    Ended ended = RunToEnd(Run(input, database), std::chrono::seconds(280));
    EXPECT_TRUE(ended.code == 0 || ended.code == 3) << Describe(ended);
    seconds_ = ended.seconds;
    return Content(folder_ / database);
  }

  // Starts a run that is killed after `moment`. False: it ended before.
  bool KillAfter(const std::string& input, const std::string& database, milliseconds moment) {
    Child child(Run(input, database));
    if (!child.WaitForExit(moment)) child.Kill(SIGKILL);
    Ended ended = child.Wait();
    if (ended.signal != SIGKILL) {
      EXPECT_TRUE(ended.code == 0 || ended.code == 3) << Describe(ended);
      return false;
    }
    EXPECT_EQ(RemainingChildren(std::chrono::seconds(10)).size(), 0u) << "its children outlived it";
    return true;
  }

  // Kills runs until `kills` have landed. A life of a database lasts until a run gets to its end, killed on the way
  // however often; what it holds then is compared, and the next life begins with nothing.
  void KillAndCompare(const std::string& input, int kills) {
    const std::string calm = Finish(input, "calm.db");
    ASSERT_FALSE(calm.empty());
    const int whole = std::max(40, static_cast<int>(1000 * seconds_));
    const unsigned seed = Seed(20260301);
    SCOPED_TRACE("MILLRACE_TEST_SEED=" + std::to_string(seed));
    std::mt19937 random(seed);
    int killed = 0, lives = 0, rounds = 0;
    std::string database;
    const auto compare = [&] {
      const std::string disturbed = Finish(input, database);
      EXPECT_TRUE(disturbed == calm) << "life " << lives << " differs after " << killed
                                     << " kills: " << disturbed.size() << " and " << calm.size() << " bytes";
      database.clear();
    };
    while (killed < kills && ++rounds <= 4 * kills) {
      if (database.empty()) database = "killed" + std::to_string(++lives) + ".db";
      // Shorter on average than a whole run, so that each gets somewhere and some kills come late.
      const milliseconds moment(std::uniform_int_distribution<int>(1, whole * 3 / 4)(random));
      if (KillAfter(input, database, moment)) {
        ++killed;
      } else {
        compare();
      }
    }
    if (!database.empty()) compare();
    EXPECT_EQ(killed, kills) << "of " << rounds << " rounds, with runs of " << whole << " ms";
    RecordProperty("kills", killed);
    RecordProperty("rounds", rounds);
    RecordProperty("lives", lives);
  }

  TempDir folder_;
  double seconds_ = 1;
};

TEST_F(Crash, AFolderKilledTenTimesEndsAsIfUndisturbed) {
  MakeFolder();
  KillAndCompare("in", Full() ? 40 : 10);
}

TEST_F(Crash, ARunThatGoesOnLooksForWhatChangedMeanwhile) {
  MakeFolder();
  WriteFile(In("kept.txt"), "The aardvark is here from the beginning.");
  WriteFile(In("deleted.txt"), "The dingo is gone later.");
  WriteFile(In("changed.txt"), "The wombat is here first.");
  {
    Child child(Run("in", "m.db"));
    const auto discovered = [&] {
      const Ended runs = RunMillrace(folder_.path(), {"runs", "list", "--db", "m.db", "--json"});
      return runs.out.find("\"discovery_done\":true") != std::string::npos;
    };
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!discovered() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    child.Kill(SIGKILL);
    ASSERT_EQ(child.Wait().signal, SIGKILL) << "it ended before it could be killed";
  }
  std::filesystem::remove(In("deleted.txt"));
  WriteFile(In("changed.txt"), "The platypus is here instead of it.");
  WriteFile(In("new.txt"), "The quokka came.");
  Finish("in", "m.db");
  const auto hits = [&](const std::string& word) {
    return RunMillrace(folder_.path(), {"search", word, "--db", "m.db", "--json"}).out;
  };
  EXPECT_NE(hits("aardvark").find("kept.txt"), std::string::npos);
  EXPECT_NE(hits("platypus").find("changed.txt"), std::string::npos);
  EXPECT_NE(hits("quokka").find("new.txt"), std::string::npos);
  EXPECT_EQ(hits("dingo").find("deleted.txt"), std::string::npos);
  EXPECT_EQ(hits("wombat").find("changed.txt"), std::string::npos);
}

TEST_F(Crash, RealDocumentsKilledTenTimesEndAsIfUndisturbed) {
  if (Corpus().empty()) GTEST_SKIP() << "no corpus of real documents here; MILLRACE_CORPUS names one";
  if (Sanitized() && !Full()) GTEST_SKIP() << "takes minutes under a sanitizer; ./dev test --full does it";
  KillAndCompare(Corpus().string(), Full() ? 40 : 10);
}

}  // namespace
}  // namespace millrace::tests
