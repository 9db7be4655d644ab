#include "pipelines/documents/pdf_helper/pdf_text.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace millrace::documents {
namespace {

std::string Utf8(std::u16string_view text) {
  std::string out;
  AppendPdfText(text.data(), text.size(), out);
  const std::vector<unsigned short> units(text.begin(), text.end());
  std::string same;
  AppendPdfText(units.data(), units.size(), same);
  EXPECT_EQ(out, same) << "of either type";
  return out;
}

// One line a block: "p1 text", "l3 text" (list item), "h2.5 text" (heading of level 2), with the line's number.
std::string Blocks(std::string_view text, PdfHeadings headings = {}) {
  std::string out;
  for (const PdfBlock& block : SplitPdfText(text, headings)) {
    if (block.kind == PdfBlock::Kind::kParagraph) out += "p";
    if (block.kind == PdfBlock::Kind::kListItem) out += "l";
    if (block.kind == PdfBlock::Kind::kHeading) out += "h" + std::to_string(block.level) + ".";
    out += std::to_string(block.line) + " " + block.text + "|\n";
  }
  return out;
}

TEST(PdfText, Utf16ToUtf8) {
  EXPECT_EQ(Utf8(u"a\u00e9\u20ac\U0001F600"), "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
  EXPECT_EQ(Utf8(u"\uFB01le o\uFB03ce \uFB02y \uFB06"), "file office fly st");
  EXPECT_EQ(Utf8(std::u16string{u'a', 0xD800, u'b', 0xDC00}),
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD");
  EXPECT_EQ(Utf8(std::u16string{u'a', 0, u'\t', 0xA0, 0x85, u'\f', u'b'}), "a    \nb");
  EXPECT_EQ(Utf8(u"soft\u00ADhyphen soft\u00AD\nhyphen"), "softhyphen soft\xC2\xAD\nhyphen");
}

TEST(PdfText, LinesBecomeParagraphs) {
  EXPECT_EQ(Blocks(""), "");
  EXPECT_EQ(Blocks("\n \n\n"), "");
  EXPECT_EQ(Blocks("The first line of a paragraph that is as wide as the page\n"
                   "goes on here and ends.\n"
                   "The next paragraph begins on a line that is as wide as that\n"
                   "and goes on\n\n"
                   "After a gap.\n"),
            "p1 The first line of a paragraph that is as wide as the page goes on here and ends.|\n"
            "p3 The next paragraph begins on a line that is as wide as that and goes on|\n"
            "p5 After a gap.|\n");
  // Narrow blocks (addresses, forms) keep their lines.
  EXPECT_EQ(Blocks("13 Long Street\nKeystone\n"), "p1 13 Long Street\nKeystone|\n");
}

TEST(PdfText, HyphensAtLineEnds) {
  EXPECT_EQ(Blocks("the encod-\ning of it"), "p1 the encoding of it|\n");
  EXPECT_EQ(Blocks("the encod\xC2\xAD\ning of it\xC2\xAD"), "p1 the encoding of it|\n");
  EXPECT_EQ(Blocks("the X-\nRay and A -\nb"), "p1 the X-Ray and A -\nb|\n");
}

TEST(PdfText, Lists) {
  EXPECT_EQ(Blocks("A list:\n\xE2\x80\xA2 one\n\xE2\x80\xA2 two\ngoes on\n1) three\n(a) four\n- five\n2019) year"),
            "p1 A list:|\nl2 \xE2\x80\xA2 one|\nl3 \xE2\x80\xA2 two\ngoes on|\nl5 1) three|\nl6 (a) four|\nl7 - "
            "five\n2019) year|\n");
}

TEST(PdfText, HeadingsTheOutlinePromises) {
  PdfHeadings headings;
  headings.Expect("Introduction", 1);
  headings.Expect("A heading that is long enough to be broken", 2);
  const std::string text =
      "1 Introduction\nSome text.\n\nA heading that is long enough\nto be broken\nMore text.\n\nINTRODUCTION\n";
  EXPECT_EQ(Blocks(text, headings),
            "h1.1 1 Introduction|\np2 Some text.|\nh2.3 A heading that is long enough to be broken|\n"
            "p5 More text.|\np6 INTRODUCTION|\n");
}

TEST(PdfText, NumberedLinesThatStandAlone) {
  EXPECT_EQ(Blocks("2.1 Naming\n\nText\n\n2.1.3 Deeper still\n"),
            "h2.1 2.1 Naming|\np2 Text|\nh3.3 2.1.3 Deeper still|\n");
  for (const char* line :
       {"2.1 naming", "2.1 Naming 17", "2.1 This is a sentence.", "2..1 Naming", "2 Apples", "12.5"}) {
    EXPECT_EQ(Blocks(line).substr(0, 2), "p1") << line;
  }
}

}  // namespace
}  // namespace millrace::documents
