#include "pipelines/documents/detect.h"

#include <algorithm>
#include <array>

#include "pipelines/documents/detect_binary.h"
#include "pipelines/documents/parser_protocol.h"
#include "pipelines/documents/parsers/charset.h"
#include "pipelines/documents/parsers/csv_dialect.h"

namespace millrace::documents {
namespace {

constexpr std::size_t kHeadBytes = 64 << 10;
constexpr std::string_view kSpace = " \t\r\n\f\v";
constexpr std::array<std::string_view, 9> kFormatNames = {"text",       "markdown", "html", "csv",  "json",
                                                          "json_lines", "xml",      "docx", "empty"};

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool IsLetter(char c) { return Lower(c) >= 'a' && Lower(c) <= 'z'; }

std::string LowerCase(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), Lower);
  return out;
}

// A file name's ending behind the last dot, in lower case; empty without one.
std::string ExtensionOf(std::string_view name) {
  const std::size_t dot = name.find_last_of("./");
  return dot == std::string_view::npos || name[dot] == '/' || dot == 0 ? "" : LowerCase(name.substr(dot + 1));
}

template <std::size_t N>
bool IsOneOf(std::string_view text, const std::array<std::string_view, N>& list) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

// Names under which any text may come.
bool SaysNothing(std::string_view extension) {
  constexpr std::array<std::string_view, 6> kNames = {"", "txt", "text", "dat", "data", "asc"};
  return IsOneOf(extension, kNames);
}

std::string_view SkipSpace(std::string_view text) {
  const std::size_t at = text.find_first_not_of(kSpace);
  return at == std::string_view::npos ? std::string_view() : text.substr(at);
}

std::vector<std::string_view> Lines(std::string_view text, std::size_t max) {
  std::vector<std::string_view> lines;
  while (!text.empty() && lines.size() < max) {
    const std::size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (!lines.back().empty() && lines.back().back() == '\r') lines.back().remove_suffix(1);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

// What stands before the first element: declarations and comments. And that element's name, in lower case.
struct Prolog {
  bool xml = false;           // <?xml
  bool html_doctype = false;  // <!doctype html
  bool doctype = false;       // of something else
  std::string root;           // empty if none was found
};

Prolog ReadProlog(std::string_view text) {
  Prolog prolog;
  text = SkipSpace(text);
  prolog.xml = text.starts_with("<?xml") && text.size() > 5 && !IsLetter(text[5]);
  while (text.size() > 1 && text[0] == '<' && (text[1] == '?' || text[1] == '!')) {
    const bool comment = text.starts_with("<!--");
    const std::string start = LowerCase(text.substr(0, 14));
    if (start == "<!doctype html") {
      prolog.html_doctype = true;
    } else if (start.starts_with("<!doctype ")) {
      prolog.doctype = true;
    }
    std::size_t end = text.find(comment ? "-->" : ">");
    // An internal subset has tags of its own.
    const std::size_t subset = comment ? std::string_view::npos : text.substr(0, end).find('[');
    if (subset != std::string_view::npos && text[1] == '!') end = text.find(']', subset);
    if (end == std::string_view::npos) return prolog;
    text =
        SkipSpace(text.substr(text.find('>', end) == std::string_view::npos ? text.size() : text.find('>', end) + 1));
  }
  if (text.size() < 2 || text[0] != '<' || (!IsLetter(text[1]) && text[1] != '_')) return prolog;
  prolog.root = LowerCase(text.substr(1, text.find_first_of(" \t\r\n/>", 1) - 1));
  return prolog;
}

bool IsHtmlTag(std::string_view name) {
  constexpr std::array<std::string_view, 32> kTags = {
      "html",  "head", "body", "title", "meta", "link",   "script", "style", "div", "p",      "span",
      "table", "h1",   "h2",   "h3",    "h4",   "h5",     "h6",     "ul",    "ol",  "dl",     "a",
      "img",   "br",   "hr",   "pre",   "form", "center", "font",   "b",     "i",   "section"};
  return IsOneOf(name, kTags);
}

std::optional<Format> AsMarkup(std::string_view head, std::string_view extension) {
  constexpr std::array<std::string_view, 4> kHtmlNames = {"html", "htm", "xhtml", "shtml"};
  constexpr std::array<std::string_view, 9> kXmlNames = {"xml", "svg",  "xsd", "xsl", "xslt",
                                                         "rss", "atom", "rdf", "kml"};
  const Prolog prolog = ReadProlog(head);
  if (prolog.html_doctype || prolog.root == "html") return Format::kHtml;
  if (IsOneOf(extension, kHtmlNames) && head.find('<') != std::string_view::npos) return Format::kHtml;
  if (prolog.xml || (prolog.doctype && !prolog.root.empty())) return Format::kXml;
  if (prolog.root.empty()) return std::nullopt;
  if (IsOneOf(extension, kXmlNames)) return Format::kXml;
  if (!SaysNothing(extension)) return std::nullopt;
  const std::string lower = LowerCase(head);
  const bool has_html = lower.find("<html") != std::string::npos || lower.find("<body") != std::string::npos;
  if (IsHtmlTag(prolog.root)) {
    const bool closed = lower.find("</" + prolog.root + ">") != std::string::npos;
    return has_html || closed ? std::optional(Format::kHtml) : std::nullopt;
  }
  if (has_html) return Format::kHtml;
  return lower.find("</" + prolog.root) != std::string::npos ? std::optional(Format::kXml) : std::nullopt;
}

// The end of the JSON string that starts `text`; npos if it has none.
std::size_t StringEnd(std::string_view text) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return i;
    } else if (text[i] == '\n') {
      break;
    }
  }
  return std::string_view::npos;
}

