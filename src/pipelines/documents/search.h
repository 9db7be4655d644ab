// Full-text search over the elements of all documents.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/error.h"
#include "storage/storage.h"

namespace millrace::documents {

// Query language: `word` (in any inflection, case and accents ignored), `"a phrase"`, `prefix*`, `-word` or `-"a
// phrase"` (without it), `this OR that`. Words side by side must all stand in one element. OR separates whole
// alternatives: `a b OR c` is a and b, or c. Everything else is plain text: no query is a syntax error.
struct SearchRequest {
  std::string query;
  int limit = 20;                                // 1 to 1000
  int offset = 0;                                // 0 to 100,000
  std::string type;                              // element type name, such as "table_cell"; empty: all
  std::string source;                            // source name; empty: all
  std::string media_type;                        // such as "application/pdf"; empty: all
  std::string mark_begin = "[", mark_end = "]";  // around each match in a snippet
  int snippet_words = 24;                        // 1 to 64
};

struct SearchHit {
  std::string document_id, source, path, title, media_type;
  std::string element_id;
  std::int64_t element_index = 0;
  std::string type;      // of the element; "root": the document's title or path matched
  std::string location;  // see elements.h; empty for the root; with the attribute ("/a/b/@id") when XML matched in one
                         // alone
  std::string snippet;   // the surroundings of the match, on one line, cut with "..."
  double score = 0;      // higher is better (SQLite: BM25, PostgreSQL: ts_rank_cd); comparable within one answer
};

struct SearchAnswer {
  std::vector<SearchHit> hits;  // best first
  bool more = false;            // there are hits after these
};

// Fails with kInvalidArgument (nothing to look for, only excluded words, an unknown type, a number out of range, a
// query over 4096 bytes or 64 words; the message says which) and as the database does.
Result<SearchAnswer> Search(storage::Storage& storage, const SearchRequest& request);

// The query in FTS5's own language; exposed for tests. Whatever the text, the result is valid there.
Result<std::string> TranslateQuery(std::string_view query);

}  // namespace millrace::documents
