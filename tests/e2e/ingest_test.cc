// `millrace run documents` over a folder made here: every format, then again with nothing, one file touched, one
// changed, one deleted; and searches that say where.
#include <gtest/gtest.h>

#include <filesystem>

#include "support/content.h"
#include "support/make_documents.h"
#include "support/program.h"

namespace millrace::tests {
namespace {

namespace fs = std::filesystem;
using base::json::value;

class Ingest : public ::testing::Test {
 protected:
  void SetUp() override {
    WriteFile(In("plain.txt"), "The heron waits.\n\nA kettle of zanzibarite stands in the hall.\n");
    WriteFile(In("latin1.txt"),
              "Caf\xe9 cr\xe8me, na\xefve fa\xe7"
              "ade, d\xe9j\xe0 vu, gar\xe7on, ma\xeftre d'h\xf4tel.\n");
    WriteFile(In("guide.md"), "# Guide\n\nAbout *quagga* herds.\n\n- one\n- two with `marmoset`\n");
    WriteFile(In("page.html"),
              "<html><head><title>Page</title></head><body><h1>Head</h1><p>An okapi <b>sleeps</b>."
              "</p><script>var hidden = 'numbat';</script></body></html>");
    WriteFile(In("rows.csv"), "id,animal,place\n1,tapir,forest\n2,\"pangolin, shy\",savannah\n");
    WriteFile(In("data.json"), R"({"zoo": {"cages": [{"animal": "axolotl"}, {"animal": "fossa"}]}})");
    WriteFile(In("lines.jsonl"), "{\"animal\": \"dugong\"}\n{\"animal\": \"kakapo\"}\n");
    WriteFile(In("tree.xml"),
              "<?xml version=\"1.0\"?>\n<zoo><house name=\"caracal house\" floor=\"2\">open</house></zoo>\n");
    WriteFile(In("paper.pdf"), MakePdf({"First page.\nNothing here.", "Second page.\nThe vaquita surfaced at noon."}));
    WriteFile(In("letter.docx"),
              MakeDocx({"Dear reader,", "the table says all."}, {{"animal", "seen"}, {"solenodon", "twice"}}));
  }

  fs::path In(const std::string& name) const { return folder_.path() / "in" / name; }
  value RunDocuments() { return MustJson(folder_.path(), {"run", "documents", "in", "--db", "m.db"}); }
  // How many documents that run parsed or tried to.
  static int Parsed(const value& summary) { return summary.at("run").at("documents").to_number<int>(); }
  // The hits of a search.
  base::json::array Search(const std::string& query) {
    value answer = MustJson(folder_.path(), {"search", query, "--db", "m.db"});
    return answer.at("hits").as_array();
  }
  static std::string Text(const value& object, const char* name) {
    return std::string(object.as_object().at(name).as_string());
  }
  // Exactly one hit, in this file, at this place.
  void ExpectFoundIn(const std::string& query, const std::string& file, const std::string& location) {
    auto hits = Search(query);
    ASSERT_EQ(hits.size(), 1u) << query << ": " << base::ToJson(hits);
    EXPECT_TRUE(Text(hits[0], "path").ends_with(file)) << base::ToJson(hits);
    EXPECT_EQ(Text(hits[0], "location"), location) << base::ToJson(hits);
  }