// Whether an array starts as JSON's do, so that "[section]" and "[1] a footnote" are text.
bool StartsJsonArray(std::string_view text) {
  text = SkipSpace(text.substr(1));
  if (text.empty()) return false;
  if (text[0] == '{' || text[0] == '[') return true;
  std::size_t end = text.find_first_of(",] \t\r\n");
  if (text[0] == '"') end = StringEnd(text) == std::string_view::npos ? end : StringEnd(text) + 1;
  if (end == std::string_view::npos) return false;
  const std::string_view value = text.substr(0, end);
  const bool number = value.find_first_not_of("+-.0123456789eE") == std::string_view::npos;
  if (!number && value != "true" && value != "false" && value != "null" && !value.starts_with('"')) return false;
  const std::string_view rest = SkipSpace(text.substr(end));
  return rest.starts_with(',') || (rest.starts_with(']') && SkipSpace(rest.substr(1)).empty());
}

bool StartsJsonObject(std::string_view text) {
  text = SkipSpace(text.substr(1));
  if (text.starts_with('}')) return SkipSpace(text.substr(1)).empty();
  if (!text.starts_with('"')) return false;
  const std::size_t end = StringEnd(text);
  return end != std::string_view::npos && SkipSpace(text.substr(end + 1)).starts_with(':');
}

// Every line a value of its own.
bool AreJsonLines(std::string_view head, bool whole) {
  auto lines = Lines(head, 20);
  if (!whole && lines.size() < 20 && !lines.empty()) lines.pop_back();  // cut off
  std::size_t values = 0;
  for (const std::string_view line : lines) {
    const std::string_view text = SkipSpace(line);
    if (text.empty()) continue;
    const std::string_view end = text.substr(0, text.find_last_not_of(kSpace) + 1);
    if (end.size() < 2 || (end[0] != '{' && end[0] != '[') || end.back() != (end[0] == '{' ? '}' : ']')) return false;
    ++values;
  }
  return values > 1;
}

std::optional<Format> AsJson(std::string_view head, bool whole, std::string_view extension) {
  constexpr std::array<std::string_view, 5> kNames = {"json", "geojson", "jsonld", "webmanifest", "ipynb"};
  if (extension == "jsonl" || extension == "ndjson") return Format::kJsonLines;
  const bool named = IsOneOf(extension, kNames);
  const std::string_view text = SkipSpace(head);
  if (text.empty() || (text[0] != '{' && text[0] != '[')) return named ? std::optional(Format::kJson) : std::nullopt;
  if (!named) {
    if (!SaysNothing(extension)) return std::nullopt;
    if (text[0] == '{' ? !StartsJsonObject(text) : !StartsJsonArray(text)) return std::nullopt;
  }
  return AreJsonLines(text, whole) ? Format::kJsonLines : Format::kJson;
}

