#include "pipelines/documents/parsers/zip_archive.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "pipelines/documents/parsers/zip_test_support.h"

namespace millrace::documents {
namespace {

TEST(ZipArchive, ReadsMembersByNameWithoutCaseAndWithEitherSlash) {
  const std::string bytes = MakeZip({{"word/Document.xml", "one"}, {"b.txt", std::string(200'000, 'x')}});
  auto zip = ZipArchive::Open(bytes);
  ASSERT_TRUE(zip) << zip.error().message;
  ASSERT_EQ((*zip)->members().size(), 2u);
  EXPECT_EQ((*zip)->members()[1].size, 200'000);
  EXPECT_EQ((*zip)->Read("word/document.xml").value(), "one");
  EXPECT_EQ((*zip)->Read("/WORD\\document.xml").value(), "one");
  EXPECT_EQ((*zip)->Read("b.txt")->size(), 200'000u);
  auto missing = (*zip)->Read("c.txt");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
}

TEST(ZipArchive, RefusesWhatIsNotAZip) {
  for (const std::string& bytes : {std::string(), std::string("PK\3\4"), std::string(1000, '\0')}) {
    auto zip = ZipArchive::Open(bytes);
    ASSERT_FALSE(zip);
    EXPECT_EQ(zip.error().code, ErrorCode::kCorrupt);
  }
}

TEST(ZipArchive, StopsAtTheLimitsBeforeABombHasGoneOff) {
  const std::string bytes = MakeZip({{"bomb.xml", std::string(64 << 20, ' ')}, {"small.xml", "fine"}});
  ASSERT_LT(bytes.size(), 200'000u);
  auto zip = ZipArchive::Open(bytes);
  ASSERT_TRUE(zip);
  std::size_t seen = 0;
  auto streamed = (*zip)->Stream("bomb.xml", [&](std::string_view piece) -> Result<void> {
    seen += piece.size();
    return {};
  });
  ASSERT_FALSE(streamed);
  EXPECT_EQ(streamed.error().code, ErrorCode::kLimitExceeded);
  EXPECT_NE(streamed.error().message.find("bomb.xml"), std::string::npos);
  EXPECT_NE(streamed.error().message.find("zip bomb"), std::string::npos);
  EXPECT_LE(seen, std::size_t{17} << 20);
  EXPECT_EQ((*zip)->Read("small.xml").value(), "fine");
}

TEST(ZipArchive, CountsBytesOfOneMemberAndOfAll) {
  const std::string bytes = MakeZip({{"a", std::string(5000, 'a')}, {"b", std::string(5000, 'b')}});
  ZipLimits limits;
  limits.max_member = 4999;
  auto strict = ZipArchive::Open(bytes, limits);
  ASSERT_TRUE(strict);
  EXPECT_EQ((*strict)->Read("a").error().code, ErrorCode::kLimitExceeded);
  limits.max_member = 5000;
  limits.max_total = 9999;
  auto total = ZipArchive::Open(bytes, limits);
  ASSERT_TRUE(total);
  EXPECT_TRUE((*total)->Read("a"));
  EXPECT_EQ((*total)->Read("b").error().code, ErrorCode::kLimitExceeded);
  limits.max_members = 1;
  EXPECT_EQ(ZipArchive::Open(bytes, limits).error().code, ErrorCode::kLimitExceeded);
}

TEST(ZipArchive, NoticesDamage) {
  std::string content(50'000, 'x');
  std::uint32_t state = 1;
  for (char& c : content) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  std::string bytes = MakeZip({{"a", content}});
  bytes[1000] = static_cast<char>(bytes[1000] ^ 0x55);
  auto zip = ZipArchive::Open(bytes);
  ASSERT_TRUE(zip);
  auto read = (*zip)->Read("a");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(read.error().message.find("'a'"), std::string::npos);
}

// The whole of a member, or the error's code as text, by Stream.
std::string Streamed(ZipArchive& zip, std::string_view name) {
  std::string whole;
  auto read = zip.Stream(name, [&](std::string_view piece) -> Result<void> {
    whole += piece;
    return {};
  });
  return read ? whole : "error " + std::to_string(static_cast<int>(read.error().code));
}

TEST(ZipArchive, ReadsWhatIsStreamedWhateverTheDirectorySays) {
  std::string content;
  for (int i = 0; i < 500; ++i) content += "line " + std::to_string(i) + "\n";
  const std::string good = MakeZip({{"a", content}, {"empty", ""}});
  const std::size_t entry = good.find("PK\1\2");
  ASSERT_NE(entry, std::string::npos);
  constexpr std::size_t kCrc = 16, kPacked = 20, kSize = 24;  // in a directory entry
  int errors = 0;
  for (const std::size_t field : {kCrc, kPacked, kSize}) {
    for (const int change : {0, 1, -1, 40}) {
      std::string bytes = good;
      bytes[entry + field] = static_cast<char>(bytes[entry + field] + change);
      auto zip = ZipArchive::Open(bytes);
      if (!zip) continue;
      auto read = (*zip)->Read("a");
      const std::string got = read ? *read : "error " + std::to_string(static_cast<int>(read.error().code));
      EXPECT_EQ(got, Streamed(**zip, "a")) << field << " " << change;
      EXPECT_TRUE(change != 0 || got == content);
      errors += read ? 0 : 1;
    }
  }
  EXPECT_GE(errors, 3);  // wrong checksums at least
  EXPECT_EQ((*ZipArchive::Open(good))->Read("empty").value(), "");
}

TEST(ZipArchive, PassesTheReadersErrorOn) {
  const std::string bytes = MakeZip({{"a", "text"}});
  auto zip = ZipArchive::Open(bytes);
  ASSERT_TRUE(zip);
  auto streamed =
      (*zip)->Stream("a", [](std::string_view) -> Result<void> { return fail(ErrorCode::kCancelled, "enough"); });
  ASSERT_FALSE(streamed);
  EXPECT_EQ(streamed.error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace millrace::documents
