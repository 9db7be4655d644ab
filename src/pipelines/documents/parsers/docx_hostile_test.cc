// Word documents that are broken, cut off, too large or changed at random.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "pipelines/documents/parsers/docx_test_support.h"

namespace millrace::documents::docx_testing {
namespace {

TEST(DocxHostile, BrokenOnesAreToldWithPartAndPlace) {
  const auto failure = [](const ZipContent& package) {
    return Parse(MakeZip(package)).failure.value_or(ParseFailure{});
  };
  ZipContent package = Package(P("x"));
  package[1].second = Part("document", "<w:body>\n<w:p></w:body>");
  EXPECT_EQ(failure(package).reason, "broken");
  EXPECT_NE(failure(package).message.find("'word/document.xml' line 2"), std::string::npos) << failure(package).message;
  package[1].second = "<!DOCTYPE a [<!ENTITY b \"c\">]>" + Part("document", P("&b;"));
  EXPECT_NE(failure(package).message.find("DOCTYPE"), std::string::npos);
  package[1].second = "<html/>";
  EXPECT_NE(failure(package).message.find("w:document"), std::string::npos);
  package.erase(package.begin() + 1);
  EXPECT_NE(failure(package).message.find("has no part 'word/document.xml'"), std::string::npos);
  EXPECT_EQ(Parse("PK\3\4 cut off").failure.value().reason, "broken");
}

TEST(DocxHostile, ABrokenSidePartIsAWarning) {
  const Parsed parsed =
      Parse(MakeZip(Package(P("Body"), {{"s", "styles", "styles.xml"}, {"f", "footnotes", "footnotes.xml"}},
                            {{"word/styles.xml", "<w:styles"}, {"word/footnotes.xml", "no xml"}})));
  ASSERT_FALSE(parsed.failure);
  EXPECT_EQ(parsed.sink.Tree(), "paragraph \"Body\" @paragraph 1\n");
  ASSERT_EQ(parsed.sink.warnings.size(), 2u);
  EXPECT_NE(parsed.sink.warnings[0].find("word/styles.xml"), std::string::npos);
  EXPECT_NE(parsed.sink.warnings[1].find("word/footnotes.xml"), std::string::npos);
}

TEST(DocxHostile, ZipBombIsTooLarge) {
  const Parsed parsed = Parse(MakeZip(Package(P(std::string(64 << 20, 'x')))));
  ASSERT_TRUE(parsed.failure);
  EXPECT_EQ(parsed.failure->reason, "too_large");
  EXPECT_NE(parsed.failure->message.find("zip bomb"), std::string::npos);
}

TEST(DocxHostile, DeepTablesBecomeText) {
  std::string open;
  std::string close;
  for (int i = 0; i < 5000; ++i) {
    open += "<w:tbl><w:tr><w:tc>";
    close += "</w:tc></w:tr></w:tbl>";
  }
  const Parsed parsed = Parse(MakeZip(Package(open + P("bottom") + close)));
  ASSERT_FALSE(parsed.failure);
  EXPECT_FALSE(parsed.sink.warnings.empty());
  EXPECT_EQ(parsed.sink.elements.back().text, "bottom");
  EXPECT_EQ(parsed.sink.elements.size(), 1u + 3 * 50);
}

TEST(DocxHostile, LimitsOfTheSinkPassThroughTheParser) {
  std::string body;
  for (int i = 0; i < 100; ++i) body += P("x");
  const std::string bytes = MakeZip(Package(body));
  CollectSink sink(50);
  const ParseLimits limits;
  EXPECT_THROW(ParseDocx({bytes, "", limits}, sink), LimitReached);
}

// Parts beyond 4 MiB are read by another library.
TEST(DocxHostile, LargePartsReadLikeSmallOnes) {
  const std::string start = Styled("Heading1", "Start &amp; &#xE9;") + Tbl(Tr(Tc(P("a")) + Tc(P("b"))));
  std::string body = start;
  std::string expected =
      "header[1] \"Start & \xC3\xA9\" @paragraph 1\ntable \"\" @table 1\n  table_row \"\" @table 1 row 1\n"
      "    table_cell \"a\" @table 1 row 1 cell 1\n    table_cell \"b\" @table 1 row 1 cell 2\n";
  EXPECT_EQ(Tree(Package(body)), expected);
  for (int i = 2; body.size() < (5u << 20); ++i) {
    const std::string text = "Number " + std::to_string(i * 7919);
    body += P(text);
    expected += "paragraph \"" + text + "\" @paragraph " + std::to_string(i) + "\n";
  }
  EXPECT_TRUE(Tree(Package(body)) == expected);
  ZipContent package = Package(body + "<w:p>");
  const Parsed parsed = Parse(MakeZip(package));
  ASSERT_TRUE(parsed.failure);
  EXPECT_EQ(parsed.failure->reason, "broken");
}

// Everything the tests above use, in one document.
std::string RichDocument() {
  std::string body;
  for (int i = 0; i < 20; ++i) {
    body += Styled("Heading1", "Heading") + Item(1, i % 3, "Item") +
            Tbl(Tr(Tc(P("a")) + Tc(P("b") + Tbl(Tr(Tc(P("c"))))))) +
            "<w:p><mc:AlternateContent><mc:Choice><w:txbxContent>" + P("box") +
            "</w:txbxContent></mc:Choice></mc:AlternateContent></w:p>";
  }
  return MakeZip(Package(body, {{"f", "footnotes", "footnotes.xml"}},
                         {{"word/footnotes.xml", Part("footnotes", "<w:footnote>" + P("n") + "</w:footnote>")}}));
}

TEST(DocxHostile, CutOffAnywhereIsBrokenOrRead) {
  const std::string bytes = RichDocument();
  ASSERT_FALSE(Parse(bytes).failure);
  for (std::size_t cut = 0; cut < 50; ++cut) {
    const Parsed parsed = Parse(std::string_view(bytes).substr(0, bytes.size() * cut / 50));
    ASSERT_TRUE(parsed.failure) << cut;  // the directory stands at the end
    EXPECT_EQ(parsed.failure->reason, "broken") << cut;
    EXPECT_FALSE(parsed.failure->message.empty()) << cut;
  }
}

TEST(DocxHostile, MutatedBytesNeverDoHarm) {
  const std::string bytes = RichDocument();
  std::uint64_t state = 20240607;
  const auto random = [&state](std::uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
  };
  int read = 0;
  int refused = 0;
  for (int round = 0; round < 400; ++round) {
    std::string mutated = bytes;
    for (std::uint64_t i = 0; i <= random(4); ++i) mutated[random(mutated.size())] = static_cast<char>(random(256));
    const Parsed parsed = Parse(mutated);
    if (!parsed.failure) ++read;
    if (!parsed.failure) continue;
    ++refused;
    EXPECT_FALSE(parsed.failure->message.empty());
  }
  EXPECT_GT(read, 0);
  EXPECT_GT(refused, 0);
}

TEST(DocxHostile, MutatedXmlNeverDoesHarm) {
  ZipContent package = Package("");
  const std::string xml =
      Part("document", "<w:body>" + Styled("Heading1", "H") + Tbl(Tr(Tc(P("a") + Tbl(Tr(Tc(P("b"))))))) +
                           "<w:p><w:r><mc:AlternateContent><mc:Choice><w:txbxContent>" + P("c") + Tbl(Tr(Tc(P("d")))) +
                           "</w:txbxContent></mc:Choice></mc:AlternateContent></w:r></w:p></w:body>");
  constexpr std::string_view kNames[] = {"w:tbl",         "w:tr", "w:tc",       "w:p", "w:body",
                                         "w:txbxContent", "w:r",  "w:footnote", "w:t"};
  std::uint64_t state = 7;
  const auto random = [&state](std::uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
  };
  int read = 0;
  for (int round = 0; round < 500; ++round) {
    // Swaps the names of elements, both tags of each, so that what comes out is well-formed and nested wrongly.
    std::string mutated = xml;
    const std::string from(kNames[random(std::size(kNames))]);
    const std::string to(kNames[random(std::size(kNames))]);
    for (const std::string& open : {"<" + from, "</" + from}) {
      const std::string by = open.substr(0, open.size() - from.size()) + to;
      for (std::size_t at = mutated.find(open); at != std::string::npos; at = mutated.find(open, at + by.size())) {
        if (std::string_view(" >/").find(mutated[at + open.size()]) != std::string_view::npos)
          mutated.replace(at, open.size(), by);
      }
    }
    package[1].second = mutated;
    if (!Parse(MakeZip(package)).failure) ++read;
  }
  EXPECT_GT(read, 300);
}

}  // namespace
}  // namespace millrace::documents::docx_testing
