#include "pipelines/documents/snippet.h"

#include <algorithm>

#include "base/try.h"

namespace millrace::documents {
namespace {

constexpr int kNewPhrase = 1000;  // what a phrase adds to a window where it stands for the first time
constexpr int kSentence = 100, kFirstSentence = 120;

struct Match {
  std::size_t phrase = 0;
  int begin = 0, end = 0;  // words
};

struct Place {
  std::size_t begin = 0, end = 0;  // bytes
};

// A text's words and where the phrases stand among them.
struct Column {
  std::string_view text;
  std::vector<Place> places;
  std::vector<Match> matches;  // by begin, then phrase
  std::vector<int> sentences;  // words they begin with

  [[nodiscard]] int size() const { return static_cast<int>(places.size()); }
};

// After a full stop or a colon and white space.
bool BeginsSentence(std::string_view text, std::size_t word) {
  std::size_t end = word;
  while (end > 0 && (text[end - 1] == ' ' || text[end - 1] == '\t' || text[end - 1] == '\n' || text[end - 1] == '\r'))
    --end;
  return end > 0 && end != word && (text[end - 1] == '.' || text[end - 1] == ':');
}

bool Stands(const Phrase& phrase, std::span<const std::string> words) {
  const std::size_t size = phrase.words.size();
  if (size == 0 || size > words.size()) return false;
  for (std::size_t i = 0; i < size; ++i) {
    const bool prefix = phrase.prefix && i + 1 == size;
    if (prefix ? !words[i].starts_with(phrase.words[i]) : words[i] != phrase.words[i]) return false;
  }
  return true;
}

Result<Column> ReadColumn(std::string_view text, std::span<const Phrase> phrases) {
  MILLRACE_ASSIGN(storage::Tokenizer * tokenizer, ThreadTokenizer());
  Column column;
  column.text = text;
  std::vector<std::string> words;
  MILLRACE_TRY(tokenizer->Split(text, storage::Tokenizer::Text::kDocument, [&](const storage::Token& token) {
    if (words.empty() || BeginsSentence(text, token.begin)) column.sentences.push_back(static_cast<int>(words.size()));
    column.places.push_back({token.begin, token.end});
    words.emplace_back(token.word);
  }));
  for (std::size_t at = 0; at < words.size(); ++at) {
    for (std::size_t i = 0; i < phrases.size(); ++i) {
      if (!Stands(phrases[i], std::span(words).subspan(at))) continue;
      const int begin = static_cast<int>(at);
      column.matches.push_back({i, begin, begin + static_cast<int>(phrases[i].words.size())});
    }
  }
  return column;
}

struct Window {
  const Column* column = nullptr;
  int begin = 0;
  int score = 0;
};

// Scores the window that begins with the word `begin`; the one in the result has its matches in the middle.
Window Score(const Column& column, int begin, int words, std::size_t phrases) {
  std::vector<bool> seen(phrases, false);
  Window window{&column, 0, 0};
  int first = -1, last = 0;
  auto at = std::lower_bound(column.matches.begin(), column.matches.end(), begin,
                             [](const Match& match, int word) { return match.begin < word; });
  for (; at != column.matches.end() && at->begin < begin + words; ++at) {
    const Match& match = *at;
    window.score += seen[match.phrase] ? 1 : kNewPhrase;
    seen[match.phrase] = true;
    if (first < 0) first = match.begin;
    last = match.end;
  }
  window.begin = std::max(0, std::min(first - (words - (last - first)) / 2, column.size() - words));
  return window;
}

void Consider(const Column& column, int words, std::size_t phrases, Window& best) {
  for (const Match& match : column.matches) {
    const Window window = Score(column, match.begin, words, phrases);
    if (window.score > best.score) best = window;
    if (column.size() <= words) continue;
    const auto after = std::upper_bound(column.sentences.begin(), column.sentences.end(), match.begin);
    if (after == column.sentences.begin() || *(after - 1) == match.begin) continue;
    Window sentence = Score(column, *(after - 1), words, phrases);
    sentence.begin = *(after - 1);
    sentence.score += sentence.begin == 0 ? kFirstSentence : kSentence;
    if (sentence.score > best.score) best = sentence;
  }
}

// Matches that overlap are marked as one.
std::vector<Match> Joined(const std::vector<Match>& matches, int from) {
  std::vector<Match> joined;
  for (const Match& match : matches) {
    if (!joined.empty() && match.begin < joined.back().end) {
      joined.back().end = std::max(joined.back().end, match.end);
    } else {
      joined.push_back(match);
    }
  }
  std::erase_if(joined, [&](const Match& match) { return match.begin < from; });
  return joined;
}

std::string Render(const Column& column, int begin, const SnippetStyle& style) {
  const int end = std::min(begin + style.words, column.size());
  std::string out = begin > 0 ? "..." : "";
  std::size_t at = begin > 0 ? column.places[static_cast<std::size_t>(begin)].begin : 0;
  const auto copy_to = [&](std::size_t to) {
    out += column.text.substr(at, to - at);
    at = to;
  };
  for (const Match& match : Joined(column.matches, begin)) {
    if (match.begin >= end) break;
    copy_to(column.places[static_cast<std::size_t>(match.begin)].begin);
    out += style.mark_begin;
    copy_to(column.places[static_cast<std::size_t>(std::min(match.end, end)) - 1].end);
    out += style.mark_end;
  }
  const bool cut = end < column.size();
  copy_to(cut ? column.places[static_cast<std::size_t>(end) - 1].end : column.text.size());
  return cut ? out + "..." : out;
}

}  // namespace

Result<std::string> MakeSnippet(std::span<const std::string_view> texts, std::span<const Phrase> phrases,
                                const SnippetStyle& style) {
  std::vector<Column> columns;
  for (const std::string_view text : texts) {
    MILLRACE_ASSIGN(Column column, ReadColumn(text, phrases));
    columns.push_back(std::move(column));
  }
  if (columns.empty()) return std::string();
  Window best{&columns.front(), 0, 0};
  for (const Column& column : columns) Consider(column, style.words, phrases.size(), best);
  return Render(*best.column, best.begin, style);
}

Result<bool> AnyStandsIn(std::string_view text, std::span<const Phrase> phrases) {
  MILLRACE_ASSIGN(const Column column, ReadColumn(text, phrases));
  return !column.matches.empty();
}

}  // namespace millrace::documents
