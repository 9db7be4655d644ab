// `millrace parser-child`: every format but PDF.
#include "pipelines/documents/detect.h"
#include "pipelines/documents/language.h"
#include "pipelines/documents/parser_protocol.h"

namespace millrace::documents {

std::optional<ParseFailure> ParseByContent(const ParserInput& input, ElementSink& sink) {
  const Detected detected = Detect(input.bytes, input.name);
  if (detected.failure) return detected.failure;
  if (detected.format == Format::kEmpty) {
    sink.metadata().media_type = "application/x-empty";
    sink.Warn("the document is empty");
    return std::nullopt;
  }
  return ParserOf(detected.format)(input, sink);
}

int ParserChildMain() { return RunParserChild(ParseByContent, DetectLanguage); }

}  // namespace millrace::documents
