// Documents and their elements in the engine's database: the tables of migration 002, and what may be done with them.
//
// A document is a row of its own whether it could be parsed or not; only parsed ones have elements. Functions that take
// a StoreSession belong into a transaction of the caller; those that take a Storage open their own. Failures are the
// database's (storage.h) unless said. Texts are stored as UTF-8 without zero bytes, whatever parsers gave: a space
// stands in for each zero byte, U+FFFD for each byte that is not UTF-8.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/client.h"
#include "pipelines/documents/dialect.h"
#include "pipelines/documents/elements.h"
#include "pipelines/documents/parser_pool.h"
#include "pipelines/documents/sources/file_source.h"
#include "storage/storage.h"

namespace millrace::documents {

// Part of every document's fingerprint. Raise it when parsers give other elements for the same bytes: then the next run
// parses everything again.
inline constexpr int kParserVersion = 1;

// Elements one document may have; their indices share an integer key with the document's.
inline constexpr std::int64_t kMaxElements = 1 << 24;

enum class DocumentStatus : std::uint8_t {
  kParsed,       // has elements
  kUnsupported,  // of a format this build does not read: a warning
  kFailed,       // could not be parsed: a dead letter says the same
  kSkipped,      // found, but not read on purpose, such as a link
};

// "parsed", "unsupported", "failed", "skipped".
std::string_view DocumentStatusName(DocumentStatus status);
std::optional<DocumentStatus> ParseDocumentStatus(std::string_view name);

// A caller's transaction, and how its database is spoken to. Valid as long as the session.
struct StoreSession {
  StoreSession(const storage::Storage& storage, SqlSession& session) : sql(session), dialect(DialectOf(storage)) {}

  SqlSession& sql;
  const Dialect& dialect;
};

// What the store knows of a file, to tell whether it changed.
struct KnownDocument {
  std::string path;
  FileStamp stamp;
  std::string content_hash;  // empty: unknown
  int parser_version = 0;
  DocumentStatus status = DocumentStatus::kParsed;
  std::string reason, message;
};

// The next `limit` documents of a source with path > `after`, in order of path (by bytes).
Result<std::vector<KnownDocument>> ReadKnown(const StoreSession& session, std::string_view source,
                                             std::string_view after, int limit);
Result<std::optional<KnownDocument>> FindKnown(const StoreSession& session, std::string_view source,
                                               std::string_view path);

// A document to write.
struct DocumentRecord {
  std::string source, path;
  FileStamp stamp;
  std::string content_hash;  // empty: unknown, so that the next run reads the file again if its stamp changed
  DocumentStatus status = DocumentStatus::kParsed;
  std::string reason, message;  // of every status but kParsed
  std::int64_t parse_us = 0;
  RunId run_id = 0;
  Time now{};
};

// Puts a document in place of the one with its source and path, if any: its row, its elements and their index entries.
// `parsed` is read once; null: it has none. kLimitExceeded if it has more than kMaxElements.
Result<void> ReplaceDocument(const StoreSession& session, const DocumentRecord& record, ParsedDocument* parsed);

// The file was written again with the same bytes: only its stamp is new.
Result<void> RefreshDocument(const StoreSession& session, std::string_view source, std::string_view path,
                             FileStamp stamp);

// Removes a document and all that belongs to it. No such document is no error. With `unless_run` not 0, documents
// written by that run stay.
Result<void> RemoveDocument(const StoreSession& session, std::string_view source, std::string_view path,
                            RunId unless_run = 0);

// A document as stored.
struct DocumentRow {
  std::string document_id, source, path;
  FileStamp stamp;
  std::string content_hash;
  DocumentStatus status = DocumentStatus::kParsed;
  std::string reason, message;
  std::string media_type, title, author, language, charset;
  std::int64_t pages = 0;
  std::string metadata;  // a JSON object: subject, keywords, created, modified, producer, extra
  std::string warnings;  // a JSON array of strings
  std::int64_t elements = 0, text_bytes = 0;
  std::int64_t parse_us = 0;
  Time parsed_at{};
  RunId run_id = 0;
};

struct DocumentFilter {
  std::optional<DocumentStatus> status;
  std::string source, media_type;        // empty: all
  std::string after_source, after_path;  // the page after this document
  int limit = 100;
};

// What is searched with a document's root besides its text.
std::string IndexedName(std::string_view title, std::string_view path);

struct ElementRow {
  std::string element_id;
  std::int64_t index = 0;
  Element element;
};

// kNotFound if there is none.
Result<DocumentRow> GetDocument(storage::Storage& storage, std::string_view document_id);
// In order of source and path.
Result<std::vector<DocumentRow>> ListDocuments(storage::Storage& storage, const DocumentFilter& filter);
// The elements of a document from index `from`, in order. kNotFound if there is no such document.
Result<std::vector<ElementRow>> ListElements(storage::Storage& storage, std::string_view document_id, std::int64_t from,
                                             int limit);

// Everything that follows from the files' names and bytes, as text, one line per document and element in order of
// source, path and index: no times, no run ids. Two databases made of the same files give the same text.
Result<void> DumpContent(storage::Storage& storage, std::ostream& out);

// Compares the full-text index with the elements, both ways. kCorrupt when they differ. Takes time in proportion to all
// text.
Result<void> CheckIndex(storage::Storage& storage);

}  // namespace millrace::documents
