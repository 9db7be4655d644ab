// Bytes of any charset to UTF-8: byte order mark, then what the document declares, then uchardet's guess, checked by
// ICU.
#pragma once

#include <string>
#include <string_view>

namespace millrace::documents {

struct DecodedText {
  std::string text;     // valid UTF-8, without a byte order mark; undecodable bytes are U+FFFD
  std::string charset;  // IANA name in upper case, such as "UTF-8" or "WINDOWS-1252"
  bool lossy = false;   // something was undecodable
};

// `declared` is the charset the document names (HTML meta, XML declaration), or empty. An unknown or plainly wrong one
// (the bytes do not fit it) is ignored. Valid UTF-8 without a declaration is UTF-8.
DecodedText DecodeText(std::string_view bytes, std::string_view declared = {});

// Whether the bytes look like binary data rather than text in any charset.
bool LooksBinary(std::string_view bytes);

// What DecodeText would give as far as ASCII goes, without guessing: what is in a wide encoding or has shift sequences
// is decoded, of the rest bad bytes are replaced. Enough to tell formats apart, and cheap.
std::string DecodeForLooking(std::string_view bytes);

}  // namespace millrace::documents
