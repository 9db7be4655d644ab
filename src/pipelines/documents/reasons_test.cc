#include "pipelines/documents/reasons.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

namespace millrace::documents {
namespace {

namespace fs = std::filesystem;

std::string ReadAll(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// All that stands in the first group of a pattern.
std::set<std::string> Found(const std::string& text, const std::string& pattern) {
  const std::regex expression(pattern);
  std::set<std::string> found;
  for (auto at = std::sregex_iterator(text.begin(), text.end(), expression); at != std::sregex_iterator(); ++at)
    found.insert((*at)[1]);
  return found;
}

TEST(ReasonsTest, TheDocumentationSaysWhatEachMeans) {
  const std::string page = ReadAll(fs::path(MILLRACE_SOURCE_DIR) / "docs/documents.md");
  const std::size_t begin = page.find("| reason | meaning |");
  ASSERT_NE(begin, std::string::npos);
  const std::string table = page.substr(begin, page.find("\n\n", begin) - begin);
  std::set<std::string> told;
  for (const std::string& first : Found(table, "\\n\\|([^|]*)\\|")) told.merge(Found(first, "`([a-z_]+)`"));
  EXPECT_EQ(told, std::set<std::string>(kReasons.begin(), kReasons.end()));
}

TEST(ReasonsTest, TheCodeUsesNoOthers) {
  std::set<std::string> used;
  for (const auto& entry :
       fs::recursive_directory_iterator(fs::path(MILLRACE_SOURCE_DIR) / "src/pipelines/documents")) {
    const std::string name = entry.path().filename();
    if (!name.ends_with(".cc") || name.ends_with("test.cc")) continue;
    used.merge(Found(ReadAll(entry.path()), "(?:(?:Failed|Failure|LimitReached)[({]+|reason = [^;\"]*)\"([a-z_]+)\""));
  }
  EXPECT_GE(used.size(), 10U) << "the pattern fits the code no more";
  used.erase("vanished");  // forgotten, not stored
  for (const std::string& word : used) EXPECT_TRUE(IsReason(word)) << word;
}

}  // namespace
}  // namespace millrace::documents
