#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "pipelines/documents/parsers/csv_dialect.h"
#include "pipelines/documents/parsers/test_sink.h"

namespace millrace::documents {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

CollectSink Parse(std::string_view bytes) {
  CollectSink sink;
  EXPECT_FALSE(ParseCsv({bytes, "a.csv", ParseLimits()}, sink).has_value());
  return sink;
}

TEST(CsvTest, RowsOfCellsUnderTheirHeader) {
  const CollectSink sink = Parse("name,age\nAda,36\nAlan,\n");
  EXPECT_EQ(sink.Tree(),
            "csv_row \"\" @row 1\n"
            "  table_header_cell \"name\" @row 1 column 1\n"
            "  table_header_cell \"age\" @row 1 column 2\n"
            "csv_row \"\" @row 2\n"
            "  table_cell \"Ada\" @row 2 column 1\n"
            "  table_cell \"36\" @row 2 column 2\n"
            "csv_row \"\" @row 3\n"
            "  table_cell \"Alan\" @row 3 column 1\n");
  EXPECT_EQ(sink.document.media_type, "text/csv");
  EXPECT_EQ(sink.document.extra, R"({"delimiter":",","rows":3,"columns":2,"header":true})");
}

TEST(CsvTest, QuotesHoldAnything) {
  EXPECT_EQ(Parse("a,\"b, \"\"c\"\"\r\nd\"\r\n1,2").Tree(),
            "csv_row \"\" @row 1\n"
            "  table_header_cell \"a\" @row 1 column 1\n"
            "  table_header_cell \"b, \"c\"\r\nd\" @row 1 column 2\n"
            "csv_row \"\" @row 2\n"
            "  table_cell \"1\" @row 2 column 1\n"
            "  table_cell \"2\" @row 2 column 2\n");
}

TEST(CsvTest, QuoteThatIsNeverClosedIsText) {
  const CollectSink sink = Parse("a,b\n\"c,d\ne,f\n");
  EXPECT_THAT(sink.warnings, ElementsAre(HasSubstr("never closed")));
  EXPECT_THAT(sink.Tree(), HasSubstr("table_cell \"\"c\" @row 2 column 1"));
  EXPECT_THAT(sink.Tree(), HasSubstr("table_cell \"f\" @row 3 column 2"));
}

TEST(CsvTest, NumbersAreNoHeader) {
  EXPECT_THAT(Parse("1,2\n3,4\n").Tree(), testing::Not(HasSubstr("header")));
  EXPECT_THAT(Parse("a,a\n3,4\n").Tree(), testing::Not(HasSubstr("header")));
}

TEST(CsvTest, BlankRowsCountButGiveNothing) {
  EXPECT_EQ(Parse("1,2\n\n,\n3,4").elements.back().location, "row 4 column 2");
}

TEST(CsvTest, LargeTablesHaveRowsOnly) {
  std::string text = "id;name\n";
  for (int i = 0; i < 20'000; ++i) text += std::to_string(i) + ";name of it\n";
  const CollectSink sink = Parse(text);
  EXPECT_EQ(sink.elements.size(), 20'002u);
  EXPECT_EQ(sink.elements.back().text, "19999 | name of it");
  EXPECT_EQ(sink.elements.back().location, "row 20001");
  EXPECT_THAT(sink.warnings, ElementsAre(HasSubstr("large table")));
}

TEST(SniffCsvTest, FindsTheDelimiter) {
  EXPECT_EQ(SniffCsv("a;b;c\n1,5;2;3\n1,5;2;3\n").delimiter, ';');
  EXPECT_EQ(SniffCsv("a\tb\n1, 2\t3\n").delimiter, '\t');
  EXPECT_EQ(SniffCsv("a|b|c\n1|2|3\n").delimiter, '|');
  EXPECT_EQ(SniffCsv("\"a;b;c\",d\n\"e;f;g\",h\n").delimiter, ',');
  EXPECT_EQ(SniffCsv("\"x\";\"y\"\n\"z\";\"w\"\n").delimiter, ';');
  EXPECT_EQ(SniffCsv("").delimiter, ',');
  EXPECT_EQ(SniffCsv("a,b,c\n1,2,3\n4,5,6\n").columns, 3u);
}

TEST(SniffCsvTest, ProseIsNoTable) {
  EXPECT_FALSE(SniffCsv("Well, it is so.\nBut, then, who knows.\nNobody.\nSo it goes, on and on.\n").certain);
  EXPECT_FALSE(SniffCsv("one\ntwo\nthree\nfour\n").certain);
  EXPECT_TRUE(SniffCsv("a\tb\nc\td\ne\tf\n").certain);
}

// A table written by the rules is read as it was.
RC_GTEST_PROP(CsvTest, ReadsWhatWasWritten, ()) {
  const auto cell = rc::gen::container<std::string>(rc::gen::elementOf(std::string("ab \",\n;x")));
  const auto rows = *rc::gen::nonEmpty(
      rc::gen::container<std::vector<std::vector<std::string>>>(rc::gen::container<std::vector<std::string>>(3, cell)));
  std::string text = "h1,h2,h3\n";
  for (int i = 0; i < 60; ++i) text += "1,2,3\n";  // so that there is no doubt about the delimiter
  std::string expected;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += i == 0 ? "\"" : ",\"";
      for (const char c : row[i]) text += c == '"' ? std::string("\"\"") : std::string(1, c);
      text += "\"";
      const std::size_t start = row[i].find_first_not_of(" \n");
      if (start != std::string::npos) {
        expected += row[i].substr(start, row[i].find_last_not_of(" \n") - start + 1) + "\x1f";
      }
    }
    text += "\n";
  }
  std::string read;
  const CollectSink sink = Parse(text);
  for (std::size_t i = 1 + 61 * 4; i < sink.elements.size(); ++i) {
    if (sink.elements[i].type == ElementType::kTableCell) read += sink.elements[i].text + "\x1f";
  }
  RC_ASSERT(read == expected);
}

}  // namespace
}  // namespace millrace::documents
