// The search language: whatever the text, the translation is a value or an error with a message.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "pipelines/documents/search.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto query = millrace::documents::TranslateQuery({reinterpret_cast<const char*>(data), size});
  if (!query && query.error().message.empty()) std::abort();
  return 0;
}
