// What the fuzz programs share: one input parsed into a sink that checks the parser and forgets.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "pipelines/documents/parsers/parser.h"

namespace millrace::documents {

// Aborts when a parser breaks the rules of parser.h; ends a parse as the real sink does.
class CheckingSink : public ElementSink {
 public:
  std::int32_t Add(std::int32_t parent, ElementType, std::string_view text, std::string_view location, int,
                   std::string_view metadata) override {
    if (parent < 0 || parent >= count_) {
      std::fputs("a parser named a parent that it did not add\n", stderr);
      std::abort();
    }
    bytes_ += text.size() + location.size() + metadata.size();
    if (count_ >= kMaxElements || bytes_ > kMaxBytes) throw LimitReached{{"too_large", "enough for a test"}};
    return count_++;
  }
  void Warn(std::string) override {}
  [[nodiscard]] DocumentMetadata& metadata() override { return metadata_; }

 private:
  static constexpr std::int32_t kMaxElements = 100'000;
  static constexpr std::size_t kMaxBytes = 64 << 20;
  std::int32_t count_ = 1;  // the root
  std::size_t bytes_ = 0;
  DocumentMetadata metadata_;
};

inline int FuzzParser(ParseFunction parse, std::string_view name, const std::uint8_t* data, std::size_t size) {
  CheckingSink sink;
  const ParseLimits limits;
  try {
    parse({std::string_view(reinterpret_cast<const char*>(data), size), name, limits}, sink);
  } catch (const LimitReached&) {
  }
  return 0;
}

}  // namespace millrace::documents
