// SQLite and PostgreSQL side by side: the same files give the same documents, and the same queries the same hits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <random>

#include "pipelines/documents/known_sources.h"
#include "pipelines/documents/report.h"
#include "pipelines/documents/search.h"
#include "pipelines/documents/test_support.h"

namespace millrace::documents {
namespace {

class EqualityTest : public testing::Test {
 protected:
  struct World {
    TempFolder files, folder;
    TestDatabases databases;
    LinesPool pool;
    Machine sqlite{(folder / "one.db").string(), pool}, postgres{databases.Make(), pool};
    RunId run = 0;

    World() {
      WriteFiles();
      FileSource source;
      source.name = "files";
      source.base_path = files.path();
      run = sqlite.Run({{source}});
      if (postgres.Run({{source}}) != run) throw std::runtime_error("runs should have the same numbers");
    }
    void WriteFiles() {
      files.Write("animals.txt", "Animals\nThe quick brown fox jumps over the lazy dog.\nA fox and a hen.\n|cell fox");
      files.Write("cities.txt",
                  "Cities\nZ\xC3\xBCrich and Gen\xC3\xA8ve are cities.\nRunning through the city of Bern.");
      files.Write("greek.txt",
                  "\xCE\x91\xCE\xB8\xCE\xAE\xCE\xBD\xCE\xB1\n\xCE\xB1\xCE\xB8\xCE\xB7\xCE\xBD\xCE\xB1 3.14 x_y");
      files.Write("code.md", "Code\nfoo-bar_baz() returns AND or NOT \"quoted\" {text} \\ 'single'; see NEAR(a, b).");
      files.Write("bad.txt", std::string("Bad\xFF title\nzero\0byte fox \xC3 tail\n", 32));
      files.Write("broken.txt", "!broken");
      files.Write("other.bin", "!unsupported_format");
      std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same files every time
      const std::vector<std::string> words = {"fox",  "foxes", "hen",  "running", "ran",  "city", "cities",
                                              "bern", "over",  "lazy", "quickly", "item", "two",  "three"};
      for (int i = 0; i < 60; ++i) {
        std::string text = "Document " + words[random() % words.size()] + "\n";
        for (std::size_t n = 20 + random() % 200; n > 0; --n)
          text += words[random() % words.size()] + (n % 9 ? " " : ".\n");
        files.Write("many/d" + std::to_string(i), text);
      }
    }
  };
  static World& TheWorld() {
    static World world;
    return world;
  }
  // Of every hit what says where and what it is, in order of that.
  static std::vector<std::string> Hits(Machine& machine, const std::string& query) {
    SearchRequest request;
    request.query = query;
    request.limit = 1000;
    const auto answer = Search(machine.storage(), request);
    if (!answer) return {answer.error().message};
    std::vector<std::string> hits;
    for (const SearchHit& h : answer->hits) {
      hits.push_back(h.element_id + " " + h.path + " " + std::to_string(h.element_index) + " " + h.type + " " +
                     h.location + " " + h.title + " " + h.media_type + ": " + h.snippet);
    }
    std::sort(hits.begin(), hits.end());
    return hits;
  }
};

TEST_F(EqualityTest, TheSameFilesGiveTheSameContent) {
  const std::string content = TheWorld().sqlite.Dump();
  EXPECT_THAT(content, testing::HasSubstr("many/d59"));
  EXPECT_EQ(TheWorld().postgres.Dump(), content);
  Machine::Must(CheckIndex(TheWorld().postgres.storage()));
}

TEST_F(EqualityTest, TheSameQueriesGiveTheSameHits) {
  std::size_t most = 0;
  for (const char* query : {"fox",
                            "FOXES hen",
                            "\"fox hen\"",
                            "fox -hen",
                            "run*",
                            "\"lazy qui\"*",
                            "city OR bern -fox",
                            "zurich geneve",
                            "foo-bar_baz()",
                            "animals.txt",
                            "\xCE\x91\xCE\x98\xCE\x97\xCE\x9D\xCE\x91",
                            "3.14",
                            "zero byte",
                            "document fox",
                            "fox \xE2\x80\x94 hen",
                            "\xE2\x80\x94",
                            "\xE2\x80\x94 OR bern",
                            "title bad",
                            "-fox",
                            "'single' \\",
                            "many d59",
                            "\"bad title bad\"",
                            "d59 running OR \"over lazy\" -city"}) {
    const auto hits = Hits(TheWorld().sqlite, query);
    EXPECT_EQ(Hits(TheWorld().postgres, query), hits) << query;
    most = std::max(most, hits.size());
  }
  EXPECT_GT(most, 100u) << "too few hits to have compared anything";
}

RC_GTEST_FIXTURE_PROP(EqualityTest, AnyQueryGivesTheSameHits, ()) {
  const auto pieces = *rc::gen::container<std::vector<std::string>>(
      rc::gen::element<std::string>("fox", "hen", "city", "d5", "a", " ", " ", " ", "\"", "-", " OR ", "*",
                                    "\xE2\x80\x94", "'", "\\", "x_y", "over "));
  std::string query;
  for (const std::string& piece : pieces) query += piece;
  RC_ASSERT(Hits(TheWorld().postgres, query) == Hits(TheWorld().sqlite, query));
}

TEST_F(EqualityTest, ReportsAndSourcesAreTheSame) {
  World& world = TheWorld();
  auto theirs = Machine::Must(RunReport(world.sqlite.storage(), world.run));
  auto ours = Machine::Must(RunReport(world.postgres.storage(), world.run));
  for (DocumentsReport* report : {&theirs, &ours}) {  // what the clock says
    report->seconds = report->documents_per_second = report->megabytes_per_second = 0;
    report->slowest.clear();
    for (auto& failed : report->failed) failed.parse_us = 0;
  }
  EXPECT_EQ(ReportToJson(ours), ReportToJson(theirs));
  EXPECT_EQ(ours.total.documents, 67);
  const auto sources = Machine::Must(SummarizeSources(world.postgres.storage()));
  const auto expected = Machine::Must(SummarizeSources(world.sqlite.storage()));
  ASSERT_EQ(sources.size(), 1u);
  ASSERT_EQ(expected.size(), 1u);
  EXPECT_EQ(sources[0].by_status, expected[0].by_status);
  EXPECT_EQ(sources[0].elements, expected[0].elements);
  EXPECT_EQ(sources[0].bytes, expected[0].bytes);
  EXPECT_EQ(sources[0].last_run, expected[0].last_run);
}

}  // namespace
}  // namespace millrace::documents
