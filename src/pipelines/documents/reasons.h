// The words that say, for counting, why a document was not read; docs/documents.md has them for people.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace millrace::documents {

inline constexpr std::array<std::string_view, 14> kReasons = {
    "unsupported_format", "encrypted", "broken", "too_large",    "memory_limit", "timeout",     "crashed",
    "unreadable",         "internal",  "link",   "link_outside", "link_broken",  "not_regular", "too_deep",
};

constexpr bool IsReason(std::string_view word) {
  return std::find(kReasons.begin(), kReasons.end(), word) != kReasons.end();
}

}  // namespace millrace::documents
