#include "base/units.h"

#include <gtest/gtest.h>

namespace millrace::base {
namespace {

TEST(UnitsTest, ParsesSizesAsPeopleWriteThem) {
  EXPECT_EQ(ParseBytes("4096").value(), 4096);
  EXPECT_EQ(ParseBytes("64MiB").value(), 64ll << 20);
  EXPECT_EQ(ParseBytes("1.5GiB").value(), 3ll << 29);
  EXPECT_EQ(ParseBytes("10MB").value(), 10'000'000);
  EXPECT_EQ(ParseBytes("512 KiB").value(), 512 << 10);
  EXPECT_EQ(ParseBytes("0").value(), 0);
}

TEST(UnitsTest, RefusesEverythingElseAndSaysWhatToWrite) {
  for (const char* text :
       {"", "MiB", "-1", "-0", "1.5", "10 mb", "1e3", "64MiBs", "0x10", "9EiB", "nan", "99999999999999TiB"}) {
    const auto result = ParseBytes(text);
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(result.error().message.find("64MiB"), std::string::npos);
  }
}

TEST(UnitsTest, FormatsTheShortestExactForm) {
  EXPECT_EQ(FormatBytes(64ll << 20), "64MiB");
  EXPECT_EQ(FormatBytes(1000), "1000");
  EXPECT_EQ(FormatBytes(1025), "1025");
  EXPECT_EQ(FormatBytes(2048), "2KiB");
  EXPECT_EQ(FormatBytes(0), "0");
  for (std::int64_t bytes : {1ll, 1536ll, 1ll << 30, 3ll << 40})
    EXPECT_EQ(ParseBytes(FormatBytes(bytes)).value(), bytes);
}

}  // namespace
}  // namespace millrace::base
