#include "pipelines/documents/pdf_helper/pdf_parser.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/documents/parsers/test_sink.h"
#include "pipelines/documents/pdf_helper/pdf_test_support.h"

namespace millrace::documents {
namespace {

struct Parsed {
  std::optional<ParseFailure> failure;
  CollectSink sink;
};

Parsed Parse(std::string_view bytes) {
  Parsed parsed;
  const ParseLimits limits;
  parsed.failure = ParsePdf({bytes, "test.pdf", limits}, parsed.sink);
  return parsed;
}

TEST(PdfParser, PagesParagraphsAndLocations) {
  const Parsed parsed =
      Parse(MakePdf(PagesOf({{"The first line of the paragraph, which is as wide as any", "and the second."},
                             {"Second page", "", "Alone"}})));
  ASSERT_FALSE(parsed.failure) << parsed.failure->message;
  EXPECT_EQ(parsed.sink.Tree(),
            "page \"\" @page 1\n"
            "  paragraph \"The first line of the paragraph, which is as wide as any and the second.\" @page 1 line 1\n"
            "page \"\" @page 2\n"
            "  paragraph \"Second page\" @page 2 line 1\n"
            "  paragraph \"Alone\" @page 2 line 2\n");
  EXPECT_TRUE(parsed.sink.warnings.empty()) << parsed.sink.warnings[0];
  EXPECT_EQ(parsed.sink.document.pages, 2);
  EXPECT_EQ(parsed.sink.document.media_type, "application/pdf");
}

TEST(PdfParser, OutlineGivesHeadings) {
  std::vector<std::string> objects =
      PagesOf({{"Chapter One", "Text of it.", "", "Inner Part", "Text."}, {"Last"}}, "/Outlines 8 0 R");
  objects.push_back("<< /Type /Outlines /First 9 0 R /Last 11 0 R /Count 3 >>");
  objects.push_back(
      "<< /Title (Chapter One) /Parent 8 0 R /First 10 0 R /Last 10 0 R /Count 1 /Next 11 0 R /Dest [4 0 R /Fit] >>");
  objects.push_back("<< /Title (Inner Part) /Parent 9 0 R /Dest [4 0 R /Fit] >>");
  objects.push_back("<< /Title (Last) /Parent 8 0 R /Prev 9 0 R /Dest [6 0 R /Fit] >>");
  const Parsed parsed = Parse(MakePdf(objects));
  ASSERT_FALSE(parsed.failure) << parsed.failure->message;
  EXPECT_EQ(parsed.sink.Tree(),
            "page \"\" @page 1\n"
            "  header[1] \"Chapter One\" @page 1 line 1\n"
            "  paragraph \"Text of it.\" @page 1 line 2\n"
            "  header[2] \"Inner Part\" @page 1 line 3\n"
            "  paragraph \"Text.\" @page 1 line 4\n"
            "page \"\" @page 2\n"
            "  header[1] \"Last\" @page 2 line 1\n"
            "outline_item[1] \"Chapter One\" @outline 1\n"
            "outline_item[2] \"Inner Part\" @outline 2\n"
            "outline_item[1] \"Last\" @outline 3\n");
}

TEST(PdfParser, MetadataWithDates) {
  std::vector<std::string> objects = PagesOf({{"Text"}});
  objects.push_back(
      "<< /Title (A \\(title\\)) /Author <FEFF00C9006D0069006C0065> /Subject (S) /Keywords (k, l) /Producer (P) "
      "/CreationDate (D:20200102030405Z) /ModDate (not a date) >>");
  const Parsed parsed = Parse(MakePdf(objects, "/Info 6 0 R"));
  ASSERT_FALSE(parsed.failure) << parsed.failure->message;
  const DocumentMetadata& metadata = parsed.sink.document;
  EXPECT_EQ(metadata.title, "A (title)");
  EXPECT_EQ(metadata.author, "\xC3\x89mile");
  EXPECT_EQ(metadata.subject, "S");
  EXPECT_EQ(metadata.keywords, "k, l");
  EXPECT_EQ(metadata.producer, "P");
  EXPECT_EQ(metadata.created, "2020-01-02T03:04:05Z");
  EXPECT_EQ(metadata.modified, "not a date");
  EXPECT_EQ(metadata.extra, R"({"pdf_version":"1.4"})");
}

TEST(PdfParser, TitleFromXmpWhenThereIsNoOther) {
  std::vector<std::string> objects = PagesOf({{"Text"}}, "/Metadata 6 0 R");
  const std::string xmp =
      "<x:xmpmeta><rdf:RDF><dc:title><rdf:Alt><rdf:li xml:lang=\"x-default\">A &amp; "
      "B</rdf:li></rdf:Alt></dc:title></rdf:RDF>";
  objects.push_back("<< /Type /Metadata /Subtype /XML /Length " + std::to_string(xmp.size()) + " >>\nstream\n" + xmp +
                    "\nendstream");
  EXPECT_EQ(Parse(MakePdf(objects)).sink.document.title, "A & B");
}

TEST(PdfParser, AttachedFilesAreNamed) {
  std::vector<std::string> objects = PagesOf({{"Text"}}, "/Names << /EmbeddedFiles << /Names [(note.txt) 6 0 R] >> >>");
  objects.push_back("<< /Type /Filespec /F (note.txt) /UF (note.txt) /EF << /F 7 0 R >> >>");
  objects.push_back(
      "<< /Type /EmbeddedFile /Subtype /text#2Fplain /Length 5 /Params << /Size 5 >> >>\nstream\nhello\nendstream");
  const Parsed parsed = Parse(MakePdf(objects));
  ASSERT_FALSE(parsed.failure);
  EXPECT_NE(
      parsed.sink.Tree().find("attachment \"note.txt\" @attachment 1 {\"bytes\":5,\"media_type\":\"text/plain\"}"),
      std::string::npos)
      << parsed.sink.Tree();
}

TEST(PdfParser, ScansAndEmptyPagesAreWarnings) {
  const Parsed scan = Parse(MakePdf(PagesOf({{}, {}})));
  ASSERT_FALSE(scan.failure);
  EXPECT_EQ(scan.sink.warnings, std::vector<std::string>{"no text; it may be scanned"});
  const Parsed partly = Parse(MakePdf(PagesOf({{"Text"}, {}, {"Text"}, {}})));
  EXPECT_EQ(partly.sink.warnings, std::vector<std::string>{"pages without text, empty or scanned: 2, 4"});
}

TEST(PdfParser, EncryptedOnesSaySo) {
  std::vector<std::string> objects = PagesOf({{"Secret"}});
  const std::string key(64, 'a');
  objects.push_back("<< /Filter /Standard /V 1 /R 2 /P -4 /O <" + key + "> /U <" + key + "> >>");
  const Parsed parsed = Parse(MakePdf(objects, "/Encrypt 6 0 R /ID [<00> <00>]"));
  ASSERT_TRUE(parsed.failure);
  EXPECT_EQ(parsed.failure->reason, "encrypted");
  EXPECT_NE(parsed.failure->message.find("password"), std::string::npos);
}

TEST(PdfParser, BrokenOnesSayWhy) {
  for (const std::string_view bytes : {"", "%PDF-1.4\n", "not a pdf at all", "%PDF-1.4\n1 0 obj\n<< >>\nendobj\n"}) {
    const Parsed parsed = Parse(bytes);
    ASSERT_TRUE(parsed.failure) << bytes;
    EXPECT_EQ(parsed.failure->reason, "broken") << bytes;
    EXPECT_TRUE(parsed.failure->message.starts_with("the PDF ")) << parsed.failure->message;
  }
}

TEST(PdfParser, APageThatIsNotOneIsAWarning) {
  std::vector<std::string> objects = PagesOf({{"First"}, {"Second"}});
  objects[3] = "[1 2 3]";
  const Parsed parsed = Parse(MakePdf(objects));
  ASSERT_FALSE(parsed.failure) << parsed.failure->message;
  ASSERT_EQ(parsed.sink.warnings.size(), 2u);
  EXPECT_EQ(parsed.sink.warnings[0], "unreadable pages: 2");
  EXPECT_TRUE(parsed.sink.warnings[1].starts_with("the PDF is damaged in places: ")) << parsed.sink.warnings[1];
  EXPECT_NE(parsed.sink.Tree().find("Second"), std::string::npos);
}

TEST(PdfParser, LimitsOfTheSinkPassThrough) {
  const std::string bytes = MakePdf(PagesOf(std::vector<std::vector<std::string>>(20, {"Text"})));
  CollectSink sink(10);
  const ParseLimits limits;
  EXPECT_THROW(ParsePdf({bytes, "", limits}, sink), LimitReached);
}

TEST(PdfParser, CutOffAnywhereIsBrokenOrRead) {
  const std::string bytes = MakePdf(PagesOf({{"First page", "with lines"}, {"Second page"}}));
  int refused = 0;
  for (std::size_t cut = 0; cut < 50; ++cut) {
    const Parsed parsed = Parse(std::string_view(bytes).substr(0, bytes.size() * cut / 50));
    if (!parsed.failure) continue;
    ++refused;
    EXPECT_EQ(parsed.failure->reason, "broken") << cut;
  }
  EXPECT_GT(refused, 5);
}

TEST(PdfParser, MutatedBytesNeverDoHarm) {
  const std::string bytes = MakePdf(PagesOf({{"First page", "with lines"}, {"Second page"}}));
  std::uint64_t state = 99;
  const auto random = [&state](std::uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
  };
  int read = 0;
  for (int round = 0; round < 300; ++round) {
    std::string mutated = bytes;
    for (std::uint64_t i = 0; i <= random(6); ++i) mutated[random(mutated.size())] = static_cast<char>(random(256));
    const Parsed parsed = Parse(mutated);
    if (!parsed.failure) ++read;
    EXPECT_TRUE(!parsed.failure || !parsed.failure->message.empty());
  }
  EXPECT_GT(read, 100);
}

}  // namespace
}  // namespace millrace::documents
