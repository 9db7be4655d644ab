#include <gtest/gtest.h>

#include "pipelines/documents/parsers/json_elements.h"
#include "pipelines/documents/parsers/parse_checks.h"

namespace millrace::documents {
namespace {

Parsed Json(std::string_view text, const ParseLimits& limits = {}) {
  return ParseBytes(ParseJsonDocument, text, limits);
}

constexpr std::string_view kDocument = R"({
  "name": "Mill\u00e9",
  "a/b~c": {"n": 1.50, "e": {}, "list": []},
  "items": [true, null, {"id": -7}, [2, [3]], ""],
  "big": 12345678901234567890123
})";

TEST(JsonTest, FieldsAndItems) {
  const auto parsed = Json(kDocument);
  EXPECT_FALSE(parsed.failure);
  EXPECT_EQ(parsed.tree,
            "json_object \"\"\n"
            "  json_field \"name: Mill\xC3\xA9\" @/name\n"
            "  json_field \"a/b~c\" @/a~1b~0c\n"
            "    json_field \"n: 1.50\" @/a~1b~0c/n\n"
            "    json_field \"e: {}\" @/a~1b~0c/e\n"
            "    json_field \"list: []\" @/a~1b~0c/list\n"
            "  json_field \"items\" @/items\n"
            "    json_item \"true\" @/items/0\n"
            "    json_item \"null\" @/items/1\n"
            "    json_item \"\" @/items/2\n"
            "      json_field \"id: -7\" @/items/2/id\n"
            "    json_item \"\" @/items/3\n"
            "      json_item \"2\" @/items/3/0\n"
            "      json_item \"\" @/items/3/1\n"
            "        json_item \"3\" @/items/3/1/0\n"
            "    json_item \"\" @/items/4\n"
            "  json_field \"big: 12345678901234567890123\" @/big\n");
  EXPECT_EQ(parsed.metadata.media_type, "application/json");
  EXPECT_EQ(parsed.metadata.charset, "UTF-8");
}

TEST(JsonTest, OtherValuesAtTheTop) {
  EXPECT_EQ(Json("[1]").tree, "json_array \"\"\n  json_item \"1\" @/0\n");
  EXPECT_EQ(Json(" \"x\" ").tree, "json_value \"x\"\n");
  EXPECT_EQ(Json("{}").tree, "json_object \"{}\"\n");
  EXPECT_EQ(Json("[]").tree, "json_array \"[]\"\n");
}

TEST(JsonTest, ByteOrderMarkAndUtf16) {
  EXPECT_EQ(Json("\xEF\xBB\xBF[1]").tree, "json_array \"\"\n  json_item \"1\" @/0\n");
  EXPECT_EQ(Json(std::string_view("\xFF\xFE[\0\"\0\xE9\0\"\0]\0", 12)).tree,
            "json_array \"\"\n  json_item \"\xC3\xA9\" @/0\n");
}

TEST(JsonTest, LongStringsAndKeysComeInOnePiece) {
  const std::string text = Repeated("ab\\n\\u00e9", 10'000), plain = Repeated("ab\n\xC3\xA9", 10'000);
  EXPECT_EQ(Json("[\"" + text + "\"]").tree, "json_array \"\"\n  json_item \"" + plain + "\" @/0\n");
  EXPECT_EQ(Json("{\"" + text + "\":1}").elements, 2u);
}

TEST(JsonTest, BrokenSaysWhere) {
  const auto message = [](std::string_view text) {
    const auto parsed = Json(text);
    EXPECT_TRUE(parsed.failure) << text;
    return parsed.failure ? parsed.failure->reason + " " + parsed.failure->message : std::string();
  };
  EXPECT_EQ(message("{\"a\": 1,\n \"\xC3\xA9\": x}").substr(0, 12), "broken 2:7: ");
  EXPECT_EQ(message("{\"a\": [1, 2").substr(0, 13), "broken 1:12: ");
  EXPECT_EQ(message("{} x"), "broken 1:4: text after the value");
  EXPECT_EQ(message("").substr(0, 12), "broken 1:1: ");
  EXPECT_EQ(message("{\"a\": [1, 2"), "broken 1:12: ends in the middle of a value");
}

TEST(JsonTest, ValuesOneAfterTheOtherAreRecords) {
  const auto parsed = Json("{\"a\": 1}\n{\n\"a\": 2}\n [3]");
  EXPECT_FALSE(parsed.failure);
  EXPECT_EQ(parsed.tree,
            "record \"\" @line 1\n"
            "  json_field \"a: 1\" @line 1 /a\n"
            "record \"\" @line 2\n"
            "  json_field \"a: 2\" @line 2 /a\n"
            "record \"\" @line 4\n"
            "  json_item \"3\" @line 4 /0\n");
  EXPECT_EQ(parsed.warnings, std::vector<std::string>{"not one JSON value but 3, one after the other"});
  EXPECT_EQ(Json("{} {} x").failure->message, "1:7: syntax error");
}

TEST(JsonTest, NamesThatStandTwiceAreToldAndKept) {
  const auto parsed = Json(R"({"o": {"x": 1, "y": 2, "x": 3}, "x": 4})");
  EXPECT_EQ(parsed.warnings, std::vector<std::string>{"the name \"x\" stands twice in one object at /o"});
  EXPECT_EQ(parsed.elements, 6u);
  std::string many = "{";
  for (int i = 0; i < 5000; ++i) many += "\"k" + std::to_string(i) + "\":0,";
  EXPECT_TRUE(Json(many + "\"z\":0}").warnings.empty());
  EXPECT_EQ(Json(many + "\"k77\":0}").warnings.size(), 1u);
}

