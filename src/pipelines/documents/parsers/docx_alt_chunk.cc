#include "pipelines/documents/parsers/docx_alt_chunk.h"

#include <algorithm>

#include "pipelines/documents/parsers/ooxml_package.h"

namespace millrace::documents {
namespace {

// Puts the elements of a document into another one's tree.
class BelowSink : public ElementSink {
 public:
  BelowSink(ElementSink& outer, std::int32_t parent, const std::string& location)
      : outer_(outer), parent_(parent), location_(location) {}
  std::int32_t Add(std::int32_t parent, ElementType type, std::string_view text, std::string_view location, int level,
                   std::string_view metadata) override {
    const std::string where = location.empty() ? location_ : location_ + " " + std::string(location);
    return outer_.Add(parent == 0 ? parent_ : parent, type, text, where, level, metadata);
  }
  void Warn(std::string warning) override { outer_.Warn(location_ + ": " + warning); }
  [[nodiscard]] DocumentMetadata& metadata() override { return metadata_; }

 private:
  ElementSink& outer_;
  std::int32_t parent_;
  const std::string& location_;
  DocumentMetadata metadata_;
};

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return lower;
}

// One line without its end; moves `at` behind it.
std::string_view TakeLine(std::string_view text, std::size_t& at) {
  const std::size_t end = std::min(text.find('\n', at), text.size());
  std::string_view line = text.substr(at, end - at);
  at = std::min(end + 1, text.size());
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::string DecodeQuotedPrintable(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '=') {
      out += text[i];
    } else if (i + 1 < text.size() && text[i + 1] == '\n') {
      i += 1;
    } else if (i + 2 < text.size() && text[i + 1] == '\r' && text[i + 2] == '\n') {
      i += 2;
    } else if (i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 && HexDigit(text[i + 2]) >= 0) {
      out += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string DecodeBase64(std::string_view text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::size_t digit = kDigits.find(c);
    if (c == '=') break;
    if (digit == std::string_view::npos) continue;
    bits = (bits << 6 | static_cast<unsigned>(digit)) & 0xFFFFFF;
    if (++count % 4 == 0) {
      out += {static_cast<char>(bits >> 16), static_cast<char>(bits >> 8), static_cast<char>(bits)};
    }
  }
  if (count % 4 == 2) out += static_cast<char>(bits >> 4);
  if (count % 4 == 3) out += {static_cast<char>(bits >> 10), static_cast<char>(bits >> 2)};
  return out;
}

// Reads header lines up to the empty one, folded ones joined, in lower case.
std::string TakeHeaders(std::string_view message, std::size_t& at) {
  std::string headers;
  while (at < message.size()) {
    const std::string_view line = TakeLine(message, at);
    if (line.empty()) break;
    if (line.front() != ' ' && line.front() != '\t') headers += '\n';
    headers += Lower(line);
  }
  return headers + "\n";
}

std::string_view HeaderValue(std::string_view headers, std::string_view name) {
  const std::size_t found = headers.find("\n" + std::string(name) + ":");
  if (found == std::string_view::npos) return {};
  std::size_t start = found + name.size() + 2;
  while (start < headers.size() && (headers[start] == ' ' || headers[start] == '\t')) ++start;
  return headers.substr(start, headers.find('\n', start) - start);
}

std::string DecodeBody(std::string_view body, std::string_view headers) {
  const std::string_view encoding = HeaderValue(headers, "content-transfer-encoding");
  if (encoding.starts_with("quoted-printable")) return DecodeQuotedPrintable(body);
  if (encoding.starts_with("base64")) return DecodeBase64(body);
  return std::string(body);
}

}  // namespace

std::string HtmlOfMime(std::string_view message) {
  std::size_t at = 0;
  const std::string headers = TakeHeaders(message, at);
  if (HeaderValue(headers, "content-type").starts_with("text/html")) return DecodeBody(message.substr(at), headers);
  // Boundaries are told by how their lines begin: what follows one is the headers of a part.
  while (at < message.size()) {
    const std::string_view line = TakeLine(message, at);
    if (!line.starts_with("--") || line.size() < 3) continue;
    std::size_t body = at;
    const std::string part = TakeHeaders(message, body);
    if (!HeaderValue(part, "content-type").starts_with("text/html")) continue;
    const std::size_t end = message.find("\n" + std::string(line), body);
    return DecodeBody(message.substr(body, end == std::string_view::npos ? end : end - body), part);
  }
  return {};
}

void ReadAltChunk(ZipArchive& zip, const std::string& part, std::int32_t parent, const std::string& location,
                  const ParseLimits& limits, ElementSink& sink) {
  const std::string named = "the embedded document '" + part + "' (altChunk) was left out: ";
  auto bytes = zip.Read(part);
  if (!bytes) return sink.Warn(named + bytes.error().message);
  std::string head = Lower(std::string_view(*bytes).substr(0, 4096));
  const bool mime = head.find("mime-version:") != std::string::npos && !head.starts_with("<");
  const bool html = !mime && (head.find("<html") != std::string::npos || head.find("<body") != std::string::npos ||
                              Lower(part).ends_with("htm") || Lower(part).ends_with("html"));
  if (!mime && !html) return sink.Warn(named + "it is neither HTML nor MHT");
  const std::string text = mime ? HtmlOfMime(*bytes) : std::move(*bytes);
  if (text.empty()) return sink.Warn(named + "it has no HTML part");
  BelowSink below(sink, parent, location);
  const std::string name(BaseName(part));
  if (auto failure = ParseHtml({text, name, limits}, below)) sink.Warn(named + failure->message);
}

}  // namespace millrace::documents