  TempDir folder_;
};

TEST_F(Ingest, EveryFormatBecomesADocumentThatSearchFindsAndPlaces) {
  value summary = RunDocuments();
  EXPECT_EQ(summary.at("run").at("documents").to_number<int>(), 10) << base::ToPrettyJson(summary);
  auto documents = Documents(folder_ / "m.db");
  ASSERT_EQ(documents.size(), 10u);
  for (const auto& [name, row] : documents) {
    EXPECT_EQ(row.status, documents::DocumentStatus::kParsed) << name << ": " << row.reason << " " << row.message;
    EXPECT_GT(row.elements, 1) << name;
  }
  EXPECT_EQ(documents["paper.pdf"].pages, 2);
  EXPECT_EQ(documents["page.html"].title, "Page");
  ExpectFoundIn("zanzibarite", "plain.txt", "line 3");
  ExpectFoundIn("\"vaquita surfaced\"", "paper.pdf", "page 2 line 1");
  ExpectFoundIn("solenodon", "letter.docx", "table 1 row 2 cell 1");
  ExpectFoundIn("pangolin", "rows.csv", "row 3 column 2");
  ExpectFoundIn("\"caracal house\"", "tree.xml", "/zoo/house/@name");
  ExpectFoundIn("open", "tree.xml", "/zoo/house");
  ExpectFoundIn("fossa", "data.json", "/zoo/cages/1/animal");
  ExpectFoundIn("kakapo", "lines.jsonl", "line 2 /animal");
  EXPECT_EQ(Search("numbat").size(), 0u) << "scripts are not text";
  EXPECT_EQ(Search("\"creme naive\"").size(), 1u) << "Latin-1 is decoded, accents are folded";
}

TEST_F(Ingest, DocumentsOfOneNameAreNotTakenForOne) {
  WriteFile(In("deeper/plain.txt"), "Another one.\n");
  RunDocuments();
  EXPECT_THROW(Documents(folder_ / "m.db"), std::runtime_error);
}

TEST_F(Ingest, ARunThatWasCancelledSaysSoAndLeavesTheRestToTheNext) {
  ASSERT_EQ(RunMillrace(folder_.path(), {"migrate", "up", "--db", "m.db"}).code, 0);
  ASSERT_EQ(RunMillrace(folder_.path(), {"queues", "pause", "documents.parse", "--db", "m.db"}).code, 0);
  Child run(Millrace(folder_.path(), {"run", "documents", "in", "--db", "m.db", "--json"}));
  // Cancelled when its discovery has found everything, and none of it can be parsed.
  const auto found = [&] {
    value jobs = MustJson(folder_.path(), {"jobs", "list", "--kind", "documents.parse", "--db", "m.db"});
    return jobs.at("jobs").as_array().size() == 10;
  };
  while (!found()) ASSERT_FALSE(run.WaitForExit(std::chrono::milliseconds(10))) << Describe(run.Wait());
  ASSERT_EQ(RunMillrace(folder_.path(), {"runs", "cancel", "1", "--db", "m.db"}).code, 0);
  Ended ended = run.Wait();
  EXPECT_EQ(ended.code, 3) << Describe(ended);
  EXPECT_FALSE(Json(ended).at("finished").as_bool()) << Describe(ended);
  ASSERT_EQ(RunMillrace(folder_.path(), {"queues", "resume", "documents.parse", "--db", "m.db"}).code, 0);
  EXPECT_EQ(Parsed(RunDocuments()), 10);
}

TEST_F(Ingest, ASecondRunParsesNothing) {
  RunDocuments();
  std::string before = Content(folder_ / "m.db");
  value second = RunDocuments();
  EXPECT_EQ(Parsed(second), 0) << base::ToPrettyJson(second);
  EXPECT_EQ(second.at("documents").to_number<int>(), 10) << base::ToPrettyJson(second);
  EXPECT_EQ(Content(folder_ / "m.db"), before);
}

TEST_F(Ingest, ATouchedFileWithTheSameBytesChangesNothing) {
  RunDocuments();
  std::string before = Content(folder_ / "m.db");
  fs::last_write_time(In("guide.md"), fs::last_write_time(In("guide.md")) + std::chrono::hours(1));
  value second = RunDocuments();
  EXPECT_EQ(Parsed(second), 0) << "its bytes are the same\n" << base::ToPrettyJson(second);
  EXPECT_EQ(second.at("run").at("reread").to_number<int>(), 1) << base::ToPrettyJson(second);
  EXPECT_EQ(second.at("run").at("unchanged").to_number<int>(), 9) << base::ToPrettyJson(second);
  EXPECT_EQ(Content(folder_ / "m.db"), before);
}

TEST_F(Ingest, AChangedFileReplacesTheOldOne) {
  RunDocuments();
  WriteFile(In("plain.txt"), "Now about a binturong, and nothing else.\n");
  value second = RunDocuments();
  EXPECT_EQ(Parsed(second), 1) << base::ToPrettyJson(second);
  EXPECT_EQ(Search("zanzibarite").size(), 0u);
  ExpectFoundIn("binturong", "plain.txt", "line 1");
  EXPECT_EQ(Documents(folder_ / "m.db").size(), 10u);
}

TEST_F(Ingest, ADeletedFileIsGoneFromSearch) {
  RunDocuments();
  fs::remove(In("paper.pdf"));
  value second = RunDocuments();
  EXPECT_EQ(second.at("documents").to_number<int>(), 9) << base::ToPrettyJson(second);
  EXPECT_EQ(Search("vaquita").size(), 0u);
  EXPECT_EQ(Documents(folder_ / "m.db").size(), 9u);
}

TEST_F(Ingest, WhatCannotBeReadIsADeadLetterWithAReasonAndTheRestGoesOn) {
  WriteFile(In("broken.pdf"), "%PDF-1.4\nthis is no PDF at all\n");
  WriteFile(In("picture.png"), "\x89PNG\r\n\x1a\n" + std::string(100, '\x01'));
  Ended ended = RunMillrace(folder_.path(), {"run", "documents", "in", "--db", "m.db", "--json"});
  EXPECT_EQ(ended.code, 3) << "partial: some dead letters\n" << Describe(ended);
  auto documents = Documents(folder_ / "m.db");
  EXPECT_EQ(documents.at("broken.pdf").status, documents::DocumentStatus::kFailed);
  EXPECT_EQ(documents.at("broken.pdf").reason, "broken");
  EXPECT_EQ(documents.at("picture.png").status, documents::DocumentStatus::kUnsupported);
  EXPECT_EQ(documents.at("picture.png").reason, "unsupported_format");
  EXPECT_EQ(documents.at("plain.txt").status, documents::DocumentStatus::kParsed);
  Ended list = RunMillrace(folder_.path(), {"deadletter", "list", "--db", "m.db"});
  EXPECT_EQ(list.code, 0) << Describe(list);
  EXPECT_NE(list.out.find("broken.pdf"), std::string::npos) << Describe(list);
}

}  // namespace
}  // namespace millrace::tests
