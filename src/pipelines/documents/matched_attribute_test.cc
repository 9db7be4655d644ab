#include "pipelines/documents/matched_attribute.h"

#include <gtest/gtest.h>

namespace millrace::documents {
namespace {

std::string Matched(std::string_view text, std::string_view metadata, const std::string& word) {
  const std::vector<Phrase> phrases = {*PhraseOf({word, false})};
  const auto name = MatchedAttribute(text, metadata, phrases);
  return name ? *name : "error: " + name.error().message;
}

constexpr std::string_view kMetadata =
    R"({"attributes":{"xmlns":"urn:x","id":"a1","empty":"","xlink:href":"red house","note":"blue house"}})";
constexpr std::string_view kText = "A green door id=a1 xlink:href=red house note=blue house";

TEST(MatchedAttributeTest, TheFirstAttributeThatHasThePhrase) {
  EXPECT_EQ(Matched(kText, kMetadata, "house"), "xlink:href");
  EXPECT_EQ(Matched(kText, kMetadata, "blue"), "note");
  EXPECT_EQ(Matched(kText, kMetadata, "a1"), "id");
  EXPECT_EQ(Matched("id=a1 xlink:href=red house note=blue house", kMetadata, "blue"), "note");
}

TEST(MatchedAttributeTest, NoneWhenTheTextHasItOrNothingHas) {
  EXPECT_EQ(Matched(kText, kMetadata, "green"), "");
  EXPECT_EQ(Matched(kText, kMetadata, "doors"), "") << "in any inflection";
  EXPECT_EQ(Matched(kText, kMetadata, "door id"), "") << "across the border";
  EXPECT_EQ(Matched(kText, kMetadata, "yellow"), "");
}

TEST(MatchedAttributeTest, OtherMetadataNamesNone) {
  for (const char* metadata : {"", "{}", "[]", "no JSON", R"({"attributes":7})", R"({"column":1})"})
    EXPECT_EQ(Matched(kText, metadata, "blue"), "") << metadata;
  EXPECT_EQ(Matched("A text that ends otherwise", kMetadata, "text"), "");
}

}  // namespace
}  // namespace millrace::documents
