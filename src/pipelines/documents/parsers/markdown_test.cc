#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "pipelines/documents/parsers/test_sink.h"

namespace millrace::documents {
namespace {

using testing::HasSubstr;

CollectSink Parse(std::string_view bytes) {
  CollectSink sink;
  EXPECT_FALSE(ParseMarkdown({bytes, "a.md", ParseLimits()}, sink).has_value());
  return sink;
}

TEST(MarkdownTest, HeadersAndParagraphs) {
  const CollectSink sink =
      Parse("# Title *here*\n\nSome **bold**\ntext &amp; `code` &#8212; <b>tag</b>.\n\nSub\n---\n\n***\n");
  EXPECT_EQ(sink.Tree(),
            "header[1] \"Title here\" @line 1\n"
            "paragraph \"Some bold\ntext & code \u2014 tag.\" @line 3-4\n"
            "header[2] \"Sub\" @line 6\n"
            "thematic_break \"\"\n");
  EXPECT_EQ(sink.document.title, "Title here");
  EXPECT_EQ(sink.document.media_type, "text/markdown");
}

TEST(MarkdownTest, ListsNest) {
  EXPECT_EQ(Parse("- one\n- two\n  1. deep\n- [x] done\n").Tree(),
            "list \"\" @line 1-4\n"
            "  list_item[1] \"one\" @line 1\n"
            "  list_item[1] \"two\" @line 2-3\n"
            "    list \"\" @line 3 {\"start\":1}\n"
            "      list_item[2] \"deep\" @line 3\n"
            "  list_item[1] \"done\" @line 4 {\"checked\":true}\n");
  EXPECT_EQ(Parse("- loose\n\n- items\n").Tree(),
            "list \"\" @line 1-3\n"
            "  list_item[1] \"\" @line 1\n"
            "    paragraph \"loose\" @line 1\n"
            "  list_item[1] \"\" @line 3\n"
            "    paragraph \"items\" @line 3\n");
}

TEST(MarkdownTest, TablesQuotesAndCode) {
  EXPECT_EQ(Parse("| A | B |\n|---|---|\n| 1 | 2 |\n").Tree(),
            "table \"\" @line 1-3\n"
            "  table_row \"\" @line 1\n"
            "    table_header_cell \"A\" @line 1\n"
            "    table_header_cell \"B\" @line 1\n"
            "  table_row \"\" @line 3\n"
            "    table_cell \"1\" @line 3\n"
            "    table_cell \"2\" @line 3\n");
  EXPECT_EQ(Parse("> quoted\n\n```c++\nint x;\n\n  int y;\n```\n").Tree(),
            "blockquote \"\" @line 1\n"
            "  paragraph \"quoted\" @line 1\n"
            "code_block \"int x;\n\n  int y;\" @line 4-6 {\"language\":\"c++\"}\n");
  EXPECT_EQ(Parse("<div>\nraw <b>text</b>\n</div>\n").Tree(),
            "html_block \"<div>\nraw <b>text</b>\n</div>\" @line 1-3\n");
}

TEST(MarkdownTest, LinksAndImages) {
  EXPECT_EQ(Parse("[all of it](http://a.b \"Title\")\n").Tree(),
            "link \"all of it\" @line 1 {\"href\":\"http://a.b\",\"title\":\"Title\"}\n");
  EXPECT_EQ(Parse("![a picture](p.png)\n").Tree(), "image \"a picture\" @line 1 {\"src\":\"p.png\"}\n");
  EXPECT_EQ(Parse("[![badge](b.svg)](http://ci)\n").Tree(),
            "image \"badge\" @line 1 {\"href\":\"http://ci\",\"src\":\"b.svg\"}\n");
  EXPECT_EQ(Parse("See [this](x.md) and ![it](y.png).\n").Tree(),
            "paragraph \"See this and it.\" @line 1 {\"links\":[{\"href\":\"x.md\",\"text\":\"this\"}],"
            "\"images\":[{\"src\":\"y.png\",\"text\":\"it\"}]}\n");
}

TEST(MarkdownTest, FrontMatterIsMetadata) {
  const CollectSink sink =
      Parse("---\ntitle: \"The Title\"\nauthor: Ada\ntags: [a, b]\ndate: 2024-05-06\n---\n\n# Other\n");
  EXPECT_EQ(sink.document.title, "The Title");
  EXPECT_EQ(sink.document.author, "Ada");
  EXPECT_EQ(sink.document.keywords, "a, b");
  EXPECT_EQ(sink.document.created, "2024-05-06");
  EXPECT_EQ(sink.Tree(), "header[1] \"Other\" @line 8\n");
  EXPECT_THAT(Parse("---\n# Not front matter\n---\n").Tree(), HasSubstr("Not front matter"));
  EXPECT_THAT(Parse("---\nno: end\n").Tree(), HasSubstr("no: end"));
}

TEST(MarkdownTest, LimitPassesThroughTheLibrary) {
  CollectSink sink(4);
  EXPECT_THROW(ParseMarkdown({"a\n\nb\n\nc\n\nd\n\ne\n", "a.md", ParseLimits()}, sink), LimitReached);
}

TEST(MarkdownTest, HostileNesting) {
  EXPECT_GT(Parse(std::string(20'000, '>') + " deep").elements.size(), 1u);
  EXPECT_GT(Parse(std::string(20'000, '[') + "x" + std::string(20'000, ']')).elements.size(), 1u);
  std::string lists;
  for (int i = 0; i < 300; ++i) lists += std::string(static_cast<std::size_t>(i) * 2, ' ') + "- item\n";
  EXPECT_GT(Parse(lists).elements.size(), 300u);
}

RC_GTEST_PROP(MarkdownTest, AnyTextIsParsed, ()) {
  const auto text =
      *rc::gen::container<std::string>(rc::gen::elementOf(std::string("ab *_#-[]()!>`|\n\n  \\<&;:\"1.\t~x\xc3\xa9")));
  CollectSink sink;
  RC_ASSERT(!ParseMarkdown({text, "a.md", ParseLimits()}, sink).has_value());
}

}  // namespace
}  // namespace millrace::documents
