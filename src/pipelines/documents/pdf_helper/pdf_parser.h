// PDF documents, read with Poppler. Part of the separate program millrace-pdf only (see LICENSE.md).
#pragma once

#include <optional>

#include "pipelines/documents/parsers/parser.h"

namespace millrace::documents {

// Pages in order, each with its paragraphs, list items and headings; then the outline and the names of attached files.
// Failures: "encrypted" (a password is needed), "broken", "too_large".
std::optional<ParseFailure> ParsePdf(const ParserInput& input, ElementSink& sink);

}  // namespace millrace::documents
