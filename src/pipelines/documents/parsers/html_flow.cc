#include "pipelines/documents/parsers/html_flow.h"

#include <array>
#include <cstdint>
#include <cstring>

#include "base/json.h"

namespace millrace::documents {
namespace {

enum : std::uint8_t { kPlain, kWhite, kMaybe };

constexpr auto kBytes = [] {
  std::array<std::uint8_t, 256> bytes{};
  for (const char c : {' ', '\t', '\n', '\r', '\f', '\v', '\0'}) bytes[static_cast<unsigned char>(c)] = kWhite;
  bytes[0xC2] = kMaybe;  // of a no-break space
  return bytes;
}();

std::uint8_t KindOf(char c) { return kBytes[static_cast<unsigned char>(c)]; }
bool White(char c) { return KindOf(c) == kWhite; }

// The length of the white space character at `at`, or 0 when there is none.
std::size_t WhiteAt(std::string_view text, std::size_t at) {
  const std::uint8_t kind = KindOf(text[at]);
  if (kind == kWhite) return 1;
  return kind == kMaybe && at + 1 < text.size() && text[at + 1] == '\xA0' ? 2 : 0;
}

// A mask with the high bit of every byte of `word` that is zero.
[[gnu::always_inline]] inline std::uint64_t ZeroBytes(std::uint64_t word) {
  constexpr std::uint64_t kLow = 0x7F7F7F7F7F7F7F7F;
  return ~(((word & kLow) + kLow) | word | kLow);
}

// Whether eight bytes are words with one space between them, as far as these bytes tell.
[[gnu::always_inline]] inline bool PlainWord(std::uint64_t word) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  const std::uint64_t spaces = ZeroBytes(word ^ (kOnes * ' '));
  const std::uint64_t controls = ZeroBytes(word & (kOnes * 0xE0));
  const std::uint64_t maybe = ZeroBytes(word ^ (kOnes * 0xC2));
  return ((spaces & (spaces >> 8)) | controls | maybe) == 0;
}

bool PlainAt(std::string_view text, std::size_t at) { return at < text.size() && KindOf(text[at]) == kPlain; }

std::uint64_t Eight(std::string_view text, std::size_t at) {
  std::uint64_t word = 0;
  std::memcpy(&word, text.data() + at, 8);
  return word;
}

// Passes over plain text eight bytes at a time, as far as that goes.
std::size_t PlainWordsEnd(std::string_view text, std::size_t at) {
  for (; at + 8 <= text.size(); at += 8) {
    if (!PlainWord(Eight(text, at)) || (text[at + 7] == ' ' && !PlainAt(text, at + 8))) return at;
  }
  // The last eight once more, or for the first time.
  const bool plain = text.size() >= 8 && PlainWord(Eight(text, text.size() - 8)) && text.back() != ' ';
  return plain ? text.size() : at;
}

// Where text that needs no collapsing ends: words with one space between them. The byte before `at` is no white space.
std::size_t PlainEnd(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    at = PlainWordsEnd(text, at);
    for (int i = 0; i < 8 && at < text.size(); ++i) {
      if (KindOf(text[at]) == kPlain) {
        ++at;
      } else if (text[at] == ' ' && PlainAt(text, at + 1)) {
        at += 2;
      } else {
        return at;
      }
    }
  }
  return at;
}

}  // namespace

std::string_view TrimHtml(std::string_view text) {
  while (!text.empty() && White(text.front())) text.remove_prefix(1);
  while (!text.empty() && White(text.back())) text.remove_suffix(1);
  return text;
}

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + 32) : text[i];
    if (c != lower[i]) return false;
  }
  return true;
}

bool StartsIgnoringCase(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() && EqualsIgnoringCase(text.substr(0, lower.size()), lower);
}

std::string JoinObjects(std::string first, std::string_view second) {
  if (first.empty()) return std::string(second);
  if (second.empty()) return first;
  first.back() = ',';
  first += second.substr(1);
  return first;
}

void HtmlFlow::Append(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (const std::size_t white = WhiteAt(text, at); white != 0) {
      space_ = true;
      at += white;
      continue;
    }
    const std::size_t begin = at;
    at = PlainEnd(text, at + 1);
    if (space_ && !text_.empty() && !White(text_.back())) text_ += ' ';
    space_ = false;
    text_.append(text, begin, at - begin);
  }
}

void HtmlFlow::AppendAsIs(std::string_view text) {
  if (space_ && !text_.empty()) text_ += ' ';
  space_ = false;
  text_ += text;
}

void HtmlFlow::Break() {
  if (!text_.empty()) text_ += '\n';
  space_ = false;
}

void HtmlFlow::OpenLink(std::string_view href) {
  href_ = href;
  // The white space before a link is not part of it.
  if (space_ && !text_.empty() && !White(text_.back())) text_ += ' ';
  space_ = false;
  links_.push_back({href, text_.size()});
}

// A link without text has nothing to stand for: an anchor, or one around an image, which knows its target.
void HtmlFlow::CloseLink() {
  href_ = {};
  if (links_.empty() || links_.back().end != std::string::npos) return;
  if (links_.back().begin >= text_.size()) {
    links_.pop_back();
  } else {
    links_.back().end = text_.size();
  }
}

std::string_view HtmlFlow::Text(bool as_is) const {
  std::string_view text = text_;
  if (as_is) {
    const auto line_end = [](char c) { return c == '\n' || c == '\r'; };
    while (!text.empty() && line_end(text.front())) text.remove_prefix(1);
    while (!text.empty() && White(text.back())) text.remove_suffix(1);
    return text;
  }
  return TrimHtml(text);
}

bool HtmlFlow::OneLink() const {
  return links_.size() == 1 && links_[0].begin == 0 && links_[0].end >= TrimHtml(text_).size();
}

std::string HtmlFlow::LinksJson() const {
  if (links_.empty()) return {};
  std::string json = R"({"links":[)";
  for (const Link& link : links_) {
    if (json.back() != '[') json += ',';
    json += base::JsonQuote(link.href);
  }
  return json + "]}";
}

void HtmlFlow::Clear() {
  const bool goes_on =
      !links_.empty() && links_.back().end == std::string::npos && links_.back().begin >= TrimHtml(text_).size();
  const std::string_view href = goes_on ? links_.back().href : std::string_view();
  text_.clear();
  space_ = false;
  links_.clear();
  asides_.clear();
  if (goes_on) links_.push_back({href, 0});
}

}  // namespace millrace::documents
