#include <optional>
#include <string>
#include <string_view>

#include "pipelines/documents/parsers/charset.h"
#include "pipelines/documents/parsers/json_elements.h"
#include "pipelines/documents/parsers/parser.h"

namespace millrace::documents {
namespace {

constexpr std::size_t kMaxNamedLines = 20;

// The lines of one document.
class Lines {
 public:
  Lines(int max_depth, ElementSink& sink) : max_depth_(max_depth), sink_(sink) {}

  void Add(std::string_view line, std::size_t number) {
    if (line.find_first_not_of(" \t\r\f\v\x1E") == std::string_view::npos) return;
    if (line.front() == '\x1E') line.remove_prefix(1);  // RFC 7464 begins each value with it
    if (auto failure = CheckJson(line)) {
      Bad(line, number, *failure);
      return;
    }
    ++good_;
    std::size_t used = 0;
    // It was checked: it cannot fail.
    static_cast<void>(AddJson(line, {0, ElementType::kRecord, Location(number)}, max_depth_, sink_, used));
  }

  std::optional<ParseFailure> Finish() {
    if (good_ == 0) {
      return ParseFailure{"broken", bad_ == 0 ? "there is no line with a value" : "no line is JSON; " + first_bad_};
    }
    if (bad_ > kMaxNamedLines) {
      sink_.Warn(std::to_string(bad_ - kMaxNamedLines) + " more lines are not JSON; kept as text");
    }
    return std::nullopt;
  }

 private:
  static std::string Location(std::size_t number) { return "line " + std::to_string(number); }

  // A line that is not JSON is kept as text, so that it can be found.
  void Bad(std::string_view line, std::size_t number, const JsonFailure& failure) {
    const std::string what =
        Location(number) + ": column " + JsonPosition(line, failure.offset).substr(2) + ": " + failure.what;
    if (bad_++ == 0) first_bad_ = what;
    if (bad_ <= kMaxNamedLines) sink_.Warn(what + "; kept as text");
    sink_.Add(0, ElementType::kLine, line, Location(number));
  }

  int max_depth_;
  ElementSink& sink_;
  std::size_t good_ = 0, bad_ = 0;
  std::string first_bad_;
};

}  // namespace

std::optional<ParseFailure> ParseJsonLines(const ParserInput& input, ElementSink& sink) {
  const DecodedText decoded = DecodeText(input.bytes);
  if (decoded.lossy) sink.Warn("some bytes are not " + decoded.charset + " text; they were replaced");
  if (sink.metadata().media_type.empty()) sink.metadata().media_type = "application/x-ndjson";
  sink.metadata().charset = decoded.charset;
  Lines lines(input.limits.max_depth, sink);
  const std::string_view text = decoded.text;
  std::size_t number = 1;
  for (std::size_t begin = 0; begin < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.Add(line, number);
    begin = end + 1;
  }
  return lines.Finish();
}

}  // namespace millrace::documents
