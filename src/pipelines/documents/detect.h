// What a document is, by its content; its name decides between formats of text only.
#pragma once

#include <optional>
#include <string_view>

#include "pipelines/documents/parsers/parser.h"

namespace millrace::documents {

enum class Format { kText, kMarkdown, kHtml, kCsv, kJson, kJsonLines, kXml, kDocx, kEmpty };

// "text", "markdown", ...
std::string_view FormatName(Format format);

// Either a format or why it cannot be parsed: "unsupported_format" or "encrypted", with what it is in words.
struct Detected {
  Format format = Format::kText;
  std::optional<ParseFailure> failure;
};

Detected Detect(std::string_view bytes, std::string_view name);

// Parses a document of whatever format it is. A format that is not read is a failure.
std::optional<ParseFailure> ParseByContent(const ParserInput& input, ElementSink& sink);

// The parser of a format; null for kEmpty.
ParseFunction ParserOf(Format format);

}  // namespace millrace::documents
