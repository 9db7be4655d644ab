#include <gtest/gtest.h>

#include "pipelines/documents/parsers/parse_checks.h"

namespace millrace::documents {
namespace {

Parsed Xml(std::string_view text, const ParseLimits& limits = {}) { return ParseBytes(ParseXml, text, limits); }

constexpr std::string_view kDocument = R"(<?xml version="1.0" encoding="utf-8"?>
<!-- top -->
<root xmlns="urn:x" version="2"><item id="a1" note="only here">Foo
  bar</item><item>Hello <b>bold</b>, &lt;you&gt; <![CDATA[ <cd> ]]></item>
 <p>text <ref t="x">link</ref> more <i>it</i>. end<!-- c --> tail</p><e/><a><b><c>deep</c></b></a></root>
)";

TEST(XmlTest, ElementsAttributesAndMixedText) {
  const auto parsed = Xml(kDocument);
  EXPECT_FALSE(parsed.failure);
  EXPECT_EQ(parsed.tree,
            "xml_comment \"top\" @/comment()\n"
            "xml_element \"version=2\" @/root {\"attributes\":{\"xmlns\":\"urn:x\",\"version\":\"2\"}}\n"
            "  xml_element \"Foo bar id=a1 note=only here\" @/root/item"
            " {\"attributes\":{\"id\":\"a1\",\"note\":\"only here\"}}\n"
            "  xml_element \"Hello bold, <you> <cd>\" @/root/item[2]\n"
            "  xml_element \"text\" @/root/p\n"
            "    xml_element \"link t=x\" @/root/p/ref {\"attributes\":{\"t\":\"x\"}}\n"
            "    xml_text \"more it. end\" @/root/p/text()\n"
            "    xml_comment \"c\" @/root/p/comment()\n"
            "    xml_text \"tail\" @/root/p/text()\n"
            "  xml_element \"\" @/root/e\n"
            "  xml_element \"\" @/root/a\n"
            "    xml_element \"\" @/root/a/b\n"
            "      xml_element \"deep\" @/root/a/b/c\n");
  EXPECT_TRUE(parsed.warnings.empty());
  EXPECT_EQ(parsed.metadata.media_type, "application/xml");
  EXPECT_EQ(parsed.metadata.charset, "UTF-8");
}

TEST(XmlTest, AnElementInTextThatHasMoreThanTextStandsAlone) {
  EXPECT_EQ(Xml("<r>a <b>b <c x='1'>c</c></b> d</r>").tree,
            "xml_element \"a\" @/r\n"
            "  xml_element \"b\" @/r/b\n"
            "    xml_element \"c x=1\" @/r/b/c {\"attributes\":{\"x\":\"1\"}}\n"
            "  xml_text \"d\" @/r/text()\n");
}

TEST(XmlTest, WhiteSpaceAtTheEdgesOfMergedText) {
  EXPECT_EQ(Xml("<r>a<b> b</b>c<b>d </b>e<b> </b>f</r>").tree, "xml_element \"a bcd e f\" @/r\n");
}

TEST(XmlTest, Encodings) {
  const auto latin = Xml("<?xml version='1.0' encoding='ISO-8859-15'?><r>\xA4 caf\xE9</r>");
  EXPECT_EQ(latin.tree, "xml_element \"\xE2\x82\xAC caf\xC3\xA9\" @/r\n");
  const auto cyrillic = Xml("<?xml version='1.0' encoding='windows-1251'?><r>\xE0\xE1</r>");
  EXPECT_EQ(cyrillic.tree, "xml_element \"\xD0\xB0\xD0\xB1\" @/r\n");
  EXPECT_EQ(cyrillic.metadata.charset, "WINDOWS-1251");
  // Not what it says; UTF-16 with a byte order mark; white space before the declaration.
  EXPECT_EQ(Xml("<?xml version='1.0' encoding='UTF-16'?><r>x</r>").tree, "xml_element \"x\" @/r\n");
  EXPECT_EQ(Xml(std::string_view("\xFF\xFE<\0r\0/\0>\0", 10)).tree, "xml_element \"\" @/r\n");
  EXPECT_EQ(Xml("\n <?xml version='1.0'?><r>x</r>").tree, "xml_element \"x\" @/r\n");
}

TEST(XmlTest, BrokenSaysWhere) {
  const auto message = [](std::string_view text) {
    const auto parsed = Xml(text);
    EXPECT_TRUE(parsed.failure) << text;
    return parsed.failure ? parsed.failure->reason + " " + parsed.failure->message : std::string();
  };
  EXPECT_EQ(message("<a>\n <b></a>"), "broken 2:7: mismatched tag");
  EXPECT_EQ(message("<a x='1' x='2'/>"), "broken 1:10: duplicate attribute");
  EXPECT_EQ(message("plain").substr(0, 12), "broken 1:1: ");
  EXPECT_EQ(message("<a>"), "broken 1:4: no element found");
  EXPECT_EQ(message(""), "broken 1:1: no element found");
}

TEST(XmlTest, UndeclaredEntitiesAreToldAndKept) {
  const auto parsed = Xml("<?xml version='1.0' standalone='yes'?><r>a&nope;b<c x='1&other;2'/></r>");
  EXPECT_FALSE(parsed.failure);
  EXPECT_EQ(parsed.tree,
            "xml_element \"a&nope;b\" @/r\n"
            "  xml_element \"x=12\" @/r/c {\"attributes\":{\"x\":\"12\"}}\n");
  ASSERT_EQ(parsed.warnings.size(), 2u);
  EXPECT_EQ(parsed.warnings[0], "the entity &nope; is not declared; in text it is kept as it stands");
  EXPECT_EQ(parsed.warnings[1], "the entity &other; is not declared; in text it is kept as it stands");
}

TEST(XmlTest, DeclaredEntitiesAreExpanded) {
  const auto parsed = Xml("<!DOCTYPE r [<!ENTITY e 'one <b>two</b>'>]><r y='&e2;&#65;&amp;'>&e;</r>");
  EXPECT_EQ(parsed.tree, "xml_element \"one two y=A&\" @/r {\"attributes\":{\"y\":\"A&\"}}\n");
}

TEST(XmlTest, NothingOutsideTheDocumentIsRead) {
  const auto entity = Xml("<!DOCTYPE r [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><r>&e;</r>");
  EXPECT_EQ(entity.tree, "xml_element \"\" @/r\n");
  EXPECT_EQ(entity.warnings, std::vector<std::string>{"external entities such as &e; are not loaded"});
  const auto dtd =
      Xml("<!DOCTYPE r SYSTEM 'http://127.0.0.1:1/x.dtd' [<!ENTITY % p SYSTEM 'file:///etc/passwd'> %p;]><r>&z;</r>");
  EXPECT_EQ(dtd.tree, "xml_element \"&z;\" @/r\n");
}

TEST(XmlTest, EntityExpansionHasALimit) {
  std::string laughs = "<!DOCTYPE l [<!ENTITY l0 'lollollollol'>";
  for (int i = 1; i < 12; ++i) {
    laughs += "<!ENTITY l" + std::to_string(i) + " '" + Repeated("&l" + std::to_string(i - 1) + ";", 10) + "'>";
  }
  std::string squares =
      "<!DOCTYPE l [<!ENTITY a '" + std::string(100'000, 'a') + "'>]><l>" + Repeated("&a;", 30'000) + "</l>";
  for (const auto& text : {laughs + "]><l>&l11;</l>", squares}) {
    const auto parsed = Xml(text);
    ASSERT_TRUE(parsed.failure);
    EXPECT_EQ(parsed.failure->reason, "broken");
    EXPECT_NE(parsed.failure->message.find("entity expansion exceeds limits"), std::string::npos);
  }
  const auto loop = Xml("<!DOCTYPE l [<!ENTITY a '&b;'><!ENTITY b '&a;'>]><l>&a;</l>");
  ASSERT_TRUE(loop.failure);
  EXPECT_EQ(loop.failure->reason, "broken");
}

TEST(XmlTest, DeepNestingIsFlattened) {
  ParseLimits limits;
  limits.max_depth = 3;
  const auto parsed = Xml("<a><b><c><d><e>x</e></d></c></b></a>", limits);
  EXPECT_EQ(parsed.tree,
            "xml_element \"\" @/a\n"
            "  xml_element \"\" @/a/b\n"
            "    xml_element \"\" @/a/b/c\n"
            "      xml_element \"\" @/a/b/c/d\n"
            "      xml_element \"x\" @/a/b/c/d/e\n");
  EXPECT_EQ(parsed.warnings, std::vector<std::string>{"elements nested deeper than 3 levels were flattened"});
}

TEST(XmlTest, HostileInputTakesLinearTime) {
  std::string names = "<r>", attributes = "<r";
  for (int i = 0; i < 100'000; ++i) {
    names += "<n" + std::to_string(i) + "/>";
    attributes += " a" + std::to_string(i) + "='1'";
  }
  const std::vector<std::string> hostile = {
      Repeated("<a>", 50'000) + Repeated("</a>", 50'000),
      Repeated("<a>x", 300'000) + Repeated("</a>", 300'000),
      "<" + std::string(1'000'000, 'n') + ">" + Repeated("<b>x</b>", 50'000) + "</" + std::string(1'000'000, 'n') + ">",
      "<r>" + Repeated("&x;", 100'000) + "</r>",
      "<r>" + Repeated("<!--x-->", 100'000) + "</r>",
      names + "</r>",
      attributes + "/>"};
  for (const auto& text : hostile) {
    SCOPED_TRACE(text.substr(0, 40));
    const auto start = std::chrono::steady_clock::now();
    CollectSink sink;
    const ParseLimits limits;
    EXPECT_FALSE(ParseXml({text, "", limits}, sink));
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  }
}

TEST(XmlTest, TheSinksLimitPassesThroughTheParser) {
  const auto parsed = ParseBytes(ParseXml, "<r>" + Repeated("<a/>", 1000) + "</r>", {}, 100);
  ASSERT_TRUE(parsed.failure);
  EXPECT_EQ(parsed.failure->reason, "too_large");
  EXPECT_EQ(parsed.elements, 99u);
}

TEST(XmlTest, DamagedDocumentsAreSteady) { ExpectSteadyWhenDamaged(ParseXml, std::string(kDocument)); }

TEST(XmlTest, Corpus) {
  const auto files = CorpusFiles(".xml");
  if (files.empty()) GTEST_SKIP() << "no corpus: set MILLRACE_CORPUS to a folder with documents";
  for (const auto& file : files) {
    SCOPED_TRACE(file.filename().string());
    EXPECT_FALSE(ExpectSteady(ParseXml, FileBytes(file)).failure);
  }
}

}  // namespace
}  // namespace millrace::documents
