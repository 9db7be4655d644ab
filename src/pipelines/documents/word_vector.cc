#include "pipelines/documents/word_vector.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "base/try.h"
#include "pipelines/documents/parser_protocol.h"
#include "pipelines/documents/words.h"

namespace millrace::documents {
namespace {

// Limits of PostgreSQL's tsvector.
constexpr std::size_t kMaxWord = 2046;
constexpr int kMaxPosition = 16'383;
constexpr std::size_t kMaxPlaces = 255;  // of one word
constexpr std::size_t kMaxVector = 1'000'000;
constexpr std::size_t kWordCost = 4, kPlaceCost = 2;  // bytes, besides the word's own

constexpr int kGap = 1;

void AppendQuoted(std::string_view word, std::string& out) {
  out += '\'';
  for (const char c : word) {
    if (c == '\'' || c == '\\') out += c;
    out += c;
  }
  out += '\'';
}

struct Places {
  std::size_t named = 0;  // of them, those in the name, which come first
  std::vector<int> at;
};

class VectorBuilder {
 public:
  Result<void> Add(std::string_view text, bool name) {
    MILLRACE_ASSIGN(storage::Tokenizer * tokenizer, ThreadTokenizer());
    MILLRACE_TRY(tokenizer->Split(text, storage::Tokenizer::Text::kDocument,
                                  [&](const storage::Token& token) { AddWord(CutUtf8(token.word, kMaxWord), name); }));
    position_ += kGap;
    return {};
  }

  [[nodiscard]] std::string Text() const {
    std::string out;
    for (const auto& [word, places] : words_) {
      if (!out.empty()) out += ' ';
      AppendQuoted(word, out);
      for (std::size_t i = 0; i < places.at.size(); ++i) {
        out += i == 0 ? ':' : ',';
        out += std::to_string(places.at[i]);
        if (i < places.named) out += 'A';
      }
    }
    return out;
  }

 private:
  void AddWord(std::string_view word, bool name) {
    ++position_;
    auto found = words_.find(std::string(word));
    if (found == words_.end()) {
      if (cost_ + word.size() + kWordCost > kMaxVector + kMaxVector / 25) return;
      cost_ += word.size() + kWordCost;
      found = words_.emplace(word, Places()).first;
    }
    Places& places = found->second;
    if (position_ > kMaxPosition || places.at.size() >= kMaxPlaces || cost_ + kPlaceCost > kMaxVector) return;
    cost_ += kPlaceCost;
    places.at.push_back(position_);
    if (name) ++places.named;
  }

  std::unordered_map<std::string, Places> words_;
  std::size_t cost_ = 0;
  int position_ = 0;
};

// Adds nothing for a term without words.
Result<void> AppendTerm(const Term& term, std::string_view before, std::string& out) {
  MILLRACE_ASSIGN(const Phrase phrase, PhraseOf(term));
  if (phrase.words.empty()) return {};
  if (!out.empty()) out += before;
  out += '(';
  for (std::size_t i = 0; i < phrase.words.size(); ++i) {
    if (i > 0) out += " <-> ";
    AppendQuoted(CutUtf8(phrase.words[i], kMaxWord), out);
  }
  out += phrase.prefix ? ":*)" : ")";
  return {};
}

}  // namespace

Result<std::string> WordVector(std::string_view name, std::string_view text) {
  VectorBuilder builder;
  if (!name.empty()) MILLRACE_TRY(builder.Add(name, true));
  MILLRACE_TRY(builder.Add(text, false));
  return builder.Text();
}

Result<std::string> WordQuery(std::span<const Alternative> query) {
  std::string out;
  for (const Alternative& alternative : query) {
    std::string wanted, unwanted;
    for (const Term& term : alternative.wanted) MILLRACE_TRY(AppendTerm(term, " & ", wanted));
    if (wanted.empty()) continue;
    for (const Term& term : alternative.unwanted) MILLRACE_TRY(AppendTerm(term, " | ", unwanted));
    if (!out.empty()) out += " | ";
    out += '(' + wanted + (unwanted.empty() ? "" : " & !(" + unwanted + ')') + ')';
  }
  return out;
}

void ArrayText::Add(std::optional<std::string_view> value) {
  text_ += text_.empty() ? '{' : ',';
  if (!value) {
    text_ += "NULL";
    return;
  }
  text_ += '"';
  for (const char c : *value) {
    if (c == '"' || c == '\\') text_ += '\\';
    text_ += c;
  }
  text_ += '"';
}

std::string_view ArrayText::Take() {
  text_ += text_.empty() ? "{}" : "}";
  return text_;
}

}  // namespace millrace::documents
