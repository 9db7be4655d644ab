#include "base/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace millrace::base {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class YamlTest : public ::testing::Test {
 protected:
  YamlNode Parse(std::string_view text, const YamlLimits& limits = {}) {
    return ParseYaml(
        text, "f.yaml",
        [this](const std::string& name) -> std::optional<std::string> {
          const auto found = variables_.find(name);
          return found == variables_.end() ? std::nullopt : std::optional(found->second);
        },
        problems_, limits);
  }
  std::vector<std::string> Told() const {
    std::vector<std::string> out;
    for (const YamlProblem& problem : problems_) out.push_back(FormatProblem(problem));
    return out;
  }
  YamlReader Reader(const YamlNode& node, std::string path = "k") { return {node, std::move(path), file_, problems_}; }

  std::map<std::string, std::string> variables_;
  std::vector<YamlProblem> problems_;
  std::string file_ = "f.yaml";
};

TEST_F(YamlTest, ReadsMapsListsAndScalarsWithTheirPlaces) {
  const YamlNode root = Parse("a: 1\nb:\n  - x\n  - {c: 'two'}\n");
  EXPECT_THAT(Told(), IsEmpty());
  ASSERT_EQ(root.kind, YamlNode::Kind::kMap);
  const YamlNode* b = root.Find("b");
  ASSERT_NE(b, nullptr);
  ASSERT_EQ(b->items.size(), 2u);
  const YamlNode* c = b->items[1].Find("c");
  ASSERT_NE(c, nullptr);
  EXPECT_EQ(c->text, "two");
  EXPECT_FALSE(c->plain);
  EXPECT_EQ(c->line, 4);
  EXPECT_EQ(c->column, 9);
}

TEST_F(YamlTest, TellsEveryDuplicateKeyWithBothPlaces) {
  Parse("a: 1\nb: {x: 1, x: 2}\na: 3\n");
  EXPECT_THAT(Told(), ElementsAre("f.yaml:2:11: b.x: stands twice; the first is in line 2",
                                  "f.yaml:3:1: a: stands twice; the first is in line 1"));
}

TEST_F(YamlTest, RefusesMergeKeysByName) {
  const YamlNode root = Parse("base: &b {x: 1}\nderived:\n  <<: *b\n  y: 2\n");
  ASSERT_EQ(problems_.size(), 1u);
  EXPECT_THAT(FormatProblem(problems_[0]), HasSubstr("f.yaml:3:3: derived: merge keys (<<) are not supported"));
  EXPECT_NE(root.Find("derived")->Find("y"), nullptr);
  EXPECT_EQ(root.Find("derived")->members.size(), 1u);
}

TEST_F(YamlTest, RepeatsAnchoredValues) {
  const YamlNode root = Parse("a: &list [1, 2]\nb: *list\n");
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_EQ(root.Find("b")->items.size(), 2u);
}

TEST_F(YamlTest, RefusesTagsKeysThatAreNoTextAndSecondDocuments) {
  Parse("a: !!binary xyz\n[1, 2]: x\n");
  ASSERT_EQ(problems_.size(), 2u);
  EXPECT_THAT(problems_[0].message, HasSubstr("tag"));
  EXPECT_THAT(problems_[1].message, HasSubstr("a key must be text"));
  problems_.clear();
  Parse("a: 1\n---\nb: 2\n");
  ASSERT_EQ(problems_.size(), 1u);
  EXPECT_THAT(problems_[0].message, HasSubstr("second document"));
}

TEST_F(YamlTest, SaysWhereTheTextIsNoYaml) {
  Parse("a: [1, 2\nb: 3\n");
  ASSERT_EQ(problems_.size(), 1u);
  EXPECT_THAT(FormatProblem(problems_[0]), HasSubstr("not valid YAML"));
  EXPECT_GT(problems_[0].line, 0);
}

