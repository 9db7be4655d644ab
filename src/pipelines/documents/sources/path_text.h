// File names as text. A name on disk is bytes; what is stored, sorted, shown and sent as JSON is UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace millrace::documents {

// The bytes of a path or name as UTF-8 without control characters: bytes that are not UTF-8, and control characters,
// become %XX; a percent sign that would read as one becomes %25. Every other character stays. Reversed by DecodePath.
std::string EncodePath(std::string_view bytes);

// The bytes that EncodePath was given. Percent signs without two hex digits stand for themselves.
std::string DecodePath(std::string_view text);

// Length in bytes of the UTF-8 character at the start of `text`, or 0 if there is none (overlong forms, surrogates and
// values above U+10FFFF are none). `text` must not be empty.
std::size_t Utf8Length(std::string_view text);

}  // namespace millrace::documents
