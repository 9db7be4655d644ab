#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "pipelines/documents/parsers/charset.h"
#include "pipelines/documents/parsers/html_dom.h"
#include "pipelines/documents/parsers/html_flow.h"
#include "pipelines/documents/parsers/html_walk.h"
#include "pipelines/documents/parsers/parser.h"

namespace millrace::documents {
namespace {

constexpr std::size_t kPrescan = 128u << 10;  // bytes in which a charset may be declared
constexpr std::size_t kMaxOthers = 100;       // <meta> names kept without a member of their own
constexpr std::size_t kMaxValue = 4096;

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

std::string Collapsed(std::string_view text) {
  HtmlFlow flow;
  flow.Append(text);
  return std::string(flow.Text(false));
}

bool IsCharsetByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == ':' || c == '.' || c == '+';
}

// The value after `key` and an equals sign, quoted or not; empty when there is none.
std::string_view ValueAfter(std::string_view text, std::string_view lower_key) {
  for (std::size_t at = 0; at + lower_key.size() < text.size(); ++at) {
    if (!StartsIgnoringCase(text.substr(at), lower_key)) continue;
    std::string_view rest = TrimHtml(text.substr(at + lower_key.size()));
    if (rest.empty() || rest.front() != '=') continue;
    rest = TrimHtml(rest.substr(1));
    if (!rest.empty() && (rest.front() == '"' || rest.front() == '\'')) rest = TrimHtml(rest.substr(1));
    std::size_t end = 0;
    while (end < rest.size() && IsCharsetByte(rest[end])) ++end;
    if (end > 0) return rest.substr(0, end);
  }
  return {};
}

// The charset a document declares in its XML declaration or first <meta> that has one; comments apart.
std::string_view DeclaredCharset(std::string_view bytes) {
  bytes = bytes.substr(0, kPrescan);
  if (const std::string_view start = TrimHtml(bytes.substr(0, 1024)); start.starts_with("<?xml")) {
    const auto found = ValueAfter(start.substr(0, std::min(start.find('>'), start.size())), "encoding");
    if (!found.empty()) return found;
  }
  for (std::size_t at = bytes.find('<'); at != std::string_view::npos; at = bytes.find('<', at + 1)) {
    const std::string_view rest = bytes.substr(at);
    if (rest.starts_with("<!--")) {
      const std::size_t end = rest.find("-->", 2);
      if (end == std::string_view::npos) return {};
      at += end;
    } else if (StartsIgnoringCase(rest, "<meta")) {
      const auto found = ValueAfter(rest.substr(0, std::min<std::size_t>(rest.find('>'), 1024)), "charset");
      if (!found.empty()) return found;
    }
  }
  return {};
}

// The language of a tag such as "en-GB": "en"; empty when it is none.
std::string LanguageOf(std::string_view tag) {
  const std::string lower = Lower(TrimHtml(tag).substr(0, 64));
  const std::string primary = lower.substr(0, lower.find_first_of("-_,; "));
  const bool letters = primary.find_first_not_of("abcdefghijklmnopqrstuvwxyz") == std::string::npos;
  return letters && (primary.size() == 2 || primary.size() == 3) ? primary : std::string();
}

void SetOnce(std::string& member, std::string value) {
  if (member.empty()) member = std::move(value);
}

}  // namespace

void HtmlMetadata::Html(HtmlNode html) {
  SetOnce(found_.language, LanguageOf(html.HasAttribute("lang") ? html.Attribute("lang") : html.Attribute("xml:lang")));
}

void HtmlMetadata::Title(HtmlNode title) {
  std::string text;
  for (HtmlNode child = title.first_child(); child; child = child.next()) {
    if (child.tag() == HtmlTag::kText) text += child.text();
  }
  SetOnce(found_.title, Collapsed(text));
}

void HtmlMetadata::Meta(HtmlNode meta) {
  std::string content = Collapsed(meta.Attribute("content").substr(0, kMaxValue));
  if (content.empty()) return;
  for (const std::string_view attribute : {"name", "property", "http-equiv"}) {
    const std::string name = Lower(TrimHtml(meta.Attribute(attribute)).substr(0, 100));
    if (name.empty()) continue;
    Named(name, std::move(content));
    return;
  }
}

void HtmlMetadata::Named(std::string name, std::string content) {
  struct Known {
    std::string_view name;
    std::string DocumentMetadata::*member;
  };
  static constexpr std::array kKnown = {
      Known{"author", &DocumentMetadata::author},
      Known{"dc.creator", &DocumentMetadata::author},
      Known{"dcterms.creator", &DocumentMetadata::author},
      Known{"article:author", &DocumentMetadata::author},
      Known{"description", &DocumentMetadata::subject},
      Known{"dc.description", &DocumentMetadata::subject},
      Known{"keywords", &DocumentMetadata::keywords},
      Known{"generator", &DocumentMetadata::producer},
      Known{"dc.title", &DocumentMetadata::title},
      Known{"date", &DocumentMetadata::created},
      Known{"dc.date", &DocumentMetadata::created},
      Known{"dcterms.created", &DocumentMetadata::created},
      Known{"article:published_time", &DocumentMetadata::created},
      Known{"last-modified", &DocumentMetadata::modified},
      Known{"dcterms.modified", &DocumentMetadata::modified},
      Known{"article:modified_time", &DocumentMetadata::modified},
  };
  for (const Known& known : kKnown) {
    if (name != known.name) continue;
    SetOnce(found_.*known.member, std::move(content));
    return;
  }
  if (name == "og:title") {
    SetOnce(social_title_, std::move(content));
  } else if (name == "language" || name == "content-language" || name == "dc.language") {
    SetOnce(found_.language, LanguageOf(content));
  } else if (name != "content-type" && others_.size() < kMaxOthers) {
    for (const auto& other : others_) {
      if (other.first == name) return;
    }
    others_.emplace_back(std::move(name), std::move(content));
  }
}

void HtmlMetadata::Store(DocumentMetadata& metadata) const {
  for (const auto member : {&DocumentMetadata::title, &DocumentMetadata::author, &DocumentMetadata::subject,
                            &DocumentMetadata::keywords, &DocumentMetadata::created, &DocumentMetadata::modified,
                            &DocumentMetadata::producer, &DocumentMetadata::language}) {
    SetOnce(metadata.*member, found_.*member);
  }
  SetOnce(metadata.title, social_title_);
  std::string extra;
  for (const auto& [name, content] : others_) {
    extra += extra.empty() ? "{" : ",";
    extra += base::JsonQuote(name) + ":" + base::JsonQuote(content);
  }
  if (!extra.empty()) metadata.extra = JoinObjects(std::move(metadata.extra), extra + "}");
}

std::optional<ParseFailure> ParseHtml(const ParserInput& input, ElementSink& sink) {
  const DecodedText decoded = DecodeText(input.bytes, DeclaredCharset(input.bytes));
  if (decoded.lossy) sink.Warn("some bytes are not " + decoded.charset + " text; they were replaced");
  const HtmlDocument document(decoded.text, input.limits.max_depth, HtmlKeep::kText, input.limits.memory);
  HtmlMetadata found;
  HtmlWalk(sink, found).Run(document.root());
  DocumentMetadata& metadata = sink.metadata();
  SetOnce(metadata.media_type, "text/html");
  SetOnce(metadata.charset, decoded.charset);
  found.Store(metadata);
  if (document.flattened()) {
    sink.Warn("elements nested deeper than " + std::to_string(input.limits.max_depth) + " levels were flattened");
  }
  return std::nullopt;
}

}  // namespace millrace::documents
