#include "pipelines/documents/parsers/html_flow.h"

#include "base/json.h"
#include "pipelines/documents/parsers/plain_text.h"

namespace millrace::documents {
namespace {

bool White(char c) { return KindOfByte(c) == ByteKind::kWhite; }

// The length of the white space character at `at`, or 0 when there is none.
std::size_t WhiteAt(std::string_view text, std::size_t at) {
  const ByteKind kind = KindOfByte(text[at]);
  if (kind == ByteKind::kWhite) return 1;
  return kind == ByteKind::kMaybe && at + 1 < text.size() && text[at + 1] == '\xA0' ? 2 : 0;
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
    at = PlainTextEnd(text, at + 1);
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
