// Real documents, hostile and broken ones among them, through the pool and both programs.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "pipelines/documents/parser_pool.h"
#include "pipelines/documents/parser_process.h"

namespace millrace::documents {
namespace {

std::filesystem::path Corpus() {
  const char* path = std::getenv("MILLRACE_CORPUS");
  const std::filesystem::path corpus = path == nullptr ? MILLRACE_SOURCE_DIR "/../shared/corpus" : path;
  return corpus / "tika";
}

// What became of a document: "parsed", or the reason why not; with its text.
struct Seen {
  std::string outcome;
  std::string text;
  std::vector<std::string> locations;
  std::vector<std::string> warnings;
};

Seen Look(ParserPool& pool, const std::filesystem::path& path) {
  const OwnedFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  auto outcome = pool.Parse({fd.get(), path.filename()}, {});
  if (!outcome) return {"error: " + outcome.error().message, {}, {}, {}};
  if (!outcome->document) {
    EXPECT_FALSE(outcome->failure.message.empty()) << path;
    return {outcome->failure.reason, {}, {}, {}};
  }
  Seen seen{"parsed", {}, {}, outcome->document->warnings()};
  auto done = outcome->document->ForEach([&](const Element& element) -> Result<void> {
    seen.text += element.text + "\n";
    seen.locations.push_back(element.location);
    return {};
  });
  EXPECT_TRUE(done) << path << ": " << done.error().message;
  EXPECT_EQ(static_cast<std::int64_t>(seen.locations.size()), outcome->document->element_count()) << path;
  return seen;
}

class CorpusTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(Corpus())) GTEST_SKIP() << "the corpus is not here: " << Corpus();
    const std::string binaries = MILLRACE_BINARY_DIR;
    pool_ = ParserPool::Create(binaries + "/documents_parser_child", binaries + "/millrace-pdf", {});
  }
  Seen Look(const std::string& name) { return documents::Look(*pool_, Corpus() / name); }
  std::unique_ptr<ParserPool> pool_;
};

TEST_F(CorpusTest, EveryFileIsAccountedFor) {
  const std::set<std::string> known = {"parsed", "unsupported_format", "encrypted", "broken"};
  std::map<std::string, int> counts;
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(Corpus())) {
    const Seen seen = documents::Look(*pool_, entry.path());
    EXPECT_TRUE(known.contains(seen.outcome)) << entry.path() << ": " << seen.outcome;
    ++counts[seen.outcome];
    ++files;
  }
  EXPECT_EQ(counts["parsed"] + counts["unsupported_format"] + counts["encrypted"] + counts["broken"], files);
  EXPECT_GE(counts["parsed"], files / 2);
  EXPECT_GE(counts["encrypted"], 3);
}

TEST_F(CorpusTest, HostileAndEncryptedOnes) {
  for (const char* name : {"fake_oom.xml", "heavy_hang.xml", "embedded_with_npe.xml", "test_recursive_embedded.docx",
                           "testPDF_bad_page_303226.pdf", "testPDF_malformedXFA.pdf"}) {
    EXPECT_EQ(Look(name).outcome, "parsed") << name;
  }
  for (const char* name : {"protected_normal_case.docx", "protected_upper_case.docx", "protectedFile.xlsx"}) {
    EXPECT_EQ(Look(name).outcome, "encrypted") << name;
  }
}

TEST_F(CorpusTest, TextOfEachFormatIsThere) {
  EXPECT_THAT(Look("testPDF.pdf").text, testing::HasSubstr("Apache Tika"));
  EXPECT_THAT(Look("testWORD_1img.docx").text, testing::HasSubstr("quick brown fox"));
  EXPECT_THAT(Look("testArabicMisleadingCharset.html").text, testing::HasSubstr("\u0627\u0644"));
  EXPECT_THAT(Look("s_BII-S-1.txt").locations, testing::Contains("row 7 column 2"));
  EXPECT_THAT(Look("testMARKDOWN.md").text, testing::HasSubstr("third\nfourth\n"));
  EXPECT_THAT(Look("test.json").text, testing::HasSubstr("myid-0"));
  EXPECT_THAT(Look("undeclared_entity.xml").warnings, testing::Contains(testing::HasSubstr("undeclared_entity")));
}

}  // namespace
}  // namespace millrace::documents
