#include "pipelines/documents/search.h"

#include <algorithm>

#include "base/try.h"
#include "base/utf8.h"
#include "pipelines/documents/dialect.h"
#include "pipelines/documents/elements.h"
#include "pipelines/documents/matched_attribute.h"
#include "pipelines/documents/query.h"
#include "pipelines/documents/snippet.h"
#include "pipelines/documents/store.h"

namespace millrace::documents {
namespace {

Result<void> CheckRequest(const SearchRequest& request) {
  const auto wrong = [](std::string what) { return fail(ErrorCode::kInvalidArgument, std::move(what)); };
  if (request.limit < 1 || request.limit > 1000) return wrong("limit must be from 1 to 1000");
  if (request.offset < 0 || request.offset > 100'000) return wrong("offset must be from 0 to 100000");
  if (request.snippet_words < 1 || request.snippet_words > 64) return wrong("snippet words must be from 1 to 64");
  if (!request.type.empty() && !ParseElementType(request.type)) {
    return wrong("unknown element type '" + request.type +
                 "'; some are paragraph, header, table_cell, list_item, root");
  }
  if (!base::IsCleanUtf8(request.source)) return wrong("source is not UTF-8");
  if (!base::IsCleanUtf8(request.media_type)) return wrong("media_type is not UTF-8");
  return {};
}

std::string OneLine(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const bool space = IsSpaceByte(c);
    if (!space) line += c;
    if (space && !line.empty() && line.back() != ' ') line += ' ';
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

// What a snippet marks.
Result<std::vector<Phrase>> PhrasesOf(std::span<const Alternative> query) {
  std::vector<Phrase> phrases;
  for (const Alternative& alternative : query) {
    for (const Term& term : alternative.wanted) {
      MILLRACE_ASSIGN(Phrase phrase, PhraseOf(term));
      phrases.push_back(std::move(phrase));
    }
  }
  return phrases;
}

// All but the snippet. `text` is the element's.
SearchHit HitOf(const SqlRow& row, std::string& text) {
  SearchHit hit;
  hit.document_id = row.text(0);
  hit.source = row.text(1);
  hit.path = row.text(2);
  hit.title = row.text(3);
  hit.media_type = row.text(4);
  hit.element_index = row.integer(5);
  hit.type = row.text(6);
  hit.location = row.text(7);
  Element element;
  element.type = ParseElementType(hit.type).value_or(ElementType::kParagraph);
  element.text = row.text(8);
  hit.element_id = ElementId(hit.document_id, static_cast<std::size_t>(hit.element_index), element);
  hit.score = row.real(9);
  text = std::move(element.text);
  return hit;
}

// Of an element that was found by an attribute, the location names it.
Result<void> AddAttribute(const SqlRow& row, const std::string& text, std::span<const Phrase> phrases, SearchHit& hit) {
  if (hit.type != ElementTypeName(ElementType::kXmlElement)) return {};
  MILLRACE_ASSIGN(const std::string name, MatchedAttribute(text, row.text(10), phrases));
  if (!name.empty()) hit.location += "/@" + name;
  return {};
}

Result<std::string> SnippetOf(const SearchHit& hit, const std::string& text, std::span<const Phrase> phrases,
                              const SnippetStyle& style) {
  const std::string name = hit.element_index == 0 ? IndexedName(hit.title, hit.path) : "";
  const std::string_view columns[] = {name, text};
  MILLRACE_ASSIGN(const std::string snippet, MakeSnippet(columns, phrases, style));
  return OneLine(snippet);
}

}  // namespace

Result<std::string> TranslateQuery(std::string_view query) {
  MILLRACE_ASSIGN(const std::vector<Alternative> alternatives, ReadQuery(query));
  static const std::unique_ptr<Dialect> sqlite = MakeSqliteDialect();
  return sqlite->MatchOf(alternatives);
}

Result<SearchAnswer> Search(storage::Storage& storage, const SearchRequest& request) {
  MILLRACE_TRY(CheckRequest(request));
  MILLRACE_ASSIGN(const std::vector<Alternative> query, ReadQuery(request.query));
  MILLRACE_ASSIGN(const std::vector<Phrase> phrases, PhrasesOf(query));
  const Dialect& dialect = DialectOf(storage);
  MILLRACE_ASSIGN(const std::string match, dialect.MatchOf(query));
  SearchAnswer answer;
  if (match.empty()) return answer;
  const SnippetStyle style{request.mark_begin, request.mark_end, request.snippet_words};
  Result<void> made;
  MILLRACE_TRY(storage.Read([&](SqlSession& sql) {
    const SqlValue values[] = {match,
                               request.type,
                               request.source,
                               request.media_type,
                               std::int64_t{request.limit} + 1,
                               std::int64_t{request.offset}};
    return sql.query(dialect.queries().search, values, [&](const SqlRow& row) {
      answer.more = answer.hits.size() == static_cast<std::size_t>(request.limit);
      if (answer.more) return false;
      std::string text;
      SearchHit hit = HitOf(row, text);
      made = AddAttribute(row, text, phrases, hit);
      if (!made) return false;
      auto snippet = SnippetOf(hit, text, phrases, style);
      if (!snippet) made = fail(snippet.error());
      if (!snippet) return false;
      hit.snippet = std::move(*snippet);
      answer.hits.push_back(std::move(hit));
      return true;
    });
  }));
  MILLRACE_TRY(made);
  return answer;
}

}  // namespace millrace::documents