// An e-mail or news message: header lines from the start, two of them known ones.
bool IsMessage(std::string_view head, std::string_view extension) {
  constexpr std::array<std::string_view, 9> kKnown = {
      "from", "to", "subject", "date", "message-id", "received", "return-path", "mime-version", "delivered-to"};
  const bool named = extension == "eml" || extension == "mbox" || extension == "mht";
  if (!named && !extension.empty()) return false;
  if (extension == "mbox" && head.starts_with("From ")) return true;
  int known = 0;
  for (const std::string_view line : Lines(head, 60)) {
    if (line.empty()) break;
    if (line[0] == ' ' || line[0] == '\t' || line.starts_with("From ") || line.starts_with(">From ")) continue;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || line.substr(0, colon).find(' ') != std::string_view::npos) return false;
    known += IsOneOf(LowerCase(line.substr(0, colon)), kKnown) ? 1 : 0;
  }
  return known >= 2;
}

bool LooksLikeMarkdown(std::string_view head) {
  int headers = 0, others = 0;
  for (const std::string_view line : Lines(head, 500)) {
    const std::size_t marks = line.find_first_not_of('#');
    const bool header = marks != std::string_view::npos && marks >= 1 && marks <= 6 && line[marks] == ' ';
    if (line.starts_with("#!")) return false;
    headers += header ? 1 : 0;
    others += line.starts_with("```") || line.find("](http") != std::string_view::npos ? 1 : 0;
  }
  return headers >= 2 && others >= 1;
}

Format TextFormat(std::string_view head, bool whole, std::string_view extension) {
  constexpr std::array<std::string_view, 4> kMarkdownNames = {"md", "markdown", "mkd", "mdown"};
  constexpr std::array<std::string_view, 3> kTableNames = {"csv", "tsv", "tab"};
  if (IsOneOf(extension, kMarkdownNames)) return Format::kMarkdown;
  if (const auto markup = AsMarkup(head, extension)) return *markup;
  if (const auto json = AsJson(head, whole, extension)) return *json;
  if (IsOneOf(extension, kTableNames)) return Format::kCsv;
  if (!SaysNothing(extension)) return Format::kText;
  if (LooksLikeMarkdown(head)) return Format::kMarkdown;
  return SniffCsv(head).certain ? Format::kCsv : Format::kText;
}

}  // namespace

std::string_view FormatName(Format format) { return kFormatNames.at(static_cast<std::size_t>(format)); }

Detected Detect(std::string_view bytes, std::string_view name) {
  if (bytes.empty()) return {Format::kEmpty, std::nullopt};
  const std::string extension = ExtensionOf(name);
  if (auto binary = DetectBinary(bytes, extension)) return *binary;
  if (LooksBinary(bytes)) return {Format::kText, UnknownBinary(bytes)};
  std::string_view head = bytes.substr(0, kHeadBytes);
  if (head.starts_with("\xef\xbb\xbf")) head.remove_prefix(3);
  std::string decoded;
  if (!IsUtf8(CutUtf8(head, kHeadBytes - 8))) head = decoded = DecodeForLooking(head);
  if (SkipSpace(head).empty() && bytes.size() <= kHeadBytes) return {Format::kText, std::nullopt};
  if (IsMessage(head, extension)) {
    return {Format::kText, ParseFailure{"unsupported_format", "e-mail is not read by this version"}};
  }
  return {TextFormat(head, bytes.size() <= kHeadBytes, extension), std::nullopt};
}

ParseFunction ParserOf(Format format) {
  switch (format) {
    case Format::kText:
      return ParseText;
    case Format::kMarkdown:
      return ParseMarkdown;
    case Format::kHtml:
      return ParseHtml;
    case Format::kCsv:
      return ParseCsv;
    case Format::kJson:
      return ParseJsonDocument;
    case Format::kJsonLines:
      return ParseJsonLines;
    case Format::kXml:
      return ParseXml;
    case Format::kDocx:
      return ParseDocx;
    case Format::kEmpty:
      break;
  }
  return nullptr;
}

}  // namespace millrace::documents
