// What the documents pipeline asks of each kind of database: its statements, and the little that is done in other ways.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/client.h"
#include "pipelines/documents/elements.h"
#include "pipelines/documents/query.h"
#include "storage/storage.h"

namespace millrace::documents {

// The files in queries/, with the schema's name in place. Those of queries/both are for every database: SQLite takes $1
// as a name and numbers names in the order it meets them, so there they stand in that order.
struct Queries {
  std::string read_known, find_known, find_document;
  std::string put_document, put_counts, refresh_document, delete_elements, delete_document;
  std::string get_document, list_documents, list_elements;
  std::string search;
  std::string count_source, slowest_documents, failed_documents, count_reread, reread, keep_report;
  std::string next_source, document_sizes, summarize_sources;
};

// An element's texts must be UTF-8 without zero bytes.
struct NewElement {
  std::int64_t id = 0;
  std::string_view name;  // what is searched besides its text: with a document's root its title and path
  const Element* element = nullptr;
};

// Writes elements of one document with their index entries. It may keep some back until Finish. Not thread-safe.
class ElementWriter {
 public:
  virtual ~ElementWriter() = default;
  virtual Result<void> Put(const NewElement& element) = 0;
  virtual Result<void> Finish() = 0;
};

// Thread-safe.
class Dialect {
 public:
  virtual ~Dialect() = default;
  [[nodiscard]] virtual const Queries& queries() const = 0;
  // The session must outlive the writer.
  [[nodiscard]] virtual std::unique_ptr<ElementWriter> WriteElements(SqlSession& sql) const = 0;
  // Before a document's row or its elements change: the index forgets its elements, where that is not done with them.
  virtual Result<void> Unindex(SqlSession& sql, std::int64_t doc) const = 0;
  // kCorrupt when the index and the elements differ.
  virtual Result<void> CheckIndex(storage::Storage& storage) const = 0;
  // A query in the index's own language; empty: no element can match.
  [[nodiscard]] virtual Result<std::string> MatchOf(std::span<const Alternative> query) const = 0;
};

// That of a storage. Lives as long as the process, so that its texts stay prepared.
const Dialect& DialectOf(const storage::Storage& storage);

// Of each kind; `schema` is where the tables are.
std::unique_ptr<Dialect> MakeSqliteDialect();
std::unique_ptr<Dialect> MakePostgresDialect(std::string_view schema);

// Sets the statements that are the same for every database.
void SetCommonQueries(Queries& queries, std::string_view schema);
// `text` with @schema@ replaced.
std::string InSchema(std::string_view text, std::string_view schema);

}  // namespace millrace::documents