TEST_F(YamlTest, StopsAtItsLimits) {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "[";
  Parse(deep);
  ASSERT_EQ(problems_.size(), 1u);
  EXPECT_THAT(problems_[0].message, HasSubstr("nested more than 64"));

  problems_.clear();
  std::string laughs = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c <= 'i'; ++c) {
    laughs += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 10; ++i) laughs += std::string(i == 0 ? "*" : ",*") + static_cast<char>(c - 1);
    laughs += "]\n";
  }
  Parse(laughs);
  ASSERT_EQ(problems_.size(), 1u);
  EXPECT_THAT(problems_[0].message, HasSubstr("more than 200000 values"));

  problems_.clear();
  YamlLimits small;
  small.max_bytes = 10;
  Parse("abc: defghijkl\n", small);
  ASSERT_EQ(problems_.size(), 1u);
  EXPECT_THAT(problems_[0].message, HasSubstr("larger than 10 bytes"));

  problems_.clear();
  Parse(std::string_view("a: 1\nb: \0", 9));
  ASSERT_EQ(problems_.size(), 1u);
  EXPECT_THAT(FormatProblem(problems_[0]), HasSubstr("f.yaml:2: contains a zero byte"));
}

TEST_F(YamlTest, ExpandsVariablesInValuesOnly) {
  variables_ = {{"HOST", "db.example.net"}, {"PORT", "5432"}};
  const YamlNode root =
      Parse("url: http://${HOST}:${PORT}/x\nport: ${PORT}\nother: ${NONE:-fallback}\nraw: $${HOST}\n${HOST}: 1\n");
  EXPECT_THAT(Told(), IsEmpty());
  EXPECT_EQ(root.Find("url")->text, "http://db.example.net:5432/x");
  EXPECT_EQ(Reader(*root.Find("port")).Integer(1, 65535), 5432);
  EXPECT_EQ(root.Find("other")->text, "fallback");
  EXPECT_EQ(root.Find("raw")->text, "${HOST}");
  EXPECT_NE(root.Find("${HOST}"), nullptr);
}

TEST_F(YamlTest, TellsEachVariableThatIsNotSet) {
  const YamlNode root = Parse("a: ${ONE}\nb: [x, '${TWO}']\nc: ${not a name}\nd: ${OPEN\n");
  ASSERT_EQ(problems_.size(), 4u);
  EXPECT_THAT(FormatProblem(problems_[0]), HasSubstr("f.yaml:1:4: a: the environment variable ONE is not set"));
  EXPECT_THAT(FormatProblem(problems_[1]), HasSubstr("b[1]: the environment variable TWO is not set"));
  EXPECT_THAT(FormatProblem(problems_[2]), HasSubstr("names no variable"));
  EXPECT_THAT(FormatProblem(problems_[3]), HasSubstr("no closing"));
  // The value counts as absent, so that it is not told a second time for its type.
  YamlMap map(Reader(root, ""));
  map.Require("a");
  EXPECT_EQ(problems_.size(), 4u);
}

TEST_F(YamlTest, OnlyTrueAndFalseAreBooleans) {
  const YamlNode root = Parse("[true, false, no, yes, on, 'true', True]\n");
  EXPECT_EQ(Reader(root.items[0]).Boolean(), true);
  EXPECT_EQ(Reader(root.items[1]).Boolean(), false);
  for (std::size_t i = 2; i < root.items.size(); ++i) {
    problems_.clear();
    EXPECT_EQ(Reader(root.items[i]).Boolean(), std::nullopt) << root.items[i].text;
    ASSERT_EQ(problems_.size(), 1u);
    EXPECT_THAT(problems_[0].message, HasSubstr("expected true or false, found the text '" + root.items[i].text + "'"));
  }
  problems_.clear();
  EXPECT_EQ(Reader(root.items[2]).Text(), "no");
}

