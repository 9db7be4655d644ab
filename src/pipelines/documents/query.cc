#include "pipelines/documents/query.h"

#include <algorithm>

namespace millrace::documents {
namespace {

constexpr std::size_t kMaxQuery = 4096;
constexpr std::size_t kMaxTerms = 64;

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
    while (!rest_.empty() && IsSpaceByte(rest_[0])) rest_.remove_prefix(1);
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
    while (end < rest_.size() && !IsSpaceByte(rest_[end]) && rest_[end] != '"') ++end;
    std::string_view word = rest_.substr(0, end);
    rest_.remove_prefix(end);
    const bool prefix = word.size() > 1 && word.back() == '*';
    while (!word.empty() && word.back() == '*') word.remove_suffix(1);
    return {std::string(word), prefix};
  }
  std::string_view rest_;
};

}  // namespace

bool IsSpaceByte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= 0x20 || byte == 0x7F;
}

Result<std::vector<Alternative>> ReadQuery(std::string_view query) {
  const auto wrong = [](const char* what) { return fail(ErrorCode::kInvalidArgument, what); };
  if (query.size() > kMaxQuery) return wrong("the query is longer than 4096 bytes");
  std::vector<Alternative> alternatives = QueryReader(query).Read();
  if (alternatives.empty()) return wrong("the query has no word to look for");
  std::size_t terms = 0;
  for (const Alternative& alternative : alternatives) {
    terms += alternative.wanted.size() + alternative.unwanted.size();
    if (terms > kMaxTerms) return wrong("the query has more than 64 words");
    if (alternative.wanted.empty()) return wrong("the query only excludes words; add one to look for");
  }
  return alternatives;
}

}  // namespace millrace::documents
