#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "pipelines/documents/parsers/test_sink.h"

namespace millrace::documents {
namespace {

CollectSink Parse(std::string_view bytes) {
  CollectSink sink;
  EXPECT_FALSE(ParseText({bytes, "a.txt", ParseLimits()}, sink).has_value());
  return sink;
}

TEST(TextTest, ParagraphsArePartedByBlankLines) {
  EXPECT_EQ(Parse("One.\nStill one.  \n\n \t\nTwo.\n").Tree(),
            "paragraph \"One.\nStill one.\" @line 1-2\n"
            "paragraph \"Two.\" @line 5\n");
  EXPECT_EQ(Parse("a\r\n\r\nb\rc").Tree(), "paragraph \"a\" @line 1\nparagraph \"b\nc\" @line 3-4\n");
  EXPECT_EQ(Parse("\n\n  indented\n").Tree(), "paragraph \"  indented\" @line 3\n");
  EXPECT_EQ(Parse(" \n\n").Tree(), "");
}

TEST(TextTest, SaysItsCharset) {
  const CollectSink sink = Parse(
      "gr\xfc\xdf dich, sch\xf6ne Welt, du bist \xfc"
      "berall sch\xf6n");
  EXPECT_EQ(sink.document.media_type, "text/plain");
  EXPECT_NE(sink.document.charset, "UTF-8");
  EXPECT_EQ(sink.elements[1].text,
            "gr\u00fc\u00df dich, sch\u00f6ne Welt, du bist \u00fc"
            "berall sch\u00f6n");
}

TEST(TextTest, LongLinesAreCutBetweenWords) {
  std::string line;
  while (line.size() < 200'000) line += "w\u00f6rtlich ";
  const CollectSink sink = Parse("before\n" + line + "\nafter");
  ASSERT_GT(sink.elements.size(), 4u);
  std::string joined;
  for (std::size_t i = 1; i < sink.elements.size(); ++i) {
    EXPECT_LE(sink.elements[i].text.size(), 64u << 10);
    EXPECT_TRUE(sink.elements[i].text.starts_with('w') || i == 1 || i + 1 == sink.elements.size());
    joined += sink.elements[i].text;
  }
  EXPECT_EQ(joined, "before" + line.substr(0, line.size() - 1) + "\nafter");
}

RC_GTEST_PROP(TextTest, NothingButSpaceIsLost, ()) {
  const auto text = *rc::gen::container<std::string>(rc::gen::elementOf(std::string("abc. \t\f\r\n\n\n")));
  const auto visible = [](std::string_view all) {
    std::string out;
    for (const char c : all) {
      if (c > ' ') out += c;
    }
    return out;
  };
  std::string joined;
  for (const Element& element : Parse(text).elements) joined += element.text;
  RC_ASSERT(visible(joined) == visible(text));
}

}  // namespace
}  // namespace millrace::documents
