#include "pipelines/documents/detect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "pipelines/documents/language.h"
#include "pipelines/documents/parsers/zip_test_support.h"

namespace millrace::documents {
namespace {

using testing::HasSubstr;
using namespace std::string_view_literals;

std::string What(std::string_view bytes, std::string_view name = "") {
  const Detected detected = Detect(bytes, name);
  return detected.failure ? detected.failure->reason + ": " + detected.failure->message
                          : std::string(FormatName(detected.format));
}

TEST(DetectTest, EmptyAndBlank) {
  EXPECT_EQ(What(""), "empty");
  EXPECT_EQ(What(" \n\n"), "text");
}

TEST(DetectTest, MarkupByContent) {
  EXPECT_EQ(What("<?xml version=\"1.0\"?><a/>"), "xml");
  EXPECT_EQ(What("<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY x \"<y>\">]><a/>", "a.txt"), "xml");
  EXPECT_EQ(What("<!DOCTYPE a [<!ENTITY x \"<y>\">]><a></a>", "a.txt"), "xml");
  EXPECT_EQ(What("<?xml version=\"1.0\"?><!-- c --><html xmlns=\"x\"></html>", "a.xml"), "html");
  EXPECT_EQ(What("\n<!doctype HTML><p>x", "a.txt"), "html");
  EXPECT_EQ(What("<!-- comment --><HTML><body>", "a"), "html");
  EXPECT_EQ(What("<p>just this</p>", "a"), "html");
  EXPECT_EQ(What("preamble <p>x", "a.html"), "html");
  EXPECT_EQ(What("<note><to>you</to></note>", "a.txt"), "xml");
  EXPECT_EQ(What("<rss></rss>", "a.rss"), "xml");
  EXPECT_EQ(What("<me@example.com> wrote: a < b", "a.txt"), "text");
  EXPECT_EQ(What("#include <stdio.h>\n<html>", "a.c"), "text");
  EXPECT_EQ(What("\xff\xfe<\0?\0x\0m\0l\0 \0?\0>\0<\0a\0/\0>\0"sv, "a"), "xml");
}

TEST(DetectTest, JsonByContent) {
  EXPECT_EQ(What("{\"a\": 1}", "a.txt"), "json");
  EXPECT_EQ(What("[1, 2]"), "json");
  EXPECT_EQ(What("[1] a footnote", "a.txt"), "text");
  EXPECT_EQ(What("[section]\nkey=value\n", "a.txt"), "text");
  EXPECT_EQ(What("{curly} words"), "text");
  EXPECT_EQ(What("{broken", "a.json"), "json");
  EXPECT_EQ(What("{\"a\":1}\n{\"a\":2}\n", "a.json"), "json_lines");
  EXPECT_EQ(What("{\n\"a\":1\n}\n{\n\"a\":2\n}\n", "a.json"), "json");
  EXPECT_EQ(What("{\"a\":1}\n", "a.jsonl"), "json_lines");
}

TEST(DetectTest, TablesAndMarkdown) {
  EXPECT_EQ(What("a,b\n1,2\n", "a.csv"), "csv");
  EXPECT_EQ(What("only words", "a.tsv"), "csv");
  EXPECT_EQ(What("a\tb\n1\t2\n3\t4\n", "a.txt"), "csv");
  EXPECT_EQ(What("a\tb\n1\t2\n3\t4\n", "a.py"), "text");
  EXPECT_EQ(What("words", "README.md"), "markdown");
  EXPECT_EQ(What("<p align=center>hi</p>", "README.md"), "markdown");
  EXPECT_EQ(What("# One\n\n## Two\n\n```\nx\n```\n", "README"), "markdown");
  EXPECT_EQ(What("# a comment\n# another\nvalue\n", "config"), "text");
  EXPECT_EQ(What("Well, it is so.\nBut who knows.\n", "a.txt"), "text");
}

TEST(DetectTest, MessagesComeLater) {
  const std::string mail = "From: a@b\nTo: c@d\nSubject: hi\n\nHello.\n";
  EXPECT_THAT(What(mail, "a.eml"), HasSubstr("unsupported_format: e-mail"));
  EXPECT_THAT(What(mail), HasSubstr("unsupported_format: e-mail"));
  EXPECT_EQ(What(mail, "news.txt"), "text");
  EXPECT_THAT(What("From x Mon Jan 1\nbody", "a.mbox"), HasSubstr("e-mail"));
}

TEST(DetectTest, BinaryFormatsAreNamed) {
  EXPECT_THAT(What("{\\rtf1 x}", "a.txt"), HasSubstr("RTF"));
  EXPECT_THAT(What("\x1f\x8b\x08xxxx"), HasSubstr("gzip"));
  EXPECT_THAT(What("\x89PNG\r\n\x1a\n"), HasSubstr("PNG"));
  EXPECT_THAT(What("\x7f"
                   "ELF\2\1"),
              HasSubstr("ELF"));
  EXPECT_THAT(What("SQLite format 3\0"sv), HasSubstr("SQLite"));
  EXPECT_THAT(What(std::string(257, '\0') + "ustar"), HasSubstr("tar"));
  EXPECT_THAT(What("\0\1\2\3\4\5\6\7"sv, "a.txt"),
              HasSubstr("unsupported_format: not a format that this version reads"));
}

TEST(DetectTest, OfficePackagesByTheirMainPart) {
  const auto types = [](const std::string& type) {
    return "<Types><Override PartName=\"/x\" ContentType=\"application/vnd.openxmlformats-officedocument." + type +
           "\"/></Types>";
  };
  EXPECT_EQ(What(MakeZip({{"[Content_Types].xml", types("wordprocessingml.document.main+xml")}}), "a.zip"), "docx");
  EXPECT_THAT(What(MakeZip({{"[Content_Types].xml", types("spreadsheetml.sheet.main+xml")}}), "a.docx"),
              HasSubstr("XLSX"));
  EXPECT_THAT(What(MakeZip({{"[Content_Types].xml", types("presentationml.presentation.main+xml")}})),
              HasSubstr("PPTX"));
  EXPECT_THAT(What(MakeZip({{"a.txt", "x"}})), HasSubstr("zip archives"));
  EXPECT_THAT(What(MakeZip({{"mimetype", "application/epub+zip"}, {"a", "x"}})), HasSubstr("EPUB"));
  EXPECT_THAT(What(MakeZip({{"a", "x"}, {"mimetype", "application/vnd.oasis.opendocument.text"}})), HasSubstr("ODT"));
  const std::string docx = MakeZip(
      {{"[Content_Types].xml", types("wordprocessingml.document.main+xml")}, {"word/document.xml", "<w:document/>"}});
  EXPECT_EQ(What(docx.substr(0, docx.size() / 2), "a.docx"), "docx") << "its parser says what is broken";
}

TEST(DetectTest, CompoundFiles) {
  const auto ole = [](std::string_view name) {
    std::string bytes = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
    for (const char c : name) bytes.append(1, c).append(1, '\0');
    return bytes;
  };
  EXPECT_THAT(What(ole("EncryptedPackage"), "a.docx"), HasSubstr("encrypted: "));
  EXPECT_THAT(What(ole("WordDocument")), HasSubstr("(DOC)"));
  EXPECT_THAT(What(ole("Workbook")), HasSubstr("(XLS)"));
  EXPECT_THAT(What(ole("Else")), HasSubstr("OLE"));
}

RC_GTEST_PROP(DetectTest, AnyBytesAreSomething, (const std::string& bytes, const std::string& name)) {
  const Detected detected = Detect(bytes, name);
  RC_ASSERT(detected.failure || detected.format == Format::kEmpty || ParserOf(detected.format) != nullptr);
}

TEST(LanguageTest, OnlyWhenReliable) {
  EXPECT_EQ(DetectLanguage("This is a sentence that is written in plain English, as everybody can see."), "en");
  EXPECT_EQ(DetectLanguage("Dies ist ein Satz, der in deutscher Sprache geschrieben wurde, wie man leicht sieht."),
            "de");
  EXPECT_EQ(DetectLanguage("the und le der la est ist and il per con"), "");
  EXPECT_EQ(DetectLanguage("42 17 0x1f"), "");
  EXPECT_EQ(DetectLanguage(""), "");
  EXPECT_EQ(DetectLanguage("\xff\xfe this is a sentence that is written in plain English"), "");
}

}  // namespace
}  // namespace millrace::documents
