// The version this program was built as.
#pragma once

#include <string>

namespace millrace::cli {

// "0.1.0"
std::string Version();

}  // namespace millrace::cli
