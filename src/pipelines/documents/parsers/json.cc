#include <optional>
#include <string>
#include <string_view>

#include "pipelines/documents/parsers/charset.h"
#include "pipelines/documents/parsers/json_elements.h"
#include "pipelines/documents/parsers/parser.h"

namespace millrace::documents {
namespace {

constexpr std::string_view kWhite = " \t\r\n";

// Where the object or array at the beginning ends, by its brackets alone; npos if it does not.
std::size_t BracketsEnd(std::string_view text) {
  std::size_t depth = 0;
  bool string = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (string) {
      if (c == '\\') ++at;
      if (c == '"') string = false;
    } else if (c == '"') {
      string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      return at + 1;
    }
  }
  return std::string_view::npos;
}

// Whether objects or arrays stand one after the other: written by programs that append to a file.
bool IsSequence(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kWhite);
  if (begin == std::string_view::npos || (text[begin] != '{' && text[begin] != '[')) return false;
  const std::size_t length = BracketsEnd(text.substr(begin));
  if (length == std::string_view::npos) return false;
  const std::size_t next = text.find_first_not_of(kWhite, begin + length);
  return next != std::string_view::npos && (text[next] == '{' || text[next] == '[');
}

ParseFailure Broken(std::string_view text, std::size_t offset, const std::string& what) {
  return {"broken", JsonPosition(text, offset) + ": " + what};
}

std::optional<ParseFailure> AddSequence(std::string_view text, int max_depth, ElementSink& sink) {
  std::size_t values = 0, line = 1, counted = 0;
  std::size_t at = text.find_first_not_of(kWhite);
  for (; at < text.size(); ++values) {
    for (; counted < at; ++counted) line += text[counted] == '\n' ? 1 : 0;
    std::size_t used = 0;
    const JsonTarget target{0, ElementType::kRecord, "line " + std::to_string(line)};
    if (auto failure = AddJson(text.substr(at), target, max_depth, sink, used)) {
      return Broken(text, at + failure->offset, failure->what);
    }
    at = text.find_first_not_of(kWhite, at + used);
  }
  sink.Warn("not one JSON value but " + std::to_string(values) + ", one after the other");
  return std::nullopt;
}

}  // namespace

std::optional<ParseFailure> ParseJsonDocument(const ParserInput& input, ElementSink& sink) {
  const DecodedText decoded = DecodeText(input.bytes);
  if (decoded.lossy) sink.Warn("some bytes are not " + decoded.charset + " text; they were replaced");
  if (sink.metadata().media_type.empty()) sink.metadata().media_type = "application/json";
  sink.metadata().charset = decoded.charset;
  const std::string_view text = decoded.text;
  if (IsSequence(text)) return AddSequence(text, input.limits.max_depth, sink);
  std::size_t used = 0;
  if (auto failure = AddJson(text, {}, input.limits.max_depth, sink, used)) {
    return Broken(text, failure->offset, failure->what);
  }
  if (used < text.size()) return Broken(text, used, "text after the value");
  return std::nullopt;
}

}  // namespace millrace::documents
