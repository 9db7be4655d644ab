// The program millrace-pdf as workers run it: by the pool, in a limited process.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/documents/parser_pool.h"
#include "pipelines/documents/pdf_helper/pdf_test_support.h"

namespace millrace::documents {
namespace {

const std::string kHelper = std::string(MILLRACE_BINARY_DIR) + "/millrace-pdf";

class PdfPoolTest : public testing::Test {
 protected:
  PdfPoolTest() : pool_(ParserPool::Create("/nowhere/millrace", kHelper, ParseLimits())) {}

  ParseOutcome ParseFd(int fd) {
    auto outcome = pool_->Parse({fd, "a.pdf"}, {});
    ::close(fd);
    if (!outcome) throw std::runtime_error(outcome.error().message);
    return std::move(*outcome);
  }
  ParseOutcome Parse(std::string_view bytes) {
    const int fd = ::memfd_create("a.pdf", MFD_CLOEXEC);
    if (::write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
      throw std::runtime_error("cannot write the test's document");
    }
    return ParseFd(fd);
  }

  std::unique_ptr<ParserPool> pool_;
};

TEST_F(PdfPoolTest, ParsesOneAfterTheOther) {
  for (const std::string text : {"The first one", "The second one"}) {
    const ParseOutcome outcome = Parse(MakePdf(PagesOf({{text}})));
    ASSERT_TRUE(outcome.document) << outcome.failure.message;
    EXPECT_EQ(outcome.document->metadata().media_type, "application/pdf");
    EXPECT_EQ(outcome.document->metadata().pages, 1);
    std::vector<std::string> found;
    auto read = outcome.document->ForEach([&](const Element& element) -> Result<void> {
      found.push_back(std::string(ElementTypeName(element.type)) + " " + element.text + "@" + element.location);
      return {};
    });
    ASSERT_TRUE(read);
    EXPECT_EQ(found, (std::vector<std::string>{"root @", "page @page 1", "paragraph " + text + "@page 1 line 1"}));
  }
}

TEST_F(PdfPoolTest, SaysWhyNot) {
  EXPECT_EQ(Parse("%PDF-1.4\nnothing more").failure.reason, "broken");
  std::vector<std::string> objects = PagesOf({{"Secret"}});
  const std::string key(64, 'a');
  objects.push_back("<< /Filter /Standard /V 1 /R 2 /P -4 /O <" + key + "> /U <" + key + "> >>");
  EXPECT_EQ(Parse(MakePdf(objects, "/Encrypt 6 0 R /ID [<00> <00>]")).failure.reason, "encrypted");
}

TEST_F(PdfPoolTest, EveryPdfOfTheCorpusIsParsedOrToldWhy) {
  const char* named = std::getenv("MILLRACE_CORPUS");
  const std::filesystem::path corpus = named != nullptr ? named : MILLRACE_SOURCE_DIR "/../shared/corpus";
  if (!std::filesystem::exists(corpus)) GTEST_SKIP() << "no corpus at " << corpus;
  int parsed = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(corpus)) {
    if (file.path().extension() != ".pdf") continue;
    const ParseOutcome outcome = ParseFd(::open(file.path().c_str(), O_RDONLY | O_CLOEXEC));
    if (outcome.document) ++parsed;
    if (outcome.document) {
      EXPECT_GT(outcome.document->element_count(), 1) << file.path();
    } else {
      EXPECT_NE(outcome.failure.reason, "crashed") << file.path() << ": " << outcome.failure.message;
      EXPECT_FALSE(outcome.failure.message.empty()) << file.path();
    }
  }
  EXPECT_GT(parsed, 0);
}

}  // namespace
}  // namespace millrace::documents
