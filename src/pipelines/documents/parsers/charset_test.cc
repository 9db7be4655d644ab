#include "pipelines/documents/parsers/charset.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "pipelines/documents/parser_protocol.h"

namespace millrace::documents {
namespace {

using namespace std::string_view_literals;

void ExpectDecoded(std::string_view bytes, std::string_view declared, std::string_view text, std::string_view charset) {
  const DecodedText decoded = DecodeText(bytes, declared);
  EXPECT_EQ(decoded.text, text) << charset;
  EXPECT_EQ(decoded.charset, charset);
  EXPECT_FALSE(decoded.lossy) << charset;
}

constexpr auto kShiftJis = "\x82\xb1\x82\xf1\x82\xc9\x82\xbf\x82\xcd\x90\xa2\x8a\x45\x81\x42"sv;
constexpr auto kJapanese = "\u3053\u3093\u306b\u3061\u306f\u4e16\u754c\u3002"sv;

TEST(CharsetTest, ByteOrderMarkDecides) {
  ExpectDecoded("\xef\xbb\xbfgr\u00fcn", "windows-1252", "gr\u00fcn", "UTF-8");
  ExpectDecoded("\xff\xfeh\0\xfc\0"sv, "", "h\u00fc", "UTF-16LE");
  ExpectDecoded("\xfe\xff\0h\0\xfc"sv, "utf-8", "h\u00fc", "UTF-16BE");
  ExpectDecoded("\xff\xfe\0\0h\0\0\0"sv, "", "h", "UTF-32LE");
  ExpectDecoded("\0\0\xfe\xff\0\0\0h"sv, "", "h", "UTF-32BE");
}

TEST(CharsetTest, DeclarationIsHeededWhenItFits) {
  ExpectDecoded("\xe1\xe9", "windows-1251", "\u0431\u0439", "WINDOWS-1251");
  ExpectDecoded("\xe1", "iso-8859-7", "\u03b1", "ISO-8859-7");
  ExpectDecoded(kShiftJis, "Shift_JIS", kJapanese, "SHIFT_JIS");
  ExpectDecoded("\x93q\x94 caf\xe9", "latin1", "\u201cq\u201d caf\u00e9", "WINDOWS-1252");
}

TEST(CharsetTest, WrongDeclarationIsIgnored) {
  ExpectDecoded("gr\u00fcn", "klingon", "gr\u00fcn", "UTF-8");
  ExpectDecoded("gr\u00fcne", "utf-16", "gr\u00fcne", "UTF-8");
  ExpectDecoded("gr\u00fcne \u20ac", "euc-jp", "gr\u00fcne \u20ac", "UTF-8");
  ExpectDecoded(kShiftJis, "utf-8", kJapanese, "SHIFT_JIS");
  EXPECT_EQ(DecodeText("caf\xe9", "utf-8").text, "caf\u00e9");
}

TEST(CharsetTest, GuessesWithoutADeclaration) {
  ExpectDecoded("gr\u00fcn", "", "gr\u00fcn", "UTF-8");
  ExpectDecoded("", "", "", "UTF-8");
  ExpectDecoded("h\0e\0l\0l\0o\0"sv, "", "hello", "UTF-16LE");
  ExpectDecoded("\0h\0e\0l\0l\0o"sv, "", "hello", "UTF-16BE");
  ExpectDecoded("\x1b$B$3$s\x1b(B", "", "\u3053\u3093", "ISO-2022-JP");
  ExpectDecoded(kShiftJis, "", kJapanese, "SHIFT_JIS");
  ExpectDecoded("caf\xe9 na\xefve r\xe9sum\xe9 d\xe9j\xe0 vu, \x93quoted\x94", "",
                "caf\u00e9 na\u00efve r\u00e9sum\u00e9 d\u00e9j\u00e0 vu, \u201cquoted\u201d", "WINDOWS-1252");
  ExpectDecoded(
      "\xcf\xf0\xe8\xe2\xe5\xf2, \xec\xe8\xf0! \xdd\xf2\xee \xf0\xf3\xf1\xf1\xea\xe8\xe9 \xf2\xe5\xea\xf1\xf2.", "",
      "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u042d\u0442\u043e "
      "\u0440\u0443\u0441\u0441\u043a\u0438\u0439 \u0442\u0435\u043a\u0441\u0442.",
      "WINDOWS-1251");
}

TEST(CharsetTest, FewBadBytesAreReplaced) {
  const DecodedText decoded = DecodeText("gr\u00fcn und sch\u00f6n und \xff k\u00e4se");
  EXPECT_EQ(decoded.text, "gr\u00fcn und sch\u00f6n und \ufffd k\u00e4se");
  EXPECT_EQ(decoded.charset, "UTF-8");
  EXPECT_TRUE(decoded.lossy);
}

RC_GTEST_PROP(CharsetTest, AnyBytesGiveUtf8, (const std::string& bytes, const std::string& declared)) {
  RC_ASSERT(IsUtf8(DecodeText(bytes, declared).text));
  RC_ASSERT(IsUtf8(DecodeText(bytes).text));
}

TEST(LooksBinaryTest, TellsTextFromData) {
  for (const auto text : {"plain"sv, ""sv, "tab\tand\r\nlines\f"sv, "\x1b[31mred\x1b[0m"sv, "h\0e\0l\0l\0o\0"sv,
                          "\xff\xfeh\0"sv, kShiftJis, "caf\xe9"sv}) {
    EXPECT_FALSE(LooksBinary(text)) << text;
  }
  const std::string mostly_text = std::string(1000, 'a') + '\0';
  for (const auto data : {std::string_view(mostly_text), "\0\1\2\3"sv, "abc\0def"sv, "abc\x01\x02\x03\x04"sv})
    EXPECT_TRUE(LooksBinary(data));
}

TEST(LooksBinaryTest, CountsWhatTextHasNoUseFor) {
  for (int byte = 1; byte < 256; ++byte) {
    const bool strange = byte == 0x7f || (byte < ' ' && (byte < 8 || byte > 13) && byte != 0x1b && byte != 0x1a);
    EXPECT_EQ(LooksBinary(std::string(28, 'a') + static_cast<char>(byte)), strange) << byte;
  }
  // One of thirty bytes is the limit, wherever they stand.
  const std::string few = std::string(200, '\x01') + std::string(5800, 'a');
  EXPECT_FALSE(LooksBinary(few));
  EXPECT_TRUE(LooksBinary(few + '\x01'));
  EXPECT_TRUE(LooksBinary(std::string(512, '\x01')));
}

}  // namespace
}  // namespace millrace::documents
