#include "cli/search_hint.h"

#include <fmt/format.h>

#include <cctype>

#include "pipelines/documents/search.h"
#include "pipelines/documents/store.h"

namespace millrace::cli {
namespace {

constexpr std::size_t kWordLetters = 5;

bool Finds(storage::Storage& storage, const std::string& query) {
  documents::SearchRequest request;
  request.query = query;
  request.limit = 1;
  const auto answer = documents::Search(storage, request);
  return answer && !answer->hits.empty();
}

}  // namespace

std::string PhraseOf(std::string_view text) {
  std::string single;
  std::string previous;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    while (end < text.size() && std::isalpha(static_cast<unsigned char>(text[end])) != 0) ++end;
    const std::string word(text.substr(at, end - at));
    const bool ends_clean = end == text.size() || text[end] == ' ';
    const bool good = word.size() >= kWordLetters && word.size() <= 16 && (at == 0 || text[at - 1] == ' ');
    if (good && !previous.empty()) return previous + " " + word;
    if (good && single.empty() && (ends_clean || text[end] == '.' || text[end] == ',')) single = word;
    previous = good && ends_clean ? word : "";
    at = end + 1;
  }
  return single;
}

std::string FindSearchHint(storage::Storage& storage) {
  documents::DocumentFilter filter;
  filter.status = documents::DocumentStatus::kParsed;
  filter.limit = 30;
  const auto list = documents::ListDocuments(storage, filter);
  if (!list) return "";
  std::string single;
  for (const documents::DocumentRow& document : *list) {
    const auto elements = documents::ListElements(storage, document.document_id, 0, 40);
    if (!elements) continue;
    for (const documents::ElementRow& row : *elements) {
      const std::string phrase = PhraseOf(row.element.text);
      if (phrase.empty()) continue;
      const bool two = phrase.find(' ') != std::string::npos;
      if (two && Finds(storage, fmt::format("\"{}\"", phrase))) return fmt::format("\"{}\"", phrase);
      if (!two && single.empty() && Finds(storage, phrase)) single = phrase;
    }
  }
  return single;
}

}  // namespace millrace::cli
