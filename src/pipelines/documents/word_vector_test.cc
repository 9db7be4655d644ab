#include "pipelines/documents/word_vector.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace millrace::documents {
namespace {

std::string Query(std::string_view typed) { return *WordQuery(*ReadQuery(typed)); }

TEST(WordVectorTest, WordsAreThoseOfTheIndexWithTheirPlaces) {
  EXPECT_EQ(*WordVector("", "Running"), "'run':1");
  EXPECT_EQ(*WordVector("", "Z\xC3\xBCrich, Z\xC3\x9CRICH"), "'zurich':1,2");
  EXPECT_EQ(*WordVector("", ""), "");
  EXPECT_EQ(*WordVector("fox", "fox"), "'fox':1A,3") << "a gap between name and text";
}

TEST(WordVectorTest, OnlySoManyPlacesAreKept) {
  std::string often;
  for (int i = 0; i < 1000; ++i) often += "word ";
  const std::string vector = *WordVector("", often);
  EXPECT_EQ(std::count(vector.begin(), vector.end(), ','), 254);
  EXPECT_LT(WordVector("", std::string(5000, 'x'))->size(), 2100u);
}

TEST(WordVectorTest, QueriesAreTranslated) {
  EXPECT_EQ(Query("Foxes"), "(('fox'))");
  EXPECT_EQ(Query("fox hen"), "(('fox') & ('hen'))");
  EXPECT_EQ(Query("\"quick fox\"* -hen -\"a b\""), "(('quick' <-> 'fox':*) & !(('hen') | ('a' <-> 'b')))");
  EXPECT_EQ(Query("a OR b"), "(('a')) | (('b'))");
  EXPECT_EQ(Query("foo-bar()"), "(('foo' <-> 'bar'))");
  EXPECT_EQ(Query("\xE2\x80\x94 fox"), "(('fox'))") << "a dash has no word";
  EXPECT_EQ(Query("\xE2\x80\x94"), "") << "nothing can match";
  EXPECT_EQ(Query("\xE2\x80\x94 OR fox -\xE2\x80\x94"), "(('fox'))");
}

TEST(ArrayTextTest, AnyTextIsAValue) {
  ArrayText array;
  EXPECT_EQ(array.Take(), "{}");
  array.Clear();
  array.Add("a\"b\\c,{}'NULL");
  array.Add(std::nullopt);
  array.Add("");
  EXPECT_EQ(array.Take(), R"({"a\"b\\c,{}'NULL",NULL,""})");
}

}  // namespace
}  // namespace millrace::documents
