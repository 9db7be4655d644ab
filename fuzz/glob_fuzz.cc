// Patterns: the text up to the first zero byte is a pattern, the rest a path; neither may take long or crash.
#include <cstdint>
#include <string_view>

#include "pipelines/documents/sources/glob.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::size_t end = std::min(text.find('\0'), text.size());
  auto glob = millrace::documents::Glob::Compile(text.substr(0, end));
  if (glob) (void)glob->Matches(text.substr(std::min(end + 1, text.size())));
  return 0;
}
