#include "pipelines/documents/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipelines/documents/record_job.h"
#include "pipelines/documents/test_support.h"

namespace millrace::documents {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

class StoreTest : public testing::Test {
 protected:
  StoreTest() {
    StorageOptions options;
    options.url = (folder_ / "store.db").string();
    storage_ = Machine::Must(storage::sqlite::OpenSqlite(options));
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
  Result<void> Write(const std::function<Result<void>(SqlSession&)>& body) {
    return storage_->Transact([&](storage::Transaction& transaction) { return body(transaction.sql()); });
  }
  void Put(const DocumentRecord& record, ParsedDocument* parsed) {
    Machine::Must(Write([&](SqlSession& sql) { return ReplaceDocument(sql, record, parsed); }));
    Machine::Must(CheckIndex(*storage_));
  }
  std::int64_t Count(std::string_view sql) {
    std::int64_t count = -1;
    Machine::Must(storage_->Read([&](SqlSession& session) {
      return session.query(sql, {}, [&](const SqlRow& row) {
        count = row.integer(0);
        return false;
      });
    }));
    return count;
  }
  std::string Dump() {
    std::ostringstream out;
    Machine::Must(DumpContent(*storage_, out));
    return out.str();
  }

  TempFolder folder_;
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
  EXPECT_EQ(Count("SELECT count(*) FROM element"), 4 + 3);
  EXPECT_EQ(Count("SELECT count(*) FROM element_fts WHERE element_fts MATCH 'old'"), 3) << "those of q alone";
  DocumentRecord failed = Record("p");
  failed.status = DocumentStatus::kFailed;
  failed.reason = "broken";
  Put(failed, nullptr);
  EXPECT_EQ(Count("SELECT count(*) FROM element"), 4);
  EXPECT_EQ(Machine::Must(GetDocument(*storage_, DocumentId("s", "p"))).title, "");
  Machine::Must(Write([](SqlSession& sql) { return RemoveDocument(sql, "s", "p"); }));
  Machine::Must(Write([](SqlSession& sql) { return RemoveDocument(sql, "s", "q"); }));
  Machine::Must(Write([](SqlSession& sql) { return RemoveDocument(sql, "s", "q"); }));
  EXPECT_EQ(Count("SELECT count(*) FROM element"), 0);
  EXPECT_EQ(Count("SELECT count(*) FROM document"), 0);
  Machine::Must(CheckIndex(*storage_));
}

TEST_F(StoreTest, ADocumentOfTheRunItselfIsNotRemoved) {
  LinesDocument parsed("x");
  Put(Record("p"), &parsed);
  Machine::Must(Write([](SqlSession& sql) { return RemoveDocument(sql, "s", "p", 7); }));
  EXPECT_EQ(Count("SELECT count(*) FROM document"), 1);
  Machine::Must(Write([](SqlSession& sql) { return RemoveDocument(sql, "s", "p", 8); }));
  EXPECT_EQ(Count("SELECT count(*) FROM document"), 0);
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
  const auto done = Write([&](SqlSession& sql) { return ReplaceDocument(sql, Record("p"), &breaking); });
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(Dump(), before);
  Machine::Must(CheckIndex(*storage_));
}

TEST_F(StoreTest, TheIndexCheckSeesAMissingEntry) {
  LinesDocument parsed("Title\nwords");
  Put(Record("p"), &parsed);
  Machine::Must(
      Write([](SqlSession& sql) { return sql.execute("UPDATE element SET text = 'other' WHERE text = 'words'"); }));
  EXPECT_EQ(CheckIndex(*storage_).error().code, ErrorCode::kCorrupt);
}

TEST_F(StoreTest, ElementsWithoutTextAreKeptAndNotIndexed) {
  LinesDocument parsed("Title\n\nwords\n");
  Put(Record("p"), &parsed);
  EXPECT_EQ(Count("SELECT count(*) FROM element"), 4);
  EXPECT_EQ(Count("SELECT count(*) FROM element_fts_docsize"), 3);
}

TEST_F(StoreTest, TextWithZeroBytesIsKeptAndFound) {
  LinesDocument parsed(std::string("Ti\0tle\nbefore\0after", 19));
  Put(Record("p"), &parsed);
  EXPECT_EQ(Count("SELECT count(*) FROM element_fts WHERE element_fts MATCH 'after'"), 1);
  LinesDocument other("x");
  Put(Record("p"), &other);
  EXPECT_EQ(Count("SELECT count(*) FROM element_fts WHERE element_fts MATCH 'after'"), 0);
}

TEST_F(StoreTest, KnownDocumentsComeInOrderOfBytes) {
  LinesDocument parsed("x");
  for (const char* path : {"b", "a/b", "a0", "a", "Z", "\xC3\xA9"}) Put(Record(path), &parsed);
  std::vector<std::string> paths;
  Machine::Must(storage_->Read([&](SqlSession& sql) -> Result<void> {
    std::string after;
    while (true) {
      auto page = ReadKnown(sql, "s", after, 2);
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
