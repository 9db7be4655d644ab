// Plain text: paragraphs, parted by blank lines.
#include <algorithm>
#include <string>

#include "pipelines/documents/parser_protocol.h"
#include "pipelines/documents/parsers/charset.h"
#include "pipelines/documents/parsers/parser.h"

namespace millrace::documents {
namespace {

constexpr std::size_t kMaxParagraph = 64 << 10;
constexpr std::string_view kBlank = " \t\f\v";

// Takes the next line off a text, without its end: "\n", "\r\n" or "\r".
std::string_view TakeLine(std::string_view& text) {
  const std::size_t end = text.find_first_of("\r\n");
  const std::string_view line = text.substr(0, end);
  if (end == std::string_view::npos) {
    text = {};
  } else {
    text.remove_prefix(end + (text.substr(end, 2) == "\r\n" ? 2 : 1));
  }
  return line;
}

// Where to cut a line that is too long: after the last space in reach, else between two characters.
std::size_t CutPlace(std::string_view line) {
  const std::string_view piece = CutUtf8(line, kMaxParagraph);
  const std::size_t space = piece.find_last_of(kBlank);
  return space == std::string_view::npos || space < kMaxParagraph / 2 ? piece.size() : space + 1;
}

class Paragraphs {
 public:
  explicit Paragraphs(ElementSink& sink) : sink_(sink) {}

  void Line(std::string_view line, std::int64_t number) {
    line = line.substr(0, line.find_last_not_of(kBlank) + 1);
    if (line.empty() || text_.size() + line.size() > kMaxParagraph) Close();
    for (; line.size() > kMaxParagraph; line.remove_prefix(CutPlace(line))) {
      Append(line.substr(0, CutPlace(line)), number);
      Close();
    }
    if (!line.empty()) Append(line, number);
  }
  void Close() {
    if (text_.empty()) return;
    std::string location = "line " + std::to_string(first_);
    if (last_ != first_) location += "-" + std::to_string(last_);
    sink_.Add(0, ElementType::kParagraph, text_, location);
    text_.clear();
  }

 private:
  void Append(std::string_view line, std::int64_t number) {
    if (text_.empty()) {
      first_ = number;
    } else {
      text_ += '\n';
    }
    text_ += line;
    last_ = number;
  }

  ElementSink& sink_;
  std::string text_;
  std::int64_t first_ = 0, last_ = 0;
};

}  // namespace

std::optional<ParseFailure> ParseText(const ParserInput& input, ElementSink& sink) {
  const DecodedText decoded = DecodeText(input.bytes);
  sink.metadata().media_type = "text/plain";
  sink.metadata().charset = decoded.charset;
  if (decoded.lossy) sink.Warn("some bytes are not " + decoded.charset + " and were replaced");
  Paragraphs paragraphs(sink);
  std::string_view rest = decoded.text;
  for (std::int64_t number = 1; !rest.empty(); ++number) paragraphs.Line(TakeLine(rest), number);
  paragraphs.Close();
  return std::nullopt;
}

}  // namespace millrace::documents