TEST_F(YamlTest, NumbersAreDecimalAndInRange) {
  const YamlNode root = Parse("[12, 017, 0x10, '12', 1.5, -3, +4, 99999999999999999999, 1_000]\n");
  EXPECT_EQ(Reader(root.items[0]).Integer(0, 100), 12);
  for (const std::size_t i : {1u, 2u, 3u, 4u, 8u}) {
    problems_.clear();
    EXPECT_EQ(Reader(root.items[i]).Integer(0, 100), std::nullopt) << root.items[i].text;
    EXPECT_THAT(problems_.at(0).message, HasSubstr("expected an integer"));
  }
  problems_.clear();
  EXPECT_EQ(Reader(root.items[5]).Integer(0, 100), std::nullopt);
  EXPECT_EQ(Reader(root.items[6]).Integer(0, 100), 4);
  EXPECT_EQ(Reader(root.items[7]).Integer(0, 100), std::nullopt);
  ASSERT_EQ(problems_.size(), 2u);
  EXPECT_EQ(problems_[0].message, "-3 is out of range; it must be from 0 to 100");
  EXPECT_THAT(problems_[1].message, HasSubstr("out of range"));
  EXPECT_EQ(Reader(root.items[4]).Number(0, 2), 1.5);
  EXPECT_EQ(Reader(root.items[0]).Number(0, 2), std::nullopt);
  problems_.clear();
  EXPECT_EQ(Reader(root.items[1]).Text(), "017");
  EXPECT_EQ(Reader(root.items[0]).Text(), std::nullopt);
  EXPECT_THAT(problems_.at(0).message, HasSubstr("expected a text, found the number '12'; put it in quotes"));
}

TEST_F(YamlTest, ReadsDurationsAndSizes) {
  const YamlNode root = Parse("[500ms, 30, 64MiB, soon, 12parsecs]\n");
  EXPECT_EQ(Reader(root.items[0]).Time(), Duration(500'000));
  EXPECT_EQ(Reader(root.items[1]).Time(), Duration(30'000'000));
  EXPECT_EQ(Reader(root.items[2]).Bytes(), 64ll << 20);
  EXPECT_EQ(Reader(root.items[3]).Time(), std::nullopt);
  EXPECT_EQ(Reader(root.items[4]).Bytes(), std::nullopt);
  EXPECT_EQ(problems_.size(), 2u);
}

TEST_F(YamlTest, NeverRepeatsAValueFromTheEnvironmentInAProblem) {
  variables_ = {{"SECRET", "hunter2"}};
  const YamlNode root = Parse("port: ${SECRET}\n");
  EXPECT_EQ(Reader(*root.Find("port")).Integer(0, 9), std::nullopt);
  ASSERT_EQ(problems_.size(), 1u);
  EXPECT_THAT(problems_[0].message, ::testing::Not(HasSubstr("hunter2")));
}

TEST_F(YamlTest, NamesUnknownKeysAndWhatWasProbablyMeant) {
  const YamlNode root = Parse("capacty: 1\nzzz: 2\nname: x\n");
  YamlMap map(Reader(root, ""));
  map.Require("name");
  map.Get("capacity");
  map.Require("queue");
  map.Finish();
  EXPECT_THAT(Told(), ElementsAre("f.yaml:1:1: needs the key 'queue'",
                                  "f.yaml:1:1: capacty: unknown key; did you mean 'capacity'?",
                                  "f.yaml:2:1: zzz: unknown key; known here: capacity, name, queue"));
}

TEST_F(YamlTest, TellsWrongShapes) {
  const YamlNode root = Parse("map: {a: 1}\nlist: [1]\nscalar: x\n");
  YamlMap list(Reader(*root.Find("list")));
  list.Require("a");
  list.Finish();
  EXPECT_FALSE(Reader(*root.Find("map")).Items([](const YamlReader&) {}));
  EXPECT_EQ(Reader(*root.Find("map")).Text(), std::nullopt);
  EXPECT_THAT(Reader(*root.Find("scalar")).Texts(), ElementsAre("x"));
  EXPECT_THAT(Told(), ElementsAre("f.yaml:2:7: k: expected a map of keys, found a list",
                                  "f.yaml:1:6: k: expected a list, found a map of keys",
                                  "f.yaml:1:6: k: expected a text, found a map of keys"));
}

TEST_F(YamlTest, AnEmptyFileIsNothing) {
  EXPECT_EQ(Parse("").kind, YamlNode::Kind::kNull);
  EXPECT_EQ(Parse("# only a comment\n").kind, YamlNode::Kind::kNull);
  EXPECT_THAT(Told(), IsEmpty());
}

}  // namespace
}  // namespace millrace::base
