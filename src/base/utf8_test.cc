#include "base/utf8.h"

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

using std::string_literals::operator""s;

TEST(Utf8Test, TellsCleanTextFromWhatIsNone) {
  EXPECT_TRUE(IsCleanUtf8(""));
  EXPECT_TRUE(IsCleanUtf8("Gruß, 世界 \xF0\x9F\x8C\x8D"));
  EXPECT_FALSE(IsCleanUtf8("a\xFF"));
  EXPECT_FALSE(IsCleanUtf8("cut \xE4\xB8"));
  EXPECT_FALSE(IsCleanUtf8("surrogate \xED\xA0\x80"));
  EXPECT_FALSE(IsCleanUtf8("overlong \xC0\xAF"));
  EXPECT_FALSE(IsCleanUtf8("zero\0byte"s));
}

TEST(Utf8Test, OneLineHasNoControlCharacters) {
  EXPECT_TRUE(IsOneLine("worker-1 Gruß"));
  for (const char* text : {"a\nb", "a\tb", "\x1b[2J", "del\x7f", "c1 \xC2\x9B", "no utf-8 \xFF"})
    EXPECT_FALSE(IsOneLine(text)) << text;
}

TEST(Utf8Test, ReplacesWhatIsNoUtf8AndKeepsTheRest) {
  EXPECT_EQ(ToCleanUtf8("Gruß", 100), "Gruß");
  EXPECT_EQ(ToCleanUtf8("a\xFFz\0!"s, 100), "a\uFFFDz\uFFFD!");
}

TEST(Utf8Test, CutsBetweenCharacters) {
  EXPECT_EQ(ToCleanUtf8("12345678", 8), "12345678");
  EXPECT_EQ(ToCleanUtf8("123456789", 8), "12345...");
  EXPECT_EQ(ToCleanUtf8("1234ßß789", 8), "1234...") << "the ß would end beyond the limit";
}

}  // namespace
}  // namespace millrace::base
