// What a parser is: a function from a document's bytes to elements in a sink. Parsers run in a child process
// (parser_pool.h), so they may be slow or fail; they must not trust a single byte.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "pipelines/documents/elements.h"
#include "pipelines/documents/parser_pool.h"

namespace millrace::documents {

// Takes the elements of one document in order. Not thread-safe.
class ElementSink {
 public:
  virtual ~ElementSink() = default;
  // Adds an element and returns its index. `parent` is an index returned before (the root is 0, added by the caller of
  // the parser, with parent -1). Text is UTF-8 already: bytes that are not are replaced by U+FFFD here. Throws
  // LimitReached when the document has more elements or output than the limits allow; parsers let it pass.
  // NOLINTNEXTLINE(google-default-arguments): implementations leave the defaults to this declaration.
  virtual std::int32_t Add(std::int32_t parent, ElementType type, std::string_view text, std::string_view location,
                           int level = 0, std::string_view metadata = {}) = 0;
  // Something a person should know that did not keep the document from being parsed. Repeated and excessive ones are
  // dropped.
  virtual void Warn(std::string warning) = 0;
  // To be filled in by the parser.
  [[nodiscard]] virtual DocumentMetadata& metadata() = 0;
};

// Ends a parse from inside the sink.
struct LimitReached {
  ParseFailure failure;
};

struct ParserInput {
  std::string_view bytes;  // the whole document, mapped
  std::string_view name;   // its file name, a hint
  const ParseLimits& limits;
};

// Nothing when the document was parsed; else why not. May throw LimitReached and std::bad_alloc, which the child turns
// into failures.
using ParseFunction = std::optional<ParseFailure> (*)(const ParserInput& input, ElementSink& sink);

// One a format; each has a file of its own.
std::optional<ParseFailure> ParseText(const ParserInput& input, ElementSink& sink);
std::optional<ParseFailure> ParseMarkdown(const ParserInput& input, ElementSink& sink);
std::optional<ParseFailure> ParseCsv(const ParserInput& input, ElementSink& sink);
std::optional<ParseFailure> ParseHtml(const ParserInput& input, ElementSink& sink);
std::optional<ParseFailure> ParseJsonDocument(const ParserInput& input, ElementSink& sink);
std::optional<ParseFailure> ParseJsonLines(const ParserInput& input, ElementSink& sink);
std::optional<ParseFailure> ParseXml(const ParserInput& input, ElementSink& sink);
std::optional<ParseFailure> ParseDocx(const ParserInput& input, ElementSink& sink);

}  // namespace millrace::documents
