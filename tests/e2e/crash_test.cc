// SIGKILL at random moments of a run, each time started again: the content is that of a run nobody disturbed.
#include <gtest/gtest.h>

#include <csignal>
#include <random>

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

  // Runs to the end over `input`; its content.
  std::string Finish(const std::string& input, const std::string& database) {
    Ended ended = RunToEnd(Millrace(folder_.path(), {"run", "documents", input, "--db", database, "--json"}),
                           std::chrono::seconds(280));
    EXPECT_TRUE(ended.code == 0 || ended.code == 3) << Describe(ended);
    seconds_ = ended.seconds;
    return Content(folder_ / database);
  }

  void KillAndCompare(const std::string& input) {
    std::string calm = Finish(input, "calm.db");
    ASSERT_FALSE(calm.empty());
    unsigned seed = Seed(20260301);
    SCOPED_TRACE("MILLRACE_TEST_SEED=" + std::to_string(seed));
    std::mt19937 random(seed);
    int killed = 0;
    for (int round = 0; round < (Full() ? 40 : 10); ++round) {
      Child child(Millrace(folder_.path(), {"run", "documents", input, "--db", "killed.db", "--json"}));
      // Shorter than a whole run, so that each round gets somewhere and few finish.
      auto whole = static_cast<int>(1000 * seconds_);
      milliseconds moment(std::uniform_int_distribution<int>(1, std::max(20, whole / 2))(random));
      if (child.WaitForExit(moment)) continue;
      child.Kill(SIGKILL);
      Ended ended = child.Wait();
      if (ended.signal != SIGKILL) {  // it finished just before the signal came
        EXPECT_TRUE(ended.code == 0 || ended.code == 3) << Describe(ended);
        continue;
      }
      EXPECT_EQ(RemainingChildren(std::chrono::seconds(10)).size(), 0u) << "its children outlived it";
      ++killed;
    }
    EXPECT_GT(killed, 0);
    std::string disturbed = Finish(input, "killed.db");
    EXPECT_TRUE(disturbed == calm) << "the content differs after " << killed << " kills: " << disturbed.size()
                                   << " and " << calm.size() << " bytes";
  }

  TempDir folder_;
  double seconds_ = 1;
};

TEST_F(Crash, AFolderKilledTenTimesEndsAsIfUndisturbed) {
  MakeFolder();
  KillAndCompare("in");
}

TEST_F(Crash, RealDocumentsKilledTenTimesEndAsIfUndisturbed) {
  if (Corpus().empty()) GTEST_SKIP() << "no corpus of real documents here; MILLRACE_CORPUS names one";
  if (Sanitized() && !Full()) GTEST_SKIP() << "takes minutes under a sanitizer; ./dev test --full does it";
  KillAndCompare(Corpus().string());
}

}  // namespace
}  // namespace millrace::tests
