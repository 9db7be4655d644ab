#include "pipelines/documents/parsers/docx_tree.h"

#include <gtest/gtest.h>

#include <iterator>
#include <random>
#include <string>
#include <string_view>

namespace millrace::documents {
namespace {

// What CleanText does, byte by byte.
std::string CleanedSlowly(std::string_view text) {
  std::string out;
  const auto drop = [&](std::string_view last) {
    while (!out.empty() && last.find(out.back()) != std::string_view::npos) out.pop_back();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 2) == "\xC2\xAD") {
      ++i;
    } else if (text[i] == '\n') {
      drop(" \t\r");
      if (!out.empty()) out += '\n';
    } else if (text[i] == ' ' || text[i] == '\t' || text[i] == '\r') {
      if (!out.empty() && out.back() != '\n') out += text[i] == '\r' ? ' ' : text[i];
    } else {
      out += text[i];
    }
  }
  drop(" \t\n");
  return out;
}

TEST(CleanTextTest, TrimsLinesAndDropsSoftHyphens) {
  EXPECT_EQ(CleanText("  two words \n\t next\r\n\n"), "two words\nnext");
  EXPECT_EQ(CleanText("hy\xC2\xADphen \xC2\xAD"), "hyphen");
  EXPECT_EQ(CleanText("\xC2\xAD a"), "a");
  EXPECT_EQ(CleanText("two  spaces, no\xC2\xA0"
                      "break"),
            "two  spaces, no\xC2\xA0"
            "break");
}

TEST(CleanTextTest, PassesQuicklyOnlyOverWhatStays) {
  std::mt19937 random(20240229);
  const std::string_view kPieces[] = {
      "a",    "word",  "a long word of sixteen", " ", " ", "  ", "\t", "\n", "\r", "\f", "\xC2\xAD", "\xC2\xA0",
      "\xC2", "\u20ac"};
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (std::size_t pieces = random() % 20; pieces > 0; --pieces) text += kPieces[random() % std::size(kPieces)];
    ASSERT_EQ(CleanText(text), CleanedSlowly(text)) << testing::PrintToString(text);
  }
}

}  // namespace
}  // namespace millrace::documents
