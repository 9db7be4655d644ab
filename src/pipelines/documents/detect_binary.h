// Documents that are not text: what they are, by their first bytes and, for packages, what is in them.
#pragma once

#include <optional>
#include <string_view>

#include "pipelines/documents/detect.h"

namespace millrace::documents {

// Nothing if it is none of the binary formats (and RTF) that are known here. The ending of its name, in lower case,
// only says what a damaged archive was to be.
std::optional<Detected> DetectBinary(std::string_view bytes, std::string_view extension);

// For other binary data: "unsupported_format" in libmagic's words, the only use of it.
ParseFailure UnknownBinary(std::string_view bytes);

}  // namespace millrace::documents
