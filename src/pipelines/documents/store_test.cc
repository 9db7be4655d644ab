#include "pipelines/documents/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipelines/documents/record_job.h"
#include "pipelines/documents/search.h"
#include "pipelines/documents/test_support.h"

namespace millrace::documents {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

class StoreTest : public testing::Test {
 protected:
  StoreTest() {
    StorageOptions options;
    options.url = databases_.Make();
    storage_ = Machine::Must(storage::OpenStorage(options));
  }
  static DocumentRecord Record(const std::string& path) {
    DocumentRecord record;
    record.source = "s";
    record.path = path;
    record.stamp = {10, 20};
    record.content_hash = "h";
    record.run_id = 7;
    record.now = Time(Duration(99));
    return record;
  }
  Result<void> Write(const std::function<Result<void>(const StoreSession&)>& body) {
    return storage_->Transact([&](storage::Transaction& transaction) { return body({*storage_, transaction.sql()}); });
  }
  void Put(const DocumentRecord& record, ParsedDocument* parsed) {
    Machine::Must(Write([&](const StoreSession& session) { return ReplaceDocument(session, record, parsed); }));
    Machine::Must(CheckIndex(*storage_));
  }
  // Rows of one of the pipeline's tables.
  std::int64_t Count(const std::string& table, const std::string& where = "true") {
    std::int64_t count = -1;
    const std::string sql = "SELECT count(*) FROM " + std::string(storage_->Schema()) + "." + table + " WHERE " + where;
    Machine::Must(storage_->Read([&](SqlSession& session) {
      return session.query(sql, {}, [&](const SqlRow& row) {
        count = row.integer(0);
        return false;
      });
    }));
    return count;
  }
  std::int64_t CountIndexed() {
    return storage_->Name() == "sqlite" ? Count("element_fts_docsize") : Count("element", "words <> ''");
  }
  std::size_t Found(const std::string& query) {
    SearchRequest request;
    request.query = query;
    return Machine::Must(Search(*storage_, request)).hits.size();
  }
  std::string Dump() {
    std::ostringstream out;
    Machine::Must(DumpContent(*storage_, out));
    return out.str();
  }

  TestDatabases databases_;
  std::unique_ptr<storage::Storage> storage_;
};

TEST_F(StoreTest, EverythingOfADocumentComesBack) {
  LinesDocument parsed("Title\nsecond line\n|cell");
  DocumentMetadata& m = parsed.metadata();
  m.author = "An Author";
  m.subject = "S";
  m.charset = "utf-8";
  m.pages = 3;
  m.extra = R"({"k":[1,2]})";
  parsed.warnings() = {"something \"odd\""};
  parsed.elements()[1].level = 2;
  Put(Record("p"), &parsed);
  const DocumentRow row = Machine::Must(GetDocument(*storage_, DocumentId("s", "p")));
  EXPECT_EQ(row.source, "s");
  EXPECT_EQ(row.path, "p");
  EXPECT_EQ(row.stamp, (FileStamp{10, 20}));
  EXPECT_EQ(row.content_hash, "h");
  EXPECT_EQ(row.status, DocumentStatus::kParsed);
  EXPECT_EQ(row.title, "Title");
  EXPECT_EQ(row.author, "An Author");
  EXPECT_EQ(row.language, "en");
  EXPECT_EQ(row.charset, "utf-8");
  EXPECT_EQ(row.media_type, "text/plain");
  EXPECT_EQ(row.pages, 3);
  EXPECT_EQ(row.metadata, R"({"subject":"S","extra":{"k":[1,2]}})");
  EXPECT_EQ(row.warnings, R"(["something \"odd\""])");
  EXPECT_EQ(row.elements, 4);
  EXPECT_EQ(row.text_bytes, 5 + 11 + 5);
  EXPECT_EQ(row.run_id, 7);
  EXPECT_EQ(row.parsed_at, Time(Duration(99)));
  const auto elements = Machine::Must(ListElements(*storage_, row.document_id, 0, 100));
  ASSERT_THAT(elements, SizeIs(4));
  EXPECT_EQ(elements[0].element.parent, -1);
  EXPECT_EQ(elements[0].element.type, ElementType::kRoot);
  EXPECT_EQ(elements[1].element.level, 2);
  EXPECT_EQ(elements[3].element.type, ElementType::kTableCell);
  EXPECT_EQ(elements[3].element.text, "|cell");
  EXPECT_EQ(elements[3].element.location, "line 3");
  EXPECT_EQ(elements[3].element.metadata, R"({"column":1})");
  EXPECT_EQ(elements[3].index, 3);
  EXPECT_EQ(elements[3].element_id, ElementId(row.document_id, 3, elements[3].element));
  EXPECT_THAT(Machine::Must(ListElements(*storage_, row.document_id, 2, 1)), SizeIs(1));
}

