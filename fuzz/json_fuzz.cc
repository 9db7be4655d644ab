// Strict JSON: what parses comes back the same from its own text.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  auto value = millrace::base::ParseJson(text);
  if (value) {
    auto again = millrace::base::ParseJson(millrace::base::ToJson(*value));
    if (!again || millrace::base::ToJson(*again) != millrace::base::ToJson(*value)) std::abort();
  }
  if (!millrace::base::ParseJson(millrace::base::JsonQuote(text))) std::abort();
  return 0;
}
