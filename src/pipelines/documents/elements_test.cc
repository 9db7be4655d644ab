#include "pipelines/documents/elements.h"

#include <gtest/gtest.h>

#include <set>

#include "pipelines/documents/parser_protocol.h"

namespace millrace::documents {
namespace {

TEST(ElementsTest, EveryTypeHasItsName) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(ElementType::kOutlineItem); ++i) {
    const auto type = static_cast<ElementType>(i);
    EXPECT_EQ(ParseElementType(ElementTypeName(type)), type);
    names.insert(ElementTypeName(type));
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(ElementType::kOutlineItem) + 1);
  EXPECT_EQ(ElementTypeName(ElementType::kTableHeaderCell), "table_header_cell");
  EXPECT_EQ(ElementTypeName(ElementType::kPage), "page");
  EXPECT_EQ(ElementTypeName(ElementType::kCsvRow), "csv_row");
  EXPECT_EQ(ElementTypeName(ElementType::kOutlineItem), "outline_item");
  EXPECT_EQ(ParseElementType("no such"), std::nullopt);
  EXPECT_EQ(ParseElementType(""), std::nullopt);
}

// They are stored, so they never change.
TEST(ElementsTest, IdsAreTheSameForEver) {
  const Element element{0, ElementType::kParagraph, 0, "Hello", "line 1", ""};
  EXPECT_EQ(DocumentId("files", "a/b.txt"), "f2eb13017b86f4e0db4424b88954ccd3");
  EXPECT_EQ(ElementId("0123", 7, element), "596a256ec0759cd12502cfc69e80ab9b");
  EXPECT_EQ(ContentHash("abc"), "ba7816bf8f01cfea414140de5dae2223");
}

TEST(ElementsTest, IdsDifferWhereAnythingDiffers) {
  EXPECT_NE(DocumentId("ab", "c"), DocumentId("a", "bc"));
  const Element paragraph{0, ElementType::kParagraph, 0, "Hello", "line 1", ""};
  Element other = paragraph;
  other.location = "line 2";
  EXPECT_EQ(ElementId("d", 1, paragraph), ElementId("d", 1, other)) << "the index says where it is";
  EXPECT_NE(ElementId("d", 1, paragraph), ElementId("d", 2, paragraph));
  EXPECT_NE(ElementId("d", 1, paragraph), ElementId("e", 1, paragraph));
  other.type = ElementType::kLine;
  EXPECT_NE(ElementId("d", 1, paragraph), ElementId("d", 1, other));
  other = paragraph;
  other.text = "hello";
  EXPECT_NE(ElementId("d", 1, paragraph), ElementId("d", 1, other));
}

TEST(ElementsTest, PreviewIsOneShortLine) {
  EXPECT_EQ(Preview("  two\n\n lines\t here  "), "two lines here");
  EXPECT_EQ(Preview(""), "");
  EXPECT_EQ(Preview("0123456789", 10), "0123456789");
  EXPECT_EQ(Preview("0123456789 \n ", 10), "0123456789");
  EXPECT_EQ(Preview("0123456789a", 10), "0123456...");
  const std::string umlauts = "äöüäöüäöü";
  EXPECT_EQ(Preview(umlauts, 10), "äöü...");
  for (std::size_t max = 0; max < 20; ++max) {
    EXPECT_LE(Preview(umlauts, max).size(), max);
    EXPECT_TRUE(IsUtf8(Preview(umlauts, max))) << max;
  }
}

}  // namespace
}  // namespace millrace::documents
