// Every scalar key of the configuration, as one table. The structured sections are in sections.h.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace millrace::runtime {

enum class KeyType { kText, kBoolean, kInteger, kNumber, kDuration, kBytes, kChoice, kTexts, kPriorities };

struct KeySpec {
  std::string_view key;
  KeyType type;
  std::string_view fallback;     // the default, as text
  std::string_view environment;  // variables that override it, the first one set wins; separated by spaces
  std::string_view words;  // of kChoice: all choices; of the numbers: words allowed in their place. Separated by '|'
  std::int64_t min = 0;
  std::int64_t max = INT64_MAX;
  bool secret = false;
};

// In the order in which `config show` prints them: keys of one section stand together.
std::span<const KeySpec> KeySpecs();

}  // namespace millrace::runtime
