#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "pipelines/documents/parsers/docx_alt_chunk.h"
#include "pipelines/documents/parsers/ooxml_package.h"
#include "pipelines/documents/parsers/parser.h"
#include "pipelines/documents/parsers/test_sink.h"
#include "pipelines/documents/parsers/zip_test_support.h"

namespace millrace::documents {
namespace {

constexpr std::string_view kWord = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
constexpr std::string_view kStrictWord = "http://purl.oclc.org/ooxml/wordprocessingml/main";
constexpr std::string_view kRels = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

std::string Namespaces(std::string_view word = kWord) {
  return "xmlns:w=\"" + std::string(word) + "\" xmlns:r=\"" + std::string(kRels) +
         "\" xmlns:mc=\"http://schemas.openxmlformats.org/markup-compatibility/2006\""
         " xmlns:a=\"http://schemas.openxmlformats.org/drawingml/2006/main\""
         " xmlns:wp=\"http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing\""
         " xmlns:v=\"urn:schemas-microsoft-com:vml\"";
}

std::string Part(std::string_view root, std::string_view content, std::string_view word = kWord) {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?><w:" + std::string(root) + " " + Namespaces(word) + ">" +
         std::string(content) + "</w:" + std::string(root) + ">";
}

std::string R(std::string_view text) {
  return "<w:r><w:t xml:space=\"preserve\">" + std::string(text) + "</w:t></w:r>";
}
std::string P(std::string_view text) { return "<w:p>" + R(text) + "</w:p>"; }
std::string Styled(std::string_view style, std::string_view text) {
  return "<w:p><w:pPr><w:pStyle w:val=\"" + std::string(style) + "\"/></w:pPr>" + R(text) + "</w:p>";
}
std::string Item(int list, int level, std::string_view text) {
  return "<w:p><w:pPr><w:numPr><w:ilvl w:val=\"" + std::to_string(level) + "\"/><w:numId w:val=\"" +
         std::to_string(list) + "\"/></w:numPr></w:pPr>" + R(text) + "</w:p>";
}
std::string Tc(std::string_view content) { return "<w:tc>" + std::string(content) + "</w:tc>"; }
std::string Tr(std::string_view content) { return "<w:tr>" + std::string(content) + "</w:tr>"; }
std::string Tbl(std::string_view content) { return "<w:tbl><w:tblPr/>" + std::string(content) + "</w:tbl>"; }

struct Relation {
  std::string id, type, target;
  bool external = false;
};

std::string RelsPart(const std::vector<Relation>& relations) {
  std::string out = "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">";
  for (const Relation& r : relations) {
    out += "<Relationship Id=\"" + r.id + "\" Type=\"" + std::string(kRels) + "/" + r.type + "\" Target=\"" + r.target +
           "\"" + (r.external ? " TargetMode=\"External\"" : "") + "/>";
  }
  return out + "</Relationships>";
}

ZipContent Package(std::string_view body, const std::vector<Relation>& relations = {}, ZipContent more = {},
                   std::string_view word = kWord) {
  ZipContent members = {{"_rels/.rels", RelsPart({{"r1", "officeDocument", "word/document.xml"}})},
                        {"word/document.xml", Part("document", "<w:body>" + std::string(body) + "</w:body>", word)},
                        {"word/_rels/document.xml.rels", RelsPart(relations)}};
  members.insert(members.end(), more.begin(), more.end());
  return members;
}

struct Parsed {
  std::optional<ParseFailure> failure;
  CollectSink sink;
};

Parsed Parse(std::string_view bytes) {
  Parsed parsed;
  const ParseLimits limits;
  parsed.failure = ParseDocx({bytes, "test.docx", limits}, parsed.sink);
  return parsed;
}

std::string Tree(const ZipContent& package) {
  const Parsed parsed = Parse(MakeZip(package));
  EXPECT_FALSE(parsed.failure) << parsed.failure->reason << ": " << parsed.failure->message;
  EXPECT_TRUE(parsed.sink.warnings.empty()) << parsed.sink.warnings.front();
  return parsed.sink.Tree();
}

TEST(Docx, ParagraphsAreCountedWithEmptyOnes) {
  EXPECT_EQ(Tree(Package(P("One") + "<w:p/>" + P("  Three \xC2\xADsoft "))),
            "paragraph \"One\" @paragraph 1\n"
            "paragraph \"Three soft\" @paragraph 3\n");
}

TEST(Docx, StrictNamespacesAndOtherPrefixes) {
  EXPECT_EQ(Tree(Package(P("Strict"), {}, {}, kStrictWord)), "paragraph \"Strict\" @paragraph 1\n");
  ZipContent package = Package("");
  package[1].second =
      "<document xmlns=\"" + std::string(kWord) + "\"><body><p><r><t>Bare</t></r></p></body></document>";
  EXPECT_EQ(Tree(package), "paragraph \"Bare\" @paragraph 1\n");
  package[1].second = "<x:document xmlns:x=\"" + std::string(kWord) +
                      "\"><x:body><x:p><x:r><x:t>Own</x:t></x:r><x:r xmlns:x=\"urn:other\"><x:t>Foreign</x:t></x:r>"
                      "<x:r><x:t> again</x:t></x:r></x:p></x:body></x:document>";
  EXPECT_EQ(Tree(package), "paragraph \"Own again\" @paragraph 1\n");
}

TEST(Docx, HeadingsByOutlineLevelNameAndInheritance) {
  const std::string styles = Part(
      "styles",
      "<w:style w:type=\"paragraph\" w:styleId=\"berschrift1\"><w:name w:val=\"heading 1\"/></w:style>"
      "<w:style w:type=\"paragraph\" w:styleId=\"Kapitel\"><w:name w:val=\"Kapitel\"/>"
      "<w:pPr><w:outlineLvl w:val=\"1\"/></w:pPr></w:style>"
      "<w:style w:type=\"paragraph\" w:styleId=\"Derived\"><w:name w:val=\"My own\"/><w:basedOn "
      "w:val=\"Kapitel\"/></w:style>"
      "<w:style w:type=\"paragraph\" w:styleId=\"Loop\"><w:name w:val=\"Loop\"/><w:basedOn w:val=\"Loop\"/></w:style>"
      "<w:style w:type=\"paragraph\" w:styleId=\"Titel\"><w:name w:val=\"Title\"/></w:style>"
      "<w:style w:type=\"paragraph\" w:styleId=\"Zitat\"><w:name w:val=\"Quote\"/></w:style>"
      "<w:style w:type=\"paragraph\" w:styleId=\"H9\"><w:name w:val=\"heading 9\"/></w:style>");
  const std::string body =
      Styled("Titel", "Title") + Styled("berschrift1", "One") + Styled("Kapitel", "Two") +
      Styled("Derived", "Also two") + Styled("Loop", "Text") + Styled("Zitat", "Said") + Styled("H9", "Deep") +
      "<w:p><w:pPr><w:pStyle w:val=\"berschrift1\"/><w:outlineLvl w:val=\"9\"/></w:pPr>" + R("Not a heading") +
      "</w:p><w:p><w:pPr><w:outlineLvl w:val=\"2\"/></w:pPr>" + R("Three") + "</w:p>";
  EXPECT_EQ(Tree(Package(body, {{"s", "styles", "styles.xml"}}, {{"word/styles.xml", styles}})),
            "header[1] \"Title\" @paragraph 1\n"
            "header[1] \"One\" @paragraph 2\n"
            "header[2] \"Two\" @paragraph 3\n"
            "header[2] \"Also two\" @paragraph 4\n"
            "paragraph \"Text\" @paragraph 5\n"
            "blockquote \"Said\" @paragraph 6\n"
            "header[6] \"Deep\" @paragraph 7\n"
            "paragraph \"Not a heading\" @paragraph 8\n"
            "header[3] \"Three\" @paragraph 9\n");
  EXPECT_EQ(Tree(Package(Styled("Heading2", "Without styles"))), "header[2] \"Without styles\" @paragraph 1\n");
}

TEST(Docx, ListsWithLevelsAndKinds) {
  const std::string numbering = Part(
      "numbering",
      "<w:abstractNum w:abstractNumId=\"5\"><w:lvl w:ilvl=\"0\"><w:numFmt w:val=\"decimal\"/></w:lvl></w:abstractNum>"
      "<w:abstractNum w:abstractNumId=\"6\"><w:lvl w:ilvl=\"0\"><w:numFmt w:val=\"bullet\"/></w:lvl></w:abstractNum>"
      "<w:num w:numId=\"1\"><w:abstractNumId w:val=\"5\"/></w:num><w:num w:numId=\"2\"><w:abstractNumId "
      "w:val=\"6\"/></w:num>");
  const std::string body = Item(1, 0, "First") + Item(1, 1, "Inner") + "<w:p/>" + Item(1, 0, "Second") + P("Between") +
                           Item(1, 0, "Third") + Item(2, 0, "Dot") + Item(0, 0, "No list");
  EXPECT_EQ(Tree(Package(body, {{"n", "numbering", "numbering.xml"}}, {{"word/numbering.xml", numbering}})),
            "list \"\" @paragraph 1 {\"ordered\":true}\n"
            "  list_item[1] \"First\" @paragraph 1\n"
            "  list_item[2] \"Inner\" @paragraph 2\n"
            "  list_item[1] \"Second\" @paragraph 4\n"
            "paragraph \"Between\" @paragraph 5\n"
            "list \"\" @paragraph 6 {\"ordered\":true}\n"
            "  list_item[1] \"Third\" @paragraph 6\n"
            "list \"\" @paragraph 7 {\"ordered\":false}\n"
            "  list_item[1] \"Dot\" @paragraph 7\n"
            "paragraph \"No list\" @paragraph 8\n");
}

TEST(Docx, TablesNestAndCellsMerge) {
  const std::string inner = Tbl(Tr(Tc(P("inner"))));
  const std::string body = Tbl(Tr("<w:trPr><w:tblHeader/></w:trPr>" + Tc(P("Head")) +
                                  Tc("<w:tcPr><w:gridSpan w:val=\"2\"/></w:tcPr>" + P("Wide"))) +
                               Tr(Tc("<w:tcPr><w:vMerge w:val=\"restart\"/></w:tcPr>" + P("a") + P("b")) +
                                  Tc(P("before") + inner + P("after"))) +
                               Tr(Tc("<w:tcPr><w:vMerge/></w:tcPr><w:p/>") + Tc("<w:p/>"))) +
                           Tbl(Tr(Tc(P("second"))));
  EXPECT_EQ(Tree(Package(body)),
            "table \"\" @table 1\n"
            "  table_row \"\" @table 1 row 1 {\"header\":true}\n"
            "    table_header_cell \"Head\" @table 1 row 1 cell 1\n"
            "    table_header_cell \"Wide\" @table 1 row 1 cell 2 {\"column_span\":2}\n"
            "  table_row \"\" @table 1 row 2\n"
            "    table_cell \"a\nb\" @table 1 row 2 cell 1 {\"row_merge\":\"start\"}\n"
            "    table_cell \"before\" @table 1 row 2 cell 2\n"
            "      table \"\" @table 1 row 2 cell 2 table 1\n"
            "        table_row \"\" @table 1 row 2 cell 2 table 1 row 1\n"
            "          table_cell \"inner\" @table 1 row 2 cell 2 table 1 row 1 cell 1\n"
            "      paragraph \"after\" @table 1 row 2 cell 2\n"
            "  table_row \"\" @table 1 row 3\n"
            "    table_cell \"\" @table 1 row 3 cell 1 {\"row_merge\":\"continued\"}\n"
            "    table_cell \"\" @table 1 row 3 cell 2\n"
            "table \"\" @table 2\n"
            "  table_row \"\" @table 2 row 1\n"
            "    table_cell \"second\" @table 2 row 1 cell 1\n");
}

TEST(Docx, TrackedChanges) {
  const std::string deleted_mark = "<w:pPr><w:rPr><w:del w:id=\"1\"/></w:rPr></w:pPr>";
  const std::string body =
      "<w:p>" + R("kept ") + "<w:ins>" + R("added") + "</w:ins><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>" +
      "<w:moveFrom>" + R("moved away") + "</w:moveFrom></w:p>" + "<w:p>" + deleted_mark + R("first half, ") + "</w:p>" +
      P("second half") +
      "<w:p><w:pPr><w:pPrChange><w:pPr><w:numPr><w:numId w:val=\"3\"/></w:numPr></w:pPr></w:pPrChange></w:pPr>" +
      R("was a list") + "</w:p>" +
      Tbl(Tr(Tc(P("stays"))) + Tr("<w:trPr><w:del/></w:trPr>" + Tc(P("row deleted"))) +
          Tr(Tc("<w:p>" + deleted_mark + R("last") + "</w:p>") + Tc(P("next cell"))));
  EXPECT_EQ(Tree(Package(body)),
            "paragraph \"kept added\" @paragraph 1\n"
            "paragraph \"first half, second half\" @paragraph 2\n"
            "paragraph \"was a list\" @paragraph 3\n"
            "table \"\" @table 1\n"
            "  table_row \"\" @table 1 row 1\n"
            "    table_cell \"stays\" @table 1 row 1 cell 1\n"
            "  table_row \"\" @table 1 row 3\n"
            "    table_cell \"last\" @table 1 row 3 cell 1\n"
            "    table_cell \"next cell\" @table 1 row 3 cell 2\n");
}

TEST(Docx, FieldsLinksAndSpecialCharacters) {
  const auto field = [](std::string_view type) {
    return "<w:r><w:fldChar w:fldCharType=\"" + std::string(type) + "\"/></w:r>";
  };
  const std::string body =
      "<w:p>" + field("begin") + "<w:r><w:instrText> HYPERLINK \"http://a.example/\" </w:instrText></w:r>" +
      field("separate") + R("shown") + field("end") + "<w:hyperlink r:id=\"h\">" + R(" linked") +
      "</w:hyperlink><w:hyperlink w:anchor=\"here\">" + R(" inside") + "</w:hyperlink></w:p>" + "<w:p>" +
      field("begin") + "<w:r><w:instrText>IF </w:instrText></w:r>" + field("begin") + field("separate") +
      R("nested code") + field("end") + field("separate") + R("result") + field("end") + "</w:p>" + "<w:p>" +
      field("begin") + R("never ended") + "</w:p>" + P("not swallowed") +
      "<w:p><w:pPr><w:tabs><w:tab "
      "w:val=\"left\"/></w:tabs></w:pPr><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t>"
      "<w:noBreakHyphen/><w:t>d</w:t><w:softHyphen/><w:sym w:font=\"X\" w:char=\"2192\"/><w:sym w:font=\"X\" "
      "w:char=\"F0B7\"/>"
      "<w:ruby><w:rt><w:r><w:t>reading</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>base</w:t></w:r></w:rubyBase></w:ruby></"
      "w:r></w:p>";
  EXPECT_EQ(Tree(Package(body, {{"h", "hyperlink", "http://b.example/?q=\xC3\xBC&amp;r", true}})),
            "paragraph \"shown linked inside\" @paragraph 1 "
            "{\"links\":[\"http://a.example/\",\"http://b.example/?q=\xC3\xBC&r\",\"#here\"]}\n"
            "paragraph \"result\" @paragraph 2\n"
            "paragraph \"not swallowed\" @paragraph 4\n"
            "paragraph \"a b\nc-d\xE2\x86\x92"
            "base\" @paragraph 5\n");
}

TEST(Docx, TextBoxesOnceAndAfterTheirParagraph) {
  const auto box = [](std::string_view content) {
    return "<w:r><mc:AlternateContent><mc:Choice Requires=\"wps\"><w:drawing><w:txbxContent>" + std::string(content) +
           "</w:txbxContent></w:drawing></mc:Choice><mc:Fallback><w:pict><v:textbox><w:txbxContent>" +
           std::string(content) + "</w:txbxContent></v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r>";
  };
  const std::string body =
      "<w:p>" + R("before ") + box(P("in the box") + P("two") + Tbl(Tr(Tc(P("boxed cell"))))) + R("after") + "</w:p>" +
      Tbl(Tr(
          Tc("<w:p>" + box("<w:p>" + R("outer") + box(P("innermost")) + "</w:p>") + R("cell") + "</w:p>" + P("more"))));
  EXPECT_EQ(Tree(Package(body)),
            "paragraph \"before after\" @paragraph 1\n"
            "text_box \"in the box\ntwo\" @paragraph 1 text box 1\n"
            "  table \"\" @paragraph 1 text box 1 table 1\n"
            "    table_row \"\" @paragraph 1 text box 1 table 1 row 1\n"
            "      table_cell \"boxed cell\" @paragraph 1 text box 1 table 1 row 1 cell 1\n"
            "table \"\" @table 1\n"
            "  table_row \"\" @table 1 row 1\n"
            "    table_cell \"cell\nmore\" @table 1 row 1 cell 1\n"
            "      text_box \"\" @table 1 row 1 cell 1 text box 1\n"
            "        text_box \"innermost\" @table 1 row 1 cell 1 text box 1 text box 1\n"
            "        paragraph \"outer\" @table 1 row 1 cell 1 text box 1\n");
}

TEST(Docx, NotesCommentsHeadersAndFooters) {
  const std::string footnotes =
      Part("footnotes", "<w:footnote w:id=\"-1\" w:type=\"separator\">" + P("---") +
                            "</w:footnote><w:footnote w:id=\"1\">" + P("A note") + P("of two") + "</w:footnote>");
  const std::string endnotes =
      Part("endnotes", "<w:endnote w:id=\"1\">" + P("At the end") + Tbl(Tr(Tc(P("x")))) + "</w:endnote>");
  const std::string comments =
      Part("comments", "<w:comment w:id=\"0\" w:author=\"A &quot;B&quot;\" w:date=\"2020-01-02T03:04:05Z\">" +
                           P("Why?") + "</w:comment>");
  const Parsed parsed = Parse(MakeZip(Package(P("Body"),
                                              {{"f", "footnotes", "footnotes.xml"},
                                               {"e", "endnotes", "endnotes.xml"},
                                               {"c", "comments", "comments.xml"},
                                               {"h2", "header", "header2.xml"},
                                               {"h1", "header", "header1.xml"},
                                               {"g", "footer", "/word/footer1.xml"}},
                                              {{"word/footnotes.xml", footnotes},
                                               {"word/endnotes.xml", endnotes},
                                               {"word/comments.xml", comments},
                                               {"word/header1.xml", Part("hdr", P("Top"))},
                                               {"word/header2.xml", Part("hdr", "<w:p/>")},
                                               {"word/footer1.xml", Part("ftr", P("Bottom"))}})));
  ASSERT_FALSE(parsed.failure);
  EXPECT_EQ(parsed.sink.Tree(),
            "paragraph \"Body\" @paragraph 1\n"
            "footnote \"A note\nof two\" @footnote 1\n"
            "endnote \"At the end\" @endnote 1\n"
            "  table \"\" @endnote 1 table 1\n"
            "    table_row \"\" @endnote 1 table 1 row 1\n"
            "      table_cell \"x\" @endnote 1 table 1 row 1 cell 1\n"
            "comment \"Why?\" @comment 1 {\"author\":\"A \\\"B\\\"\",\"date\":\"2020-01-02T03:04:05Z\"}\n"
            "page_header \"Top\" @header 1\n"
            "page_footer \"Bottom\" @footer 1\n");
}

TEST(Docx, ImagesEmbeddedObjectsAndProperties) {
  const std::string body =
      "<w:p>" + R("See") +
      "<w:r><w:drawing><wp:docPr id=\"1\" name=\"P\" descr=\"A cat\"/><a:blip r:embed=\"i\"/></w:drawing></w:r>"
      "<w:r><w:object><o:OLEObject xmlns:o=\"urn:schemas-microsoft-com:office:office\" ProgID=\"Excel.Sheet\" "
      "r:id=\"o\"/></w:object></w:r></w:p>";
  ZipContent package = Package(
      body, {{"i", "image", "media/cat.png"}, {"o", "package", "embeddings/s.xlsx"}},
      {{"docProps/core.xml",
        "<cp:coreProperties xmlns:cp=\"http://schemas.openxmlformats.org/package/2006/metadata/core-properties\""
        " xmlns:dc=\"http://purl.org/dc/elements/1.1/\" xmlns:dcterms=\"http://purl.org/dc/terms/\">"
        "<dc:title>T</dc:title><dc:creator>C</dc:creator><dcterms:created>2020-01-01T00:00:00Z</dcterms:created>"
        "<cp:keywords>k</cp:keywords></cp:coreProperties>"},
       {"docProps/app.xml",
        "<Properties xmlns=\"http://schemas.openxmlformats.org/officeDocument/2006/extended-properties\">"
        "<Pages>7</Pages><Application>W</Application><Company>Co</Company></Properties>"}});
  package[0].second = RelsPart({{"r1", "officeDocument", "word/document.xml"},
                                {"r2", "core-properties", "docProps/core.xml"},
                                {"r3", "extended-properties", "docProps/app.xml"}});
  const Parsed parsed = Parse(MakeZip(package));
  ASSERT_FALSE(parsed.failure);
  EXPECT_EQ(parsed.sink.Tree(),
            "paragraph \"See\" @paragraph 1\n"
            "image \"A cat\" @paragraph 1 {\"name\":\"cat.png\",\"part\":\"word/media/cat.png\"}\n"
            "embedded \"s.xlsx\" @paragraph 1 {\"program\":\"Excel.Sheet\",\"part\":\"word/embeddings/s.xlsx\"}\n");
  const DocumentMetadata& metadata = parsed.sink.document;
  EXPECT_EQ(metadata.title, "T");
  EXPECT_EQ(metadata.author, "C");
  EXPECT_EQ(metadata.created, "2020-01-01T00:00:00Z");
  EXPECT_EQ(metadata.keywords, "k");
  EXPECT_EQ(metadata.producer, "W");
  EXPECT_EQ(metadata.pages, 7);
  EXPECT_EQ(metadata.extra, R"({"company":"Co"})");
}

TEST(Docx, EmbeddedHtmlIsParsedInPlace) {
  const Parsed parsed = Parse(
      MakeZip(Package("<w:altChunk r:id=\"a\"/><w:altChunk r:id=\"b\"/>" + P("after"),
                      {{"a", "aFChunk", "a.html"}, {"b", "aFChunk", "b.rtf"}},
                      {{"word/a.html", "<html><body><p>chunk text</p></body></html>"}, {"word/b.rtf", "{\\rtf1 x}"}})));
  ASSERT_FALSE(parsed.failure);
  const std::string tree = parsed.sink.Tree();
  EXPECT_TRUE(tree.starts_with("embedded \"\" @paragraph 1 {\"part\":\"word/a.html\"}\n  ")) << tree;
  EXPECT_NE(tree.find("chunk text"), std::string::npos) << tree;
  EXPECT_LT(tree.find("chunk text"), tree.find("\"after\""));
  ASSERT_EQ(parsed.sink.warnings.size(), 1u);
  EXPECT_NE(parsed.sink.warnings[0].find("word/b.rtf"), std::string::npos);
}

TEST(Docx, HtmlOfMimeMessages) {
  EXPECT_EQ(HtmlOfMime(
                "MIME-Version: 1.0\r\nContent-Type: multipart/related;\r\n\tboundary=\"x\"\r\n\r\n--x\r\nContent-Type: "
                "text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db=\r\nc\r\n--x--\r\n"),
            "a=bc\r");
  EXPECT_EQ(HtmlOfMime("Content-Type: text/html\nContent-Transfer-Encoding: base64\n\naGVsbG8="), "hello");
  EXPECT_EQ(HtmlOfMime("Content-Type: text/plain\n\nx"), "");
}

TEST(Docx, BrokenOnesAreToldWithPartAndPlace) {
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

TEST(Docx, ABrokenSidePartIsAWarning) {
  const Parsed parsed =
      Parse(MakeZip(Package(P("Body"), {{"s", "styles", "styles.xml"}, {"f", "footnotes", "footnotes.xml"}},
                            {{"word/styles.xml", "<w:styles"}, {"word/footnotes.xml", "no xml"}})));
  ASSERT_FALSE(parsed.failure);
  EXPECT_EQ(parsed.sink.Tree(), "paragraph \"Body\" @paragraph 1\n");
  ASSERT_EQ(parsed.sink.warnings.size(), 2u);
  EXPECT_NE(parsed.sink.warnings[0].find("word/styles.xml"), std::string::npos);
  EXPECT_NE(parsed.sink.warnings[1].find("word/footnotes.xml"), std::string::npos);
}

TEST(Docx, ZipBombIsTooLarge) {
  const Parsed parsed = Parse(MakeZip(Package(P(std::string(64 << 20, 'x')))));
  ASSERT_TRUE(parsed.failure);
  EXPECT_EQ(parsed.failure->reason, "too_large");
  EXPECT_NE(parsed.failure->message.find("zip bomb"), std::string::npos);
}

TEST(Docx, DeepTablesBecomeText) {
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

TEST(Docx, LimitsOfTheSinkPassThroughTheParser) {
  std::string body;
  for (int i = 0; i < 100; ++i) body += P("x");
  const std::string bytes = MakeZip(Package(body));
  CollectSink sink(50);
  const ParseLimits limits;
  EXPECT_THROW(ParseDocx({bytes, "", limits}, sink), LimitReached);
}

// Parts beyond 4 MiB are read by another library.
TEST(Docx, LargePartsReadLikeSmallOnes) {
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

TEST(Docx, CutOffAnywhereIsBrokenOrRead) {
  const std::string bytes = RichDocument();
  ASSERT_FALSE(Parse(bytes).failure);
  for (std::size_t cut = 0; cut < 50; ++cut) {
    const Parsed parsed = Parse(std::string_view(bytes).substr(0, bytes.size() * cut / 50));
    ASSERT_TRUE(parsed.failure) << cut;  // the directory stands at the end
    EXPECT_EQ(parsed.failure->reason, "broken") << cut;
    EXPECT_FALSE(parsed.failure->message.empty()) << cut;
  }
}

TEST(Docx, MutatedBytesNeverDoHarm) {
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

TEST(Docx, MutatedXmlNeverDoesHarm) {
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

TEST(Ooxml, PartNames) {
  EXPECT_EQ(ResolvePartName("word/document.xml", "../media/a.png"), "media/a.png");
  EXPECT_EQ(ResolvePartName("word/document.xml", "/word/x.xml"), "word/x.xml");
  EXPECT_EQ(ResolvePartName("", "word/document.xml"), "word/document.xml");
  EXPECT_EQ(ResolvePartName("word/document.xml", "../../../../etc/passwd"), "etc/passwd");
  EXPECT_EQ(ResolvePartName("word/document.xml", ""), "word");
  EXPECT_EQ(BaseName("a\\b/c.png"), "c.png");
}

}  // namespace
}  // namespace millrace::documents
