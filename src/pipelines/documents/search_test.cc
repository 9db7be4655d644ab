#include "pipelines/documents/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "pipelines/documents/test_support.h"

namespace millrace::documents {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

// One database for all tests: none of them writes.
class SearchTest : public testing::Test {
 protected:
  struct World {
    TempFolder files;
    TestDatabases databases;
    LinesPool pool;
    Machine machine{databases.Make(), pool};
    World() {
      files.Write("animals.txt", "Animals\nThe quick brown fox jumps over the lazy dog.\nA fox and a hen.\n|cell fox");
      files.Write("cities.txt",
                  "Cities\nZ\xC3\xBCrich and Gen\xC3\xA8ve are cities.\nRunning through the city of Bern.");
      files.Write("code.md", "Code\nfoo-bar_baz() returns AND or NOT \"quoted\" text; see NEAR(a, b).");
      files.Write("tree.xml", "Tree\n<open all day owner=caracal\n<open at night keeper=open");
      std::string padding;
      for (int i = 0; i < 40; ++i) padding += "filler" + std::to_string(i) + " ";
      files.Write("long.txt", "Long\n" + padding + "needle " + padding);
      FileSource source;
      source.name = "files";
      source.base_path = files.path();
      machine.Run({{source}});
    }
  };
  static World& TheWorld() {
    static World world;
    return world;
  }
  static Result<SearchAnswer> Ask(SearchRequest request) { return Search(TheWorld().machine.storage(), request); }
  static Result<SearchAnswer> Ask(const std::string& query) {
    SearchRequest request;
    request.query = query;
    return Ask(request);
  }
  // Where the hits are, best first.
  static std::vector<std::string> Places(const std::string& query) {
    std::vector<std::string> places;
    const auto answer = Ask(query);
    if (!answer) return {"error: " + answer.error().message};
    for (const SearchHit& hit : answer->hits)
      places.push_back(hit.path + (hit.location.empty() ? "" : " " + hit.location));
    return places;
  }
};

TEST_F(SearchTest, WordsSideBySideMustAllBeThere) {
  EXPECT_THAT(Places("fox hen"), ElementsAre("animals.txt line 3"));
  EXPECT_THAT(Places("fox"), UnorderedElementsAre("animals.txt line 2", "animals.txt line 3", "animals.txt line 4"));
  EXPECT_THAT(Places("fox bern"), IsEmpty());
}

TEST_F(SearchTest, InflectionCaseAndAccentsDoNotCount) {
  EXPECT_THAT(Places("ZURICH"), ElementsAre("cities.txt line 2"));
  EXPECT_THAT(Places("gen\xC3\xA9ve"), ElementsAre("cities.txt line 2"));
  EXPECT_THAT(Places("run"), ElementsAre("cities.txt line 3"));
  EXPECT_THAT(Places("jumped"), ElementsAre("animals.txt line 2"));
}

TEST_F(SearchTest, PhrasesExclusionsAlternativesAndPrefixes) {
  EXPECT_THAT(Places("\"brown fox\""), ElementsAre("animals.txt line 2"));
  EXPECT_THAT(Places("\"fox brown\""), IsEmpty());
  EXPECT_THAT(Places("fox -hen -cell"), ElementsAre("animals.txt line 2"));
  EXPECT_THAT(Places("fox -\"brown fox\" -cell"), ElementsAre("animals.txt line 3"));
  EXPECT_THAT(Places("bern OR hen"), UnorderedElementsAre("cities.txt line 3", "animals.txt line 3"));
  EXPECT_THAT(Places("fox hen OR z\xC3\xBCrich cities"),
              UnorderedElementsAre("cities.txt line 2", "animals.txt line 3"));
  EXPECT_THAT(Places("qui* laz*"), ElementsAre("animals.txt line 2"));
  EXPECT_THAT(Places("qui laz"), IsEmpty());
}

TEST_F(SearchTest, TheBestHitComesFirst) {
  EXPECT_THAT(Places("fox"), ElementsAre("animals.txt line 4", "animals.txt line 3", "animals.txt line 2"))
      << "the shorter the element, the more a word says about it";
  EXPECT_THAT(Places("cities"),
              ElementsAre("cities.txt", "cities.txt line 1", "cities.txt line 2", "cities.txt line 3"))
      << "a title says more than a text";
}

TEST_F(SearchTest, TitlesAndPathsAreFoundToo) {
  const auto answer = Ask("animals.txt");
  ASSERT_TRUE(answer.has_value());
  ASSERT_THAT(answer->hits, SizeIs(1));
  EXPECT_EQ(answer->hits[0].type, "root");
  EXPECT_EQ(answer->hits[0].title, "Animals");
  EXPECT_EQ(answer->hits[0].snippet, "Animals [animals.txt]");
}

TEST_F(SearchTest, AHitSaysWhereItIs) {
  const auto answer = Ask("cell");
  ASSERT_TRUE(answer.has_value());
  ASSERT_THAT(answer->hits, SizeIs(1));
  const SearchHit& hit = answer->hits[0];
  EXPECT_EQ(hit.source, "files");
  EXPECT_EQ(hit.type, "table_cell");
  EXPECT_EQ(hit.location, "line 4");
  EXPECT_EQ(hit.element_index, 4);
  EXPECT_EQ(hit.media_type, "text/plain");
  EXPECT_EQ(hit.document_id, DocumentId("files", "animals.txt"));
  EXPECT_GT(hit.score, 0);
  const auto elements = ListElements(TheWorld().machine.storage(), hit.document_id, hit.element_index, 1);
  ASSERT_TRUE(elements.has_value());
  ASSERT_THAT(*elements, SizeIs(1));
  EXPECT_EQ(elements->at(0).element_id, hit.element_id);
  EXPECT_EQ(elements->at(0).element.text, "|cell fox");
}

TEST_F(SearchTest, AnAttributeThatMatchedAloneIsNamed) {
  EXPECT_THAT(Places("caracal"), ElementsAre("tree.xml line 2/@owner"));
  EXPECT_THAT(Places("owner"), ElementsAre("tree.xml line 2/@owner"));
  EXPECT_THAT(Places("\"all day\""), ElementsAre("tree.xml line 2"));
  EXPECT_THAT(Places("caracal day"), ElementsAre("tree.xml line 2"));
  EXPECT_THAT(Places("open"), UnorderedElementsAre("tree.xml line 2", "tree.xml line 3"));
}

TEST_F(SearchTest, SnippetsMarkTheMatchAndAreShort) {
  SearchRequest request;
  request.query = "needle";
  request.mark_begin = "<b>";
  request.mark_end = "</b>";
  request.snippet_words = 5;
  const auto answer = Ask(request);
  ASSERT_TRUE(answer.has_value());
  ASSERT_THAT(answer->hits, SizeIs(1));
  const std::string& snippet = answer->hits[0].snippet;
  EXPECT_THAT(snippet, HasSubstr("<b>needle</b>"));
  EXPECT_TRUE(snippet.starts_with("...") && snippet.ends_with("...")) << snippet;
  EXPECT_LT(snippet.size(), 80u);
}

TEST_F(SearchTest, FiltersAndPages) {
  SearchRequest request;
  request.query = "fox";
  request.type = "table_cell";
  EXPECT_THAT(Ask(request)->hits, SizeIs(1));
  request.type = "";
  request.source = "elsewhere";
  EXPECT_THAT(Ask(request)->hits, IsEmpty());
  request.source = "files";
  request.media_type = "application/pdf";
  EXPECT_THAT(Ask(request)->hits, IsEmpty());
  request.media_type = "text/plain";
  request.limit = 2;
  const auto first = Ask(request);
  EXPECT_THAT(first->hits, SizeIs(2));
  EXPECT_TRUE(first->more);
  EXPECT_GE(first->hits[0].score, first->hits[1].score);
  request.offset = 2;
  const auto second = Ask(request);
  EXPECT_THAT(second->hits, SizeIs(1));
  EXPECT_FALSE(second->more);
}

TEST_F(SearchTest, WhatCannotBeAskedIsSaid) {
  for (const char* query : {"", "   ", "-fox", "-\"a b\"", "***", "\"", "\"\"", "fox OR -hen", "- - -", "OR", "()"}) {
    const auto answer = Ask(query);
    ASSERT_FALSE(answer.has_value()) << query;
    EXPECT_EQ(answer.error().code, ErrorCode::kInvalidArgument) << query;
    EXPECT_FALSE(answer.error().message.empty());
  }
  SearchRequest request;
  request.query = "fox";
  request.type = "no_such_type";
  EXPECT_THAT(Ask(request).error().message, HasSubstr("no_such_type"));
  request.type = "";
  request.limit = 0;
  EXPECT_EQ(Ask(request).error().code, ErrorCode::kInvalidArgument);
  request.limit = 1;
  request.offset = -1;
  EXPECT_EQ(Ask(request).error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(Ask(std::string(5000, 'a')).has_value());
  std::string many;
  for (int i = 0; i < 65; ++i) many += "w" + std::to_string(i) + " ";
  EXPECT_FALSE(Ask(many).has_value());
}

TEST_F(SearchTest, OperatorsOfTheIndexArePlainText) {
  for (const char* query :
       {"foo-bar_baz()", "NOT quoted", "AND", "NEAR(a, b)", "near(a", "\"AND or NOT\"", "returns^", "{text}: and"}) {
    const auto answer = Ask(query);
    EXPECT_TRUE(answer.has_value()) << query << ": " << answer.error().message;
  }
  EXPECT_THAT(Places("foo-bar_baz()"), ElementsAre("code.md line 2"));
  EXPECT_THAT(Places("name:fox"), IsEmpty());
  EXPECT_THAT(Places("\"quoted\" text"), ElementsAre("code.md line 2"));
  EXPECT_THAT(Places("fox OR"), SizeIs(3));
  EXPECT_THAT(Places("OR fox"), SizeIs(3));
  EXPECT_THAT(Places("fox \xE2\x80\x94 hen"), ElementsAre("animals.txt line 3")) << "a dash between words says nothing";
}

TEST_F(SearchTest, WideQueriesAreNotTooDeep) {
  std::string all = "fox", none = "fox", any = "fox";
  for (int i = 0; i < 63; ++i) {
    const std::string word = "w" + std::to_string(i);
    all += " " + word;
    none += " -" + word;
    any += " OR " + word;
  }
  EXPECT_THAT(Places(all), IsEmpty());
  EXPECT_THAT(Places(none), SizeIs(3));
  EXPECT_THAT(Places(any), SizeIs(3));
}

// Whatever is typed, the answer is hits or kInvalidArgument.
RC_GTEST_FIXTURE_PROP(SearchTest, AnyTextIsAQueryOrIsRefusedClearly, (const std::string& query)) {
  const auto answer = Ask(query);
  RC_ASSERT(answer.has_value() || answer.error().code == ErrorCode::kInvalidArgument);
}

RC_GTEST_FIXTURE_PROP(SearchTest, AnyMixOfOperatorsIsAQueryOrIsRefusedClearly, ()) {
  const auto pieces = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
      "fox", " ", "\"", "-", "OR", "AND", "NOT", "NEAR", "(", ")", "*", "^", ":", "+", "'", "\\", "{", "}", ",", "\n",
      "text", std::string(1, '\0'), "\xFF", "\xE2\x80\x94", "hen", "a", "--", "/*", ";"));
  std::string query;
  for (const std::string& piece : pieces) query += piece;
  const auto answer = Ask(query);
  RC_ASSERT(answer.has_value() || answer.error().code == ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace millrace::documents
