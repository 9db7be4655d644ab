#include "pipelines/documents/search.h"

#include <algorithm>

#include "base/try.h"
#include "pipelines/documents/elements.h"

namespace millrace::documents {
namespace {

constexpr std::size_t kMaxQuery = 4096;
constexpr std::size_t kMaxTerms = 64;

// The index is asked first and in order of rank, so that snippets are made of the hits shown only.
constexpr std::string_view kSearch =
    "SELECT d.document_id, d.source, d.path, d.title, d.media_type, e.id & 16777215, e.type, e.location, e.text,"
    " snippet(element_fts, -1, ?5, ?6, '...', ?7), f.rank"
    " FROM element_fts AS f CROSS JOIN element AS e ON e.id = f.rowid CROSS JOIN document AS d ON d.doc = (f.rowid >> "
    "24)"
    " WHERE element_fts MATCH ?1 AND (?2 = '' OR e.type = ?2) AND (?3 = '' OR d.source = ?3)"
    " AND (?4 = '' OR d.media_type = ?4) ORDER BY f.rank LIMIT ?8 OFFSET ?9";

struct Term {
  std::string text;
  bool prefix = false;
};

struct Alternative {
  std::vector<Term> wanted, unwanted;
};

bool IsSpace(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= 0x20 || byte == 0x7F;
}

// Whether the index could have a token of it: a letter, a digit, or a character that is not ASCII.
bool HasWord(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
  });
}

// Reads a query term by term.
class QueryReader {
 public:
  explicit QueryReader(std::string_view text) : rest_(text) {}

  std::vector<Alternative> Read() {
    std::vector<Alternative> alternatives(1);
    while (SkipSpace()) {
      const bool negated = rest_.size() > 1 && rest_[0] == '-';
      if (negated) rest_.remove_prefix(1);
      const bool quoted = rest_[0] == '"';
      Term term = quoted ? Quoted() : Word();
      if (!quoted && !negated && term.text == "OR" && !term.prefix) {
        alternatives.emplace_back();
      } else if (HasWord(term.text)) {
        auto& list = negated ? alternatives.back().unwanted : alternatives.back().wanted;
        list.push_back(std::move(term));
      }
    }
    std::erase_if(alternatives, [](const Alternative& a) { return a.wanted.empty() && a.unwanted.empty(); });
    return alternatives;
  }

 private:
  bool SkipSpace() {
    while (!rest_.empty() && IsSpace(rest_[0])) rest_.remove_prefix(1);
    return !rest_.empty();
  }
  bool TakeStar() {
    const bool star = !rest_.empty() && rest_[0] == '*';
    if (star) rest_.remove_prefix(1);
    return star;
  }
  // A quote that is never closed reaches to the end.
  Term Quoted() {
    const std::size_t end = std::min(rest_.find('"', 1), rest_.size());
    Term term{std::string(rest_.substr(1, end - 1)), false};
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    term.prefix = TakeStar();
    return term;
  }
  Term Word() {
    std::size_t end = 0;
    while (end < rest_.size() && !IsSpace(rest_[end]) && rest_[end] != '"') ++end;
    std::string_view word = rest_.substr(0, end);
    rest_.remove_prefix(end);
    const bool prefix = word.size() > 1 && word.back() == '*';
    while (!word.empty() && word.back() == '*') word.remove_suffix(1);
    return {std::string(word), prefix};
  }
  std::string_view rest_;
};

// FTS5 takes anything between double quotes as text, but for a zero byte. No term contains a double quote.
void AppendTerm(const Term& term, std::string& out) {
  out += '"';
  for (const char c : term.text) out += IsSpace(c) ? ' ' : c;
  out += term.prefix ? "\"*" : "\"";
}

void AppendTerms(const std::vector<Term>& terms, std::string_view between, std::string& out) {
  for (std::size_t i = 0; i < terms.size(); ++i) {
    if (i > 0) out += between;
    AppendTerm(terms[i], out);
  }
}

Result<void> CheckRequest(const SearchRequest& request) {
  const auto wrong = [](std::string what) { return fail(ErrorCode::kInvalidArgument, std::move(what)); };
  if (request.limit < 1 || request.limit > 1000) return wrong("limit must be from 1 to 1000");
  if (request.offset < 0 || request.offset > 100'000) return wrong("offset must be from 0 to 100000");
  if (request.snippet_words < 1 || request.snippet_words > 64) return wrong("snippet words must be from 1 to 64");
  if (!request.type.empty() && !ParseElementType(request.type)) {
    return wrong("unknown element type '" + request.type +
                 "'; some are paragraph, header, table_cell, list_item, root");
  }
  return {};
}

std::string OneLine(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const bool space = IsSpace(c);
    if (!space) line += c;
    if (space && !line.empty() && line.back() != ' ') line += ' ';
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

SearchHit HitOf(const SqlRow& row) {
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
  hit.snippet = OneLine(row.text(9));
  hit.score = -row.real(10);
  return hit;
}

}  // namespace

Result<std::string> TranslateQuery(std::string_view query) {
  const auto wrong = [](const char* what) { return fail(ErrorCode::kInvalidArgument, what); };
  if (query.size() > kMaxQuery) return wrong("the query is longer than 4096 bytes");
  const std::vector<Alternative> alternatives = QueryReader(query).Read();
  if (alternatives.empty()) return wrong("the query has no word to look for");
  std::size_t terms = 0;
  std::string out;
  for (const Alternative& alternative : alternatives) {
    terms += alternative.wanted.size() + alternative.unwanted.size();
    if (terms > kMaxTerms) return wrong("the query has more than 64 words");
    if (alternative.wanted.empty()) return wrong("the query only excludes words; add one to look for");
    if (!out.empty()) out += " OR ";
    out += "((";
    AppendTerms(alternative.wanted, " ", out);
    out += ')';
    if (!alternative.unwanted.empty()) {
      out += " NOT (";
      AppendTerms(alternative.unwanted, " OR ", out);
      out += ')';
    }
    out += ')';
  }
  return out;
}

Result<SearchAnswer> Search(storage::Storage& storage, const SearchRequest& request) {
  MILLRACE_TRY(CheckRequest(request));
  MILLRACE_ASSIGN(const std::string match, TranslateQuery(request.query));
  SearchAnswer answer;
  MILLRACE_TRY(storage.Read([&](SqlSession& sql) {
    const SqlValue values[] = {match,
                               request.type,
                               request.source,
                               request.media_type,
                               request.mark_begin,
                               request.mark_end,
                               std::int64_t{request.snippet_words},
                               std::int64_t{request.limit} + 1,
                               std::int64_t{request.offset}};
    return sql.query(kSearch, values, [&](const SqlRow& row) {
      answer.more = answer.hits.size() == static_cast<std::size_t>(request.limit);
      if (!answer.more) answer.hits.push_back(HitOf(row));
      return !answer.more;
    });
  }));
  return answer;
}

}  // namespace millrace::documents
