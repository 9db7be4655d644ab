// Documents of another format that a Word document takes in by reference (altChunk): HTML and MHT (HTML in a mail
// message) are parsed, others are left out with a warning.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "pipelines/documents/parsers/parser.h"
#include "pipelines/documents/parsers/zip_archive.h"

namespace millrace::documents {

// Adds the elements of `part` below `parent`; their locations begin with `location`. Whatever goes wrong is a warning.
void ReadAltChunk(ZipArchive& zip, const std::string& part, std::int32_t parent, const std::string& location,
                  const ParseLimits& limits, ElementSink& sink);

// The first text/html part of a MIME message, decoded; empty when there is none.
std::string HtmlOfMime(std::string_view message);

}  // namespace millrace::documents
