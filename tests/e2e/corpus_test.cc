// Real documents, some hostile: every file is accounted for, nothing hangs, grows or is left behind.
#include <gtest/gtest.h>

#include <filesystem>

#include "support/content.h"
#include "support/program.h"

namespace millrace::tests {
namespace {

namespace fs = std::filesystem;
using documents::DocumentStatus;

class CorpusTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { AdoptOrphans(); }
  void SetUp() override {
    if (Corpus().empty()) GTEST_SKIP() << "no corpus of real documents here; MILLRACE_CORPUS names one";
  }
  TempDir folder_;
};

TEST_F(CorpusTest, EveryFileIsADocumentOrHasAReason) {
  Ended ended = RunToEnd(Millrace(folder_.path(), {"run", "documents", Corpus().string(), "--db", "m.db", "--json"}),
                         std::chrono::seconds(280));
  EXPECT_TRUE(ended.code == 0 || ended.code == 3) << Describe(ended);
  base::json::value summary = Json(ended);
  std::size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(Corpus())) files += entry.is_regular_file() ? 1 : 0;
  auto all = Documents(folder_ / "m.db");
  EXPECT_EQ(all.size(), files);
  std::map<std::string, int> reasons;
  for (const auto& [name, row] : all) {
    if (row.status == DocumentStatus::kParsed) continue;
    EXPECT_FALSE(row.reason.empty()) << name;
    EXPECT_FALSE(row.message.empty()) << name << " " << row.reason;
    ++reasons[row.reason];
  }
  for (const auto& [reason, count] : reasons) std::printf("%s: %d\n", reason.c_str(), count);
  std::printf("peak %ld KiB, %.1f s\n%s\n", ended.peak_kib, ended.seconds, base::ToPrettyJson(summary).c_str());
  if (!Sanitized()) {
    EXPECT_LT(ended.peak_kib, 150 * 1024) << "the main process grew";
  }
  EXPECT_EQ(RemainingChildren(std::chrono::seconds(5)).size(), 0u) << "children were left behind";
}

TEST_F(CorpusTest, ASecondRunParsesNothing) {
  std::vector<std::string> args = {"run", "documents", Corpus().string(), "--db", "m.db", "--json"};
  RunToEnd(Millrace(folder_.path(), args), std::chrono::seconds(280));
  std::string before = Content(folder_ / "m.db");
  Ended second = RunToEnd(Millrace(folder_.path(), args), std::chrono::seconds(60));
  EXPECT_EQ(Json(second).at("run").at("documents").to_number<int>(), 0) << Describe(second);
  EXPECT_EQ(Content(folder_ / "m.db"), before);
}

}  // namespace
}  // namespace millrace::tests
