#include "pipelines/documents/sources/glob.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <chrono>

#include "pipelines/documents/sources/path_text.h"

namespace millrace::documents {
namespace {

bool Matches(std::string_view pattern, std::string_view path) {
  auto glob = Glob::Compile(pattern);
  EXPECT_TRUE(glob.has_value()) << glob.error().message;
  return glob && glob->Matches(path);
}

TEST(GlobTest, APatternWithoutSlashAppliesToNamesAtAnyDepth) {
  EXPECT_TRUE(Matches("*.pdf", "a.pdf"));
  EXPECT_TRUE(Matches("*.pdf", "x/y/a.pdf"));
  EXPECT_FALSE(Matches("*.pdf", "x/a.pdf/b"));
  EXPECT_FALSE(Matches("*.pdf", "a.PDF"));
  EXPECT_TRUE(Matches("node_modules", "x/node_modules"));
}

TEST(GlobTest, APatternWithSlashIsAnchored) {
  EXPECT_TRUE(Matches("a/*.txt", "a/b.txt"));
  EXPECT_FALSE(Matches("a/*.txt", "x/a/b.txt"));
  EXPECT_FALSE(Matches("a/*.txt", "a/x/b.txt"));
  EXPECT_TRUE(Matches("/top", "top"));
  EXPECT_FALSE(Matches("/top", "x/top"));
}

TEST(GlobTest, DoubleStarsSpanFolders) {
  EXPECT_TRUE(Matches("**/*.pdf", "a.pdf"));
  EXPECT_TRUE(Matches("**/*.pdf", "x/y/z/a.pdf"));
  EXPECT_TRUE(Matches("a/**", "a/b"));
  EXPECT_TRUE(Matches("a/**", "a/b/c"));
  EXPECT_FALSE(Matches("a/**", "a"));
  EXPECT_FALSE(Matches("a/**", "ab/c"));
  EXPECT_TRUE(Matches("a/**/z", "a/z"));
  EXPECT_TRUE(Matches("a/**/z", "a/b/c/z"));
  EXPECT_FALSE(Matches("a/**/z", "a/bz"));
}

TEST(GlobTest, ClassesAlternativesAndEscapes) {
  EXPECT_TRUE(Matches("[a-c]?", "bx"));
  EXPECT_FALSE(Matches("[!a-c]?", "bx"));
  EXPECT_TRUE(Matches("[]]x", "]x"));
  EXPECT_TRUE(Matches("*.{pdf,doc{,x}}", "a.docx"));
  EXPECT_TRUE(Matches("*.{pdf,doc{,x}}", "a.doc"));
  EXPECT_FALSE(Matches("*.{pdf,doc{,x}}", "a.do"));
  EXPECT_TRUE(Matches("a\\*b", "a*b"));
  EXPECT_FALSE(Matches("a\\*b", "axb"));
}

TEST(GlobTest, AQuestionMarkIsOneCharacterNotOneByte) {
  EXPECT_TRUE(Matches("M?ller", "M\xC3\xBCller"));
  EXPECT_TRUE(Matches("M?ller", "M\xFCller"));  // Latin-1, not UTF-8
  EXPECT_FALSE(Matches("M?ller", "Mller"));
}

TEST(GlobTest, WrongPatternsAreNamed) {
  for (const char* pattern : {"", "[a", "{a,b", "/", "x[", "a{b,{c}"}) {
    const auto glob = Glob::Compile(pattern);
    ASSERT_FALSE(glob.has_value()) << pattern;
    EXPECT_EQ(glob.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(glob.error().message.find(std::string("'") + pattern + "'"), std::string::npos) << glob.error().message;
  }
  EXPECT_FALSE(Glob::Compile("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}").has_value());
  EXPECT_FALSE(Glob::Compile(std::string(2000, 'a')).has_value());
}

TEST(GlobTest, ManyStarsTakeNoExponentialTime) {
  std::string pattern;
  for (int i = 0; i < 30; ++i) pattern += "*a";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(Matches(pattern + "b", std::string(200, 'a')));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

RC_GTEST_PROP(GlobProperty, AnEscapedNameMatchesItselfAlone, (const std::string& raw)) {
  std::string name, pattern;
  for (const char c : raw) {
    if (c == '/' || c == '\0') continue;
    name += c;
    if (static_cast<unsigned char>(c) < 0x80) pattern += '\\';
    pattern += c;
  }
  RC_PRE(!name.empty() && pattern.size() < 1000);
  const auto glob = Glob::Compile(pattern);
  RC_ASSERT(glob.has_value());
  RC_ASSERT(glob->Matches(name));
  RC_ASSERT(glob->Matches("folder/" + name));
  RC_ASSERT(!glob->Matches(name + "x"));
}

RC_GTEST_PROP(GlobProperty, AnyPatternEitherCompilesOrSaysWhy, (const std::string& pattern, const std::string& path)) {
  const auto glob = Glob::Compile(pattern);
  if (glob) {
    (void)glob->Matches(path);
  } else {
    RC_ASSERT(glob.error().code == ErrorCode::kInvalidArgument);
  }
}

RC_GTEST_PROP(PathTextProperty, EncodingIsReversedAndIsPlainUtf8, (const std::string& bytes)) {
  const std::string text = EncodePath(bytes);
  RC_ASSERT(DecodePath(text) == bytes);
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t length = Utf8Length(rest);
    RC_ASSERT(length > 0u);
    RC_ASSERT(static_cast<unsigned char>(rest[0]) >= 0x20);
    rest.remove_prefix(length);
  }
}

TEST(PathTextTest, OrdinaryNamesStayAsTheyAre) {
  EXPECT_EQ(EncodePath("100% caf\xC3\xA9.txt"), "100% caf\xC3\xA9.txt");
  EXPECT_EQ(EncodePath("caf\xE9.txt"), "caf%E9.txt");
  EXPECT_EQ(EncodePath("a\nb"), "a%0Ab");
  EXPECT_EQ(EncodePath("a%20b"), "a%2520b");
  EXPECT_EQ(EncodePath("\xED\xA0\x80"), "%ED%A0%80");
  EXPECT_EQ(EncodePath("\xC0\xAF"), "%C0%AF");
}

}  // namespace
}  // namespace millrace::documents
