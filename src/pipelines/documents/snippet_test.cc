// Snippets against those of FTS5 itself.
#include "pipelines/documents/snippet.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "pipelines/documents/dialect.h"
#include "pipelines/documents/test_folder.h"
#include "storage/open.h"

namespace millrace::documents {
namespace {

class SnippetTest : public testing::Test {
 protected:
  struct World {
    TempFolder folder;
    std::unique_ptr<storage::Storage> storage;
    World() {
      StorageOptions options;
      options.url = (folder / "snippets.db").string();
      storage = std::move(*storage::OpenStorage(options));
      Write("CREATE VIRTUAL TABLE probe USING fts5(name, text, tokenize = 'porter unicode61 remove_diacritics 2')", {});
    }
    void Write(std::string_view sql, std::span<const SqlValue> values) const {
      const auto done = storage->Transact([&](storage::Transaction& t) { return t.sql().execute(sql, values); });
      if (!done) throw std::runtime_error(done.error().message);
    }
  };
  static const World& TheWorld() {
    static const World world;
    return world;
  }
  // Nothing when the texts do not match.
  static std::optional<std::string> OfFts5(const std::string& name, const std::string& text, const std::string& match,
                                           int words) {
    const SqlValue row[] = {name, text};
    TheWorld().Write("DELETE FROM probe", {});
    TheWorld().Write("INSERT INTO probe (name, text) VALUES (?, ?)", row);
    std::optional<std::string> snippet;
    const SqlValue values[] = {std::int64_t{words}, match};
    const auto done = TheWorld().storage->Read([&](SqlSession& sql) {
      return sql.query("SELECT snippet(probe, -1, '[', ']', '...', ?) FROM probe WHERE probe MATCH ?", values,
                       [&](const SqlRow& found) {
                         snippet = found.text(0);
                         return false;
                       });
    });
    if (!done) throw std::runtime_error(done.error().message);
    return snippet;
  }
  static std::string Ours(const std::string& name, const std::string& text, std::span<const Alternative> query,
                          int words) {
    std::vector<Phrase> phrases;
    for (const Term& term : query.front().wanted) phrases.push_back(*PhraseOf(term));
    const std::string_view texts[] = {name, text};
    return *MakeSnippet(texts, phrases, {"[", "]", words});
  }
};

rc::Gen<std::string> TextOf(std::vector<std::string> pieces) {
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(std::move(pieces))),
                      [](const std::vector<std::string>& words) {
                        std::string text;
                        for (const std::string& word : words) text += word;
                        return text;
                      });
}

RC_GTEST_FIXTURE_PROP(SnippetTest, AreThoseOfFts5, ()) {
  const auto any =
      TextOf({"fox ", "Foxes, ", "hen ", "a ", "the ", "end. ", "so: ", "Z\xC3\xBCrich ", "run-", "x", "\n"});
  const std::string name = *any, text = *any + *any + *any;
  const std::string typed =
      *rc::gen::element<std::string>("fox", "fox hen", "\"fox hen\"", "hen*", "zurich the", "\"the a\" \"a the\"",
                                     "\"fox fox\"", "run-x", "fox end so hen", "\"a f\"*");
  // A window of one word at the beginning is not cut by FTS5 (it takes the window's end 0 for none); ours is.
  const int words = *rc::gen::inRange(2, 12);
  const auto query = *ReadQuery(typed);
  const auto theirs = OfFts5(name, text, *MakeSqliteDialect()->MatchOf(query), words);
  RC_CLASSIFY(theirs.has_value());
  if (theirs) RC_ASSERT(Ours(name, text, query, words) == *theirs);
}

TEST_F(SnippetTest, AWindowIsCutAroundItsMatches) {
  std::string text;
  for (int i = 0; i < 30; ++i) text += "w" + std::to_string(i) + " ";
  text += "needle";
  for (int i = 30; i < 60; ++i) text += " w" + std::to_string(i);
  const auto query = *ReadQuery("needle");
  EXPECT_EQ(Ours("", text, query, 5), "...w28 w29 [needle] w30 w31...");
  EXPECT_EQ(Ours("needle first", text, query, 5), "[needle] first");
}

}  // namespace
}  // namespace millrace::documents
