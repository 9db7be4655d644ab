// What of a text is UTF-8: databases and JSON take nothing else.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace millrace::base {

// The length of the UTF-8 sequence (as RFC 3629 defines it) at byte `at`, which must be within `text`; 0 when there is
// none.
[[nodiscard]] std::size_t Utf8SequenceLength(std::string_view text, std::size_t at);

// Whether all of `text` is UTF-8 without zero bytes.
[[nodiscard]] bool IsCleanUtf8(std::string_view text);

// Whether all of `text` is UTF-8 without control characters (C0, DEL, C1), so that it is one line and moves no cursor.
[[nodiscard]] bool IsOneLine(std::string_view text);

// `text` with U+FFFD in place of each byte that is not UTF-8 and of each zero byte. Longer than `most` bytes, it is cut
// between two characters and ends in "...".
[[nodiscard]] std::string ToCleanUtf8(std::string text, std::size_t most);

}  // namespace millrace::base
