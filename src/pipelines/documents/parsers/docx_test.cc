// What a Word document's contents become.
#include <gtest/gtest.h>

#include <string>

#include "pipelines/documents/parsers/docx_alt_chunk.h"
#include "pipelines/documents/parsers/docx_test_support.h"
#include "pipelines/documents/parsers/ooxml_package.h"

namespace millrace::documents::docx_testing {
namespace {

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

TEST(Ooxml, PartNames) {
  EXPECT_EQ(ResolvePartName("word/document.xml", "../media/a.png"), "media/a.png");
  EXPECT_EQ(ResolvePartName("word/document.xml", "/word/x.xml"), "word/x.xml");
  EXPECT_EQ(ResolvePartName("", "word/document.xml"), "word/document.xml");
  EXPECT_EQ(ResolvePartName("word/document.xml", "../../../../etc/passwd"), "etc/passwd");
  EXPECT_EQ(ResolvePartName("word/document.xml", ""), "word");
  EXPECT_EQ(BaseName("a\\b/c.png"), "c.png");
}

}  // namespace
}  // namespace millrace::documents::docx_testing