TEST(JsonTest, DeepNestingIsFlattenedThenRefused) {
  ParseLimits limits;
  limits.max_depth = 3;
  const auto parsed = Json("[[[[[1]]]]]", limits);
  EXPECT_EQ(parsed.tree,
            "json_array \"\"\n"
            "  json_item \"\" @/0\n"
            "    json_item \"\" @/0/0\n"
            "      json_item \"\" @/0/0/0\n"
            "      json_item \"\" @/0/0/0/0\n"
            "      json_item \"1\" @/0/0/0/0/0\n");
  EXPECT_EQ(parsed.warnings, std::vector<std::string>{"values nested deeper than 3 levels were flattened"});
  EXPECT_FALSE(Json(Repeated("[", 999) + Repeated("]", 999)).failure);
  const auto refused = Json(Repeated("[", 1'000'000));
  ASSERT_TRUE(refused.failure);
  EXPECT_EQ(refused.failure->message, "1:1001: nested deeper than 1000 levels");
}

TEST(JsonTest, LocationsAreCapped) {
  const auto parsed = Json("{\"" + std::string(100'000, 'k') + "\": [" + Repeated("1,", 1000) + "1]}");
  EXPECT_FALSE(parsed.failure);
  EXPECT_LT(parsed.tree.size(), 200'000u);
}

TEST(JsonTest, TheSinksLimitEndsTheParse) {
  const auto parsed = ParseBytes(ParseJsonDocument, "[" + Repeated("1,", 1000) + "1]", {}, 100);
  ASSERT_TRUE(parsed.failure);
  EXPECT_EQ(parsed.failure->reason, "too_large");
}

TEST(JsonTest, DamagedDocumentsAreSteady) { ExpectSteadyWhenDamaged(ParseJsonDocument, std::string(kDocument)); }

TEST(JsonTest, Corpus) {
  const auto files = CorpusFiles(".json");
  if (files.empty()) GTEST_SKIP() << "no corpus: set MILLRACE_CORPUS to a folder with documents";
  for (const auto& file : files) {
    SCOPED_TRACE(file.filename().string());
    EXPECT_FALSE(ExpectSteady(ParseJsonDocument, FileBytes(file)).failure);
  }
}

Parsed Lines(std::string_view text) { return ParseBytes(ParseJsonLines, text); }

TEST(JsonLinesTest, ARecordALine) {
  const auto parsed = Lines("{\"a\": 1, \"o\": {\"b\": [2]}}\r\n\n  \n\"text\"\n[true]");
  EXPECT_FALSE(parsed.failure);
  EXPECT_EQ(parsed.tree,
            "record \"\" @line 1\n"
            "  json_field \"a: 1\" @line 1 /a\n"
            "  json_field \"o\" @line 1 /o\n"
            "    json_field \"b\" @line 1 /o/b\n"
            "      json_item \"2\" @line 1 /o/b/0\n"
            "record \"text\" @line 4\n"
            "record \"\" @line 5\n"
            "  json_item \"true\" @line 5 /0\n");
  EXPECT_TRUE(parsed.warnings.empty());
}

TEST(JsonLinesTest, BadLinesAreToldAndKeptAsText) {
  const auto parsed = Lines("{\"a\": 1}\n{\"a\": }\n{\"a\": 3} {}\n{\"a\": 4}");
  EXPECT_FALSE(parsed.failure);
  EXPECT_EQ(parsed.tree,
            "record \"\" @line 1\n"
            "  json_field \"a: 1\" @line 1 /a\n"
            "line \"{\"a\": }\" @line 2\n"
            "line \"{\"a\": 3} {}\" @line 3\n"
            "record \"\" @line 4\n"
            "  json_field \"a: 4\" @line 4 /a\n");
  EXPECT_EQ(parsed.warnings, (std::vector<std::string>{"line 2: column 7: syntax error; kept as text",
                                                       "line 3: column 10: text after the value; kept as text"}));
}

TEST(JsonLinesTest, OnlySomeBadLinesAreNamed) {
  const auto parsed = Lines("1\n" + Repeated("x\n", 1000));
  EXPECT_FALSE(parsed.failure);
  ASSERT_EQ(parsed.warnings.size(), 21u);
  EXPECT_EQ(parsed.warnings.back(), "980 more lines are not JSON; kept as text");
}

TEST(JsonLinesTest, NoGoodLineIsBroken) {
  const auto bad = Lines("\nx\ny\n");
  ASSERT_TRUE(bad.failure);
  EXPECT_EQ(bad.failure->reason, "broken");
  EXPECT_EQ(bad.failure->message, "no line is JSON; line 2: column 1: syntax error");
  const auto empty = Lines(" \n");
  ASSERT_TRUE(empty.failure);
  EXPECT_EQ(empty.failure->message, "there is no line with a value");
}

TEST(JsonLinesTest, DamagedDocumentsAreSteady) {
  ExpectSteadyWhenDamaged(ParseJsonLines,
                          "{\"a\": 1, \"b\": [true, {}]}\n\n{\"a\": \"x\\ny\"}\n[1, 2]\n\"t\"\n{\"a\": null}\n");
}

}  // namespace
}  // namespace millrace::documents