TEST_F(StoreTest, UnknownDocumentsAreNotFound) {
  EXPECT_EQ(GetDocument(*storage_, "nope").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(ListElements(*storage_, "nope", 0, 10).error().code, ErrorCode::kNotFound);
}

TEST_F(StoreTest, ReplacingLeavesNothingOfTheOldOne) {
  LinesDocument first("Old title\nold words here\nmore"), second("New title\nfresh");
  Put(Record("p"), &first);
  Put(Record("q"), &first);
  Put(Record("p"), &second);
  EXPECT_EQ(Count("element"), 4 + 3);
  EXPECT_EQ(Found("old"), 3u) << "those of q alone";
  DocumentRecord failed = Record("p");
  failed.status = DocumentStatus::kFailed;
  failed.reason = "broken";
  Put(failed, nullptr);
  EXPECT_EQ(Count("element"), 4);
  EXPECT_EQ(Machine::Must(GetDocument(*storage_, DocumentId("s", "p"))).title, "");
  Machine::Must(Write([](const StoreSession& session) { return RemoveDocument(session, "s", "p"); }));
  Machine::Must(Write([](const StoreSession& session) { return RemoveDocument(session, "s", "q"); }));
  Machine::Must(Write([](const StoreSession& session) { return RemoveDocument(session, "s", "q"); }));
  EXPECT_EQ(Count("element"), 0);
  EXPECT_EQ(Count("document"), 0);
  Machine::Must(CheckIndex(*storage_));
}

TEST_F(StoreTest, ADocumentOfTheRunItselfIsNotRemoved) {
  LinesDocument parsed("x");
  Put(Record("p"), &parsed);
  Machine::Must(Write([](const StoreSession& session) { return RemoveDocument(session, "s", "p", 7); }));
  EXPECT_EQ(Count("document"), 1);
  Machine::Must(Write([](const StoreSession& session) { return RemoveDocument(session, "s", "p", 8); }));
  EXPECT_EQ(Count("document"), 0);
}

TEST_F(StoreTest, AFailureWhileWritingLeavesTheOldDocument) {
  LinesDocument old("Old title\nold words");
  Put(Record("p"), &old);
  const std::string before = Dump();
  class Breaking : public LinesDocument {
   public:
    using LinesDocument::LinesDocument;
    Result<void> ForEach(const std::function<Result<void>(const Element&)>& each) override {
      if (auto done = LinesDocument::ForEach(each); !done) return done;
      return fail(ErrorCode::kCorrupt, "the spool ends too early");
    }
  } breaking("New\nwords");
  const auto done =
      Write([&](const StoreSession& session) { return ReplaceDocument(session, Record("p"), &breaking); });
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(Dump(), before);
  Machine::Must(CheckIndex(*storage_));
}

TEST_F(StoreTest, TheIndexCheckSeesAMissingEntry) {
  LinesDocument parsed("Title\nwords");
  Put(Record("p"), &parsed);
  const std::string update =
      "UPDATE " + std::string(storage_->Schema()) + ".element SET text = 'other' WHERE text = 'words'";
  Machine::Must(Write([&](const StoreSession& session) { return session.sql.execute(update); }));
  EXPECT_EQ(CheckIndex(*storage_).error().code, ErrorCode::kCorrupt);
}

TEST_F(StoreTest, ElementsWithoutTextAreKeptAndNotIndexed) {
  LinesDocument parsed("Title\n\nwords\n");
  Put(Record("p"), &parsed);
  EXPECT_EQ(Count("element"), 4);
  EXPECT_EQ(CountIndexed(), 3);
}

TEST_F(StoreTest, TextWithZeroBytesIsKeptAndFound) {
  LinesDocument parsed(std::string("Ti\0tle\nbefore\0after", 19));
  Put(Record("p"), &parsed);
  EXPECT_EQ(Found("after"), 1u);
  LinesDocument other("x");
  Put(Record("p"), &other);
  EXPECT_EQ(Found("after"), 0u);
}

TEST_F(StoreTest, TextThatIsNotUtf8IsKeptAsFarAsItIs) {
  LinesDocument parsed("Ti\xFFtle\nbefore\xC3 after");
  parsed.elements()[2].location = "l\xFF";
  parsed.elements()[2].metadata = "{\"a\":\"\xFF\"}";
  parsed.metadata().author = std::string("A\0\xFF", 3);
  parsed.warnings() = {"w\xFF"};
  DocumentRecord record = Record("p");
  record.message = "m\xFF";
  record.reason = std::string("r\0", 2);
  Put(record, &parsed);
  const DocumentRow row = Machine::Must(GetDocument(*storage_, DocumentId("s", "p")));
  EXPECT_EQ(row.title, "Ti\uFFFDtle");
  EXPECT_EQ(row.author, "A \uFFFD");
  EXPECT_EQ(row.warnings, "[\"w\uFFFD\"]");
  EXPECT_EQ(row.message, "m\uFFFD");
  EXPECT_EQ(row.reason, "r ");
  const auto elements = Machine::Must(ListElements(*storage_, row.document_id, 2, 1));
  ASSERT_THAT(elements, SizeIs(1));
  EXPECT_EQ(elements[0].element.text, "before\uFFFD after");
  EXPECT_EQ(elements[0].element.location, "l\uFFFD");
  EXPECT_EQ(elements[0].element.metadata, "{\"a\":\"\uFFFD\"}");
  EXPECT_EQ(elements[0].element_id, ElementId(row.document_id, 2, elements[0].element));
  EXPECT_EQ(Found("\"before after\""), 1u);
}

TEST_F(StoreTest, AnyNumberOfElementsOfAnySizeAreStored) {
  LinesDocument parsed("Title");
  for (int i = 0; i < 2500; ++i) {
    parsed.elements().push_back(
        {0, ElementType::kParagraph, 0, "number" + std::to_string(i) + " {\"a\\,'NULL", "l", ""});
  }
  std::string large, repeated;
  for (int i = 0; large.size() < (1u << 20) - 16; ++i) large += "w" + std::to_string(i) + " ";
  for (int i = 0; i < 20'000; ++i) repeated += "often ";
  for (const std::string& text : {large, repeated, std::string(1 << 20, 'x'), large + "NULL"}) {
    parsed.elements().push_back({0, ElementType::kParagraph, 0, text, "l", ""});
  }
  Put(Record("p"), &parsed);
  EXPECT_EQ(Count("element"), 2 + 2500 + 4);
  const auto elements = Machine::Must(ListElements(*storage_, DocumentId("s", "p"), 0, 10'000));
  ASSERT_EQ(elements.size(), parsed.elements().size());
  for (std::size_t i = 0; i < elements.size(); ++i) ASSERT_EQ(elements[i].element.text, parsed.elements()[i].text);
  EXPECT_EQ(Found("number2499"), 1u);
  EXPECT_EQ(Found("w100 w100000"), 2u);
  EXPECT_EQ(Found("often"), 1u);
  EXPECT_EQ(Found(std::string(3000, 'x') + "*"), 1u);
}

TEST_F(StoreTest, LongPathsAreToldApartAndOrdered) {
  LinesDocument parsed("x");
  const std::string stem(3000, 'p');
  for (const char* end : {"c", "a", "b"}) Put(Record(stem + end), &parsed);
  Put(Record("q"), &parsed);
  std::vector<std::string> ends;
  Machine::Must(storage_->Read([&](SqlSession& sql) -> Result<void> {
    for (std::string after;;) {
      auto page = ReadKnown({*storage_, sql}, "s", after, 1);
      if (!page) return fail(page.error());
      if (page->empty()) return {};
      after = page->front().path;
      ends.push_back(after.substr(after.size() - 1));
    }
  }));
  EXPECT_THAT(ends, testing::ElementsAre("a", "b", "c", "q"));
  EXPECT_THAT(Machine::Must(ListDocuments(*storage_, {})), SizeIs(4));
}

TEST_F(StoreTest, KnownDocumentsComeInOrderOfBytes) {
  LinesDocument parsed("x");
  for (const char* path : {"b", "a/b", "a0", "a", "Z", "\xC3\xA9"}) Put(Record(path), &parsed);
  std::vector<std::string> paths;
  Machine::Must(storage_->Read([&](SqlSession& sql) -> Result<void> {
    std::string after;
    while (true) {
      auto page = ReadKnown({*storage_, sql}, "s", after, 2);
      if (!page) return fail(page.error());
      if (page->empty()) return {};
      for (const KnownDocument& known : *page) paths.push_back(known.path);
      after = paths.back();
    }
  }));
  EXPECT_THAT(paths, testing::ElementsAre("Z", "a", "a/b", "a0", "b", "\xC3\xA9"));
}

TEST_F(StoreTest, DocumentsAreListedByFilterAndPage) {
  LinesDocument parsed("x");
  for (const char* path : {"a", "b", "c"}) Put(Record(path), &parsed);
  DocumentRecord failed = Record("d");
  failed.status = DocumentStatus::kFailed;
  failed.reason = "broken";
  Put(failed, nullptr);
  DocumentFilter filter;
  filter.limit = 3;
  const auto first = Machine::Must(ListDocuments(*storage_, filter));
  ASSERT_THAT(first, SizeIs(3));
  filter.after_source = first.back().source;
  filter.after_path = first.back().path;
  EXPECT_THAT(Machine::Must(ListDocuments(*storage_, filter)), SizeIs(1));
  filter = {};
  filter.status = DocumentStatus::kFailed;
  EXPECT_THAT(Machine::Must(ListDocuments(*storage_, filter)), SizeIs(1));
  filter = {};
  filter.media_type = "text/plain";
  EXPECT_THAT(Machine::Must(ListDocuments(*storage_, filter)), SizeIs(3));
  filter.source = "none";
  EXPECT_THAT(Machine::Must(ListDocuments(*storage_, filter)), SizeIs(0));
}

TEST_F(StoreTest, TheDumpLeavesOutTimesAndRunsAndKeepsTheRest) {
  LinesDocument parsed("Title\nwords");
  Put(Record("p"), &parsed);
  const std::string before = Dump();
  DocumentRecord later = Record("p");
  later.stamp.mtime_ns = 21;
  later.now = Time(Duration(100));
  later.run_id = 8;
  later.parse_us = 5;
  Put(later, &parsed);
  EXPECT_EQ(Dump(), before);
  EXPECT_THAT(before, HasSubstr("text=\"words\""));
  later.content_hash = "other";
  Put(later, &parsed);
  EXPECT_NE(Dump(), before);
}

TEST(RecordBatchTest, JobsHoldWhatWasCollectedAndStaySmall) {
  RecordBatch batch(5, "source");
  for (int i = 0; i < 3000; ++i) batch.Remove("removed/" + std::to_string(i) + std::string(300, 'x'));
  FileEntry entry;
  entry.path = "p";
  entry.reason = "link";
  entry.message = "m";
  entry.size = 3;
  entry.mtime_ns = 4;
  batch.Note(entry);
  const auto jobs = batch.Take();
  EXPECT_GT(jobs.size(), 1u);
  std::size_t removed = 0, noted = 0;
  for (const NewJob& job : jobs) {
    EXPECT_LT(job.args.size(), 512u << 10);
    EXPECT_EQ(job.run_id, 5);
    const auto args = ReadRecordArgs(job.args);
    ASSERT_TRUE(args.has_value());
    EXPECT_EQ(args->source, "source");
    removed += args->removed.size();
    noted += args->noted.size();
    for (const FileEntry& e : args->noted) EXPECT_EQ(e.path + e.reason + e.message, "plinkm");
  }
  EXPECT_EQ(removed, 3000u);
  EXPECT_EQ(noted, 1u);
  EXPECT_TRUE(batch.Take().empty());
}

TEST(RecordBatchTest, BadArgsAreNamed) {
  for (const char* json : {"", "[]", "{}", R"({"source":"s"})", R"({"source":"s","remove":[1],"note":[]})",
                           R"({"source":"s","remove":[],"note":[["p"]]})"}) {
    const auto args = ReadRecordArgs(json);
    ASSERT_FALSE(args.has_value()) << json;
    EXPECT_EQ(args.error().code, ErrorCode::kBadArgs);
  }
}

}  // namespace
}  // namespace millrace::documents
