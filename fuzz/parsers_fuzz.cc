// The in-house parsers. The first byte chooses one, the rest is the document.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "pipelines/documents/parsers/parser.h"

namespace {

using namespace millrace::documents;

// Checks that parents come before their children, and keeps nothing.
class CheckSink : public ElementSink {
 public:
  std::int32_t Add(std::int32_t parent, ElementType, std::string_view, std::string_view, int,
                   std::string_view) override {
    if (parent < 0 || parent >= count_) std::abort();
    if (count_ > 100'000) throw LimitReached{{"too_large", "enough"}};
    return count_++;
  }
  void Warn(std::string) override {}
  DocumentMetadata& metadata() override { return metadata_; }

 private:
  std::int32_t count_ = 1;
  DocumentMetadata metadata_;
};

constexpr std::array<ParseFunction, 8> kParsers = {ParseText,         ParseMarkdown,  ParseCsv, ParseHtml,
                                                   ParseJsonDocument, ParseJsonLines, ParseXml, ParseDocx};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  ParseLimits limits;
  limits.memory = 512 << 20;
  CheckSink sink;
  try {
    kParsers[data[0] % kParsers.size()]({{reinterpret_cast<const char*>(data) + 1, size - 1}, "fuzz", limits}, sink);
  } catch (const LimitReached&) {
  }
  return 0;
}
