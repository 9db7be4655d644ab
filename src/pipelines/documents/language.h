// The language of a text. The door to CLD2.
#pragma once

#include <string>
#include <string_view>

namespace millrace::documents {

// ISO 639-1 of the language most of the text is in; empty when that is not reliable. Text that is not UTF-8 has none.
std::string DetectLanguage(std::string_view text);

}  // namespace millrace::documents
