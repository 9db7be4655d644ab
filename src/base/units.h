// Byte sizes as people write them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "millrace/error.h"

namespace millrace::base {

// "64MiB", "1GiB", "512KiB", "10MB" (powers of 1000), "4096"; no sign, at most 8 EiB. Anything else is
// kInvalidArgument.
Result<std::int64_t> ParseBytes(std::string_view text);

// The shortest exact form with a binary unit: 67108864 is "64MiB", 1000 is "1000".
std::string FormatBytes(std::int64_t bytes);

}  // namespace millrace::base
