#include <gtest/gtest.h>

#include <new>

#include "pipelines/documents/parsers/parse_checks.h"

namespace millrace::documents {
namespace {

Parsed Html(std::string_view text, const ParseLimits& limits = {}) { return ParseBytes(ParseHtml, text, limits); }
std::string Tree(std::string_view text) { return Html(text).tree; }

constexpr std::string_view kPage = R"(<!DOCTYPE html>
<html lang="en-GB"><head><title> My   Page</title><meta name=author content="Jane Roe">
<meta name="description" content="About it"><meta name="keywords" content="a, b">
<meta name="date" content="2024-02-03"><meta name="robots" content="all"><style>p{}</style></head>
<body><h1>Head <b>one</b></h1><p>First&nbsp;para with <a href="http://x.y/">a link</a> and<br>a break.</p>
<div><a href="/alone">Alone</a></div>
<ul><li>One<ul><li>Nested</li></ul>after</li><li><p>Two</p><p>Two b</p></li><li></ul>
<table><caption>Cap</caption><tr><th>A<th colspan=2>B<tr><td><p>1</p><td></td><td><img src=i.png alt="pic"></table>
<blockquote>Loose<p>Quoted</p></blockquote><pre>
 keep  this
   x
</pre><pre><code class="language-cpp">int x;
</code></pre><hr><dl><dt>T<dd>D</dl><!-- no --><script>var x</script><noscript>n</noscript>
<template><p>t</p></template></body></html>
)";

TEST(HtmlTest, EveryKindOfBlock) {
  EXPECT_EQ(Tree(kPage), R"(header[1] "Head one" @html>body>h1
paragraph "First para with a link and
a break." @html>body>p {"links":["http://x.y/"]}
link "Alone" @html>body>div {"href":"/alone"}
list "" @html>body>ul
  list_item[1] "One" @html>body>ul>li
    list "" @html>body>ul>li>ul
      list_item[2] "Nested" @html>body>ul>li>ul>li
    paragraph "after" @html>body>ul>li
  list_item[1] "Two" @html>body>ul>li:nth-of-type(2)
    paragraph "Two b" @html>body>ul>li:nth-of-type(2)>p:nth-of-type(2)
table "" @html>body>table
  caption "Cap" @html>body>table>caption
  table_row "" @html>body>table>tbody>tr
    table_header_cell "A" @html>body>table>tbody>tr>th
    table_header_cell "B" @html>body>table>tbody>tr>th:nth-of-type(2) {"colspan":2}
  table_row "" @html>body>table>tbody>tr:nth-of-type(2)
    table_cell "1" @html>body>table>tbody>tr:nth-of-type(2)>td
    table_cell "" @html>body>table>tbody>tr:nth-of-type(2)>td:nth-of-type(2)
    table_cell "" @html>body>table>tbody>tr:nth-of-type(2)>td:nth-of-type(3)
      image "pic" @html>body>table>tbody>tr:nth-of-type(2)>td:nth-of-type(3)>img {"src":"i.png"}
blockquote "Loose" @html>body>blockquote
  paragraph "Quoted" @html>body>blockquote>p
preformatted " keep  this
   x" @html>body>pre
code_block "int x;" @html>body>pre:nth-of-type(2) {"language":"cpp"}
thematic_break "" @html>body>hr
definition_list "" @html>body>dl
  definition_term "T" @html>body>dl>dt
  definition "D" @html>body>dl>dd
)");
}

TEST(HtmlTest, Metadata) {
  const auto metadata = Html(kPage).metadata;
  EXPECT_EQ(metadata.media_type, "text/html");
  EXPECT_EQ(metadata.charset, "UTF-8");
  EXPECT_EQ(metadata.title, "My Page");
  EXPECT_EQ(metadata.author, "Jane Roe");
  EXPECT_EQ(metadata.subject, "About it");
  EXPECT_EQ(metadata.keywords, "a, b");
  EXPECT_EQ(metadata.created, "2024-02-03");
  EXPECT_EQ(metadata.language, "en");
  EXPECT_EQ(metadata.extra, R"({"robots":"all"})");
}

TEST(HtmlTest, LooseTextBelongsToTheBlockItStandsIn) {
  EXPECT_EQ(Tree("a<div>b<div>c</div>d</div>e"),
            "paragraph \"a\" @html>body\n"
            "paragraph \"b\" @html>body>div\n"
            "paragraph \"c\" @html>body>div>div\n"
            "paragraph \"d\" @html>body>div\n"
            "paragraph \"e\" @html>body\n");
}

TEST(HtmlTest, WhiteSpaceIsCollapsedAcrossElements) {
  EXPECT_EQ(Tree("<p> a \n\t <b> b</b><i>c </i> d\xC2\xA0 e\xC3\xA9  </p>"),
            "paragraph \"a bc d e\xC3\xA9\" @html>body>p\n");
  // Longer than a machine word at every alignment.
  for (int i = 0; i < 24; ++i) {
    const std::string word(static_cast<std::size_t>(i) + 1, 'x');
    EXPECT_EQ(Tree("<p>" + word + "  yy\n" + word + " z  </p>"),
              "paragraph \"" + word + " yy " + word + " z\" @html>body>p\n");
  }
}

TEST(HtmlTest, SeveralLinksStayInTheText) {
  EXPECT_EQ(Tree(R"(<div><a href="/1">One</a> <a href="/2">Two</a> <a name=x></a></div>)"),
            "paragraph \"One Two\" @html>body>div {\"links\":[\"/1\",\"/2\"]}\n");
  EXPECT_EQ(Tree(R"(<li>See <a href="/1">one</a></li>)"),
            "list_item[1] \"See one\" @html>body>li {\"links\":[\"/1\"]}\n");
  EXPECT_EQ(Tree(R"(<a href="/1"><div>Block</div></a><p>after</p>)"),
            "link \"Block\" @html>body>a>div {\"href\":\"/1\"}\n"
            "paragraph \"after\" @html>body>p\n");
}

TEST(HtmlTest, ImagesStandUnderTheirText) {
  EXPECT_EQ(
      Tree(
          R"(<p>before <a href="/big"><img src="s.png" alt="A  cat"></a> after</p><img src="data:image/png;base64,AA">)"),
      "paragraph \"before after\" @html>body>p\n"
      "  image \"A cat\" @html>body>p>a>img {\"src\":\"s.png\",\"href\":\"/big\"}\n");
}

TEST(HtmlTest, FormFieldsThatShowText) {
  EXPECT_EQ(Tree("<form><input placeholder='your name'><input type=hidden value=x><input type=password value=y>"
                 "<select><option>a<option>b</select><textarea>\nhi\n there</textarea>"
                 "<button>Save</button><button>No</button></form>"),
            "form_field \"your name\" @html>body>form>input\n"
            "form_field \"a\nb\" @html>body>form>select\n"
            "form_field \"hi\n there\" @html>body>form>textarea\n"
            "paragraph \"Save No\" @html>body>form\n");
}

TEST(HtmlTest, CharsetFromMetaXmlDeclarationAndByteOrderMark) {
  const auto meta = Html("<meta charset=windows-1252><p>caf\xE9");
  EXPECT_EQ(meta.tree, "paragraph \"caf\xC3\xA9\" @html>body>p\n");
  EXPECT_EQ(meta.metadata.charset, "WINDOWS-1252");
  const auto http_equiv =
      Html("<!-- <meta charset=utf-16> --><meta http-equiv=content-type content='text/html; charset=koi8-r'><p>\xC1");
  EXPECT_EQ(http_equiv.tree, "paragraph \"\xD0\xB0\" @html>body>p\n");
  const auto declared = Html("<?xml version='1.0' encoding='windows-1251'?><p>\xE0\xE1");
  EXPECT_EQ(declared.tree, "paragraph \"\xD0\xB0\xD0\xB1\" @html>body>p\n");
  const std::string wide("\xFF\xFE<\0p\0>\0h\0i\0", 12);
  EXPECT_EQ(Tree(wide), "paragraph \"hi\" @html>body>p\n");
}

TEST(HtmlTest, OddNamesAreEscapedInPathsAndLongPathsEnd) {
  EXPECT_EQ(Tree("<o:p><div>x</div></o:p>"), "paragraph \"x\" @html>body>o\\:p>div\n");
  const auto deep = Html(Repeated("<article>", 100) + "x");
  EXPECT_EQ(deep.elements, 1u);
  EXPECT_NE(deep.tree.find("article>article..."), std::string::npos) << deep.tree;
}

TEST(HtmlTest, DeepNestingIsFlattenedWithOneWarning) {
  ParseLimits limits;
  limits.max_depth = 40;
  const auto parsed =
      Html(Repeated("<div>", 200'000) + "<p>deep</p>" + Repeated("</div>", 200'000) + "<p>end</p>", limits);
  ASSERT_EQ(parsed.warnings.size(), 1u);
  EXPECT_EQ(parsed.warnings[0], "elements nested deeper than 40 levels were flattened");
  EXPECT_EQ(parsed.elements, 2u);
  EXPECT_NE(parsed.tree.find("\"deep\""), std::string::npos);
  // Every element left out takes its end tag with it: what follows is where it belongs.
  EXPECT_NE(parsed.tree.find("paragraph \"end\" @html>body>p\n"), std::string::npos) << parsed.tree;
}

// Each takes quadratic time or memory in the library itself when it is let.
TEST(HtmlTest, HostileInputTakesLinearTime) {
  std::string fonts, names, bodies;
  for (int i = 0; i < 150'000; ++i) {
    if (i < 50'000) fonts += "<p><font color=" + std::to_string(i) + ">x";
    names += "<x" + std::to_string(i) + ">y</x" + std::to_string(i) + ">";
    bodies += "<body a" + std::to_string(i) + "=1>";
  }
  const std::vector<std::string> hostile = {Repeated("<a", 5'000'000),
                                            Repeated("<div>x", 200'000),
                                            Repeated("x</y>", 200'000),
                                            "<table>" + Repeated("x<tr>", 200'000),
                                            Repeated("<a><div></a>", 100'000),
                                            fonts,
                                            names,
                                            bodies,
                                            Repeated("<table><tr><td>", 50'000),
                                            Repeated("&", 1'000'000),
                                            Repeated("<svg><g>", 50'000),
                                            "<p " + Repeated("a=1 ", 200'000)};
  for (const auto& text : hostile) {
    SCOPED_TRACE(text.substr(0, 40));
    const auto start = std::chrono::steady_clock::now();
    EXPECT_FALSE(Html(text).failure);
    // Alone each takes well under a second, even with sanitizers; quadratic ones take minutes.
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  }
}

TEST(HtmlTest, TextInPiecesIsKeptWhole) {
  const auto parsed = Html("<p>" + Repeated("x</y>", 10'000));
  EXPECT_EQ(parsed.tree, "paragraph \"" + std::string(10'000, 'x') + "\" @html>body>p\n");
}

TEST(HtmlTest, ManyMadeUpNamesKeepTheirText) {
  std::string text = "<p>start</p>";
  for (int i = 0; i < 1000; ++i)
    text += "<my-" + std::to_string(i) + "><p>p" + std::to_string(i) + "</p></my-" + std::to_string(i) + ">";
  const auto parsed = Html(text);
  EXPECT_EQ(parsed.elements, 1001u);
  EXPECT_NE(parsed.tree.find("\"p999\""), std::string::npos);
}

TEST(HtmlTest, TheSinksLimitEndsTheParse) {
  const auto parsed = ParseBytes(ParseHtml, Repeated("<p>x", 1000), {}, 100);
  ASSERT_TRUE(parsed.failure);
  EXPECT_EQ(parsed.failure->reason, "too_large");
}

TEST(HtmlTest, MemoryEndsTheParseBeforeItEnds) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer's allocator does not tell how much is in use";
#endif
  ParseLimits limits;
  limits.memory = 256 << 20;
  EXPECT_THROW(Html(Repeated("<p>x", 2'000'000), limits), std::bad_alloc);
  limits.memory = 1 << 30;
  EXPECT_FALSE(Html(Repeated("<p>x", 200'000), limits).failure);
}

TEST(HtmlTest, NothingIsADocument) {
  for (const std::string_view text : {"", " ", "<!-- -->", "<", "</", "<!", "<?", "&", "<p"}) {
    const auto parsed = Html(text);
    EXPECT_FALSE(parsed.failure) << text;
  }
}

TEST(HtmlTest, DamagedPagesAreSteady) { ExpectSteadyWhenDamaged(ParseHtml, std::string(kPage)); }

TEST(HtmlTest, Corpus) {
  const auto files = CorpusFiles(".html");
  if (files.empty()) GTEST_SKIP() << "no corpus: set MILLRACE_CORPUS to a folder with documents";
  for (const auto& file : files) {
    SCOPED_TRACE(file.filename().string());
    EXPECT_FALSE(ExpectSteady(ParseHtml, FileBytes(file)).failure);
  }
}

}  // namespace
}  // namespace millrace::documents
