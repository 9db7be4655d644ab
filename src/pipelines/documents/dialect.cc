#include "pipelines/documents/dialect.h"

#include <map>
#include <mutex>

#include "documents_both_queries.h"

namespace millrace::documents {

std::string InSchema(std::string_view text, std::string_view schema) {
  constexpr std::string_view kMark = "@schema@";
  std::string out;
  for (std::size_t at = text.find(kMark); at != std::string_view::npos; at = text.find(kMark)) {
    out += text.substr(0, at);
    out += schema;
    text.remove_prefix(at + kMark.size());
  }
  return out += text;
}

void SetCommonQueries(Queries& queries, std::string_view schema) {
  namespace both = queries::both;
  queries.find_known = InSchema(both::kFindKnown, schema);
  queries.put_document = InSchema(both::kPutDocument, schema);
  queries.put_counts = InSchema(both::kPutCounts, schema);
  queries.refresh_document = InSchema(both::kRefreshDocument, schema);
  queries.delete_elements = InSchema(both::kDeleteElements, schema);
  queries.delete_document = InSchema(both::kDeleteDocument, schema);
  queries.get_document = InSchema(both::kGetDocument, schema);
  queries.list_documents = InSchema(both::kListDocuments, schema);
  queries.list_elements = InSchema(both::kListElements, schema);
  queries.count_source = InSchema(both::kCountSource, schema);
  queries.slowest_documents = InSchema(both::kSlowestDocuments, schema);
  queries.failed_documents = InSchema(both::kFailedDocuments, schema);
  queries.summarize_sources = InSchema(both::kSummarizeSources, schema);
}

const Dialect& DialectOf(const storage::Storage& storage) {
  if (storage.Name() != "postgresql") {
    static const std::unique_ptr<Dialect> sqlite = MakeSqliteDialect();
    return *sqlite;
  }
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<Dialect>, std::less<>> by_schema;
  const std::lock_guard lock(mutex);
  auto found = by_schema.find(storage.Schema());
  if (found == by_schema.end()) {
    found = by_schema.emplace(storage.Schema(), MakePostgresDialect(storage.Schema())).first;
  }
  return *found->second;
}

}  // namespace millrace::documents
