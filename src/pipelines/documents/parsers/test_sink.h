// A sink that keeps everything, for tests of parsers.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "pipelines/documents/parsers/parser.h"

namespace millrace::documents {

class CollectSink : public ElementSink {
 public:
  explicit CollectSink(std::size_t max_elements = 5'000'000) : max_elements_(max_elements) {
    elements.push_back({-1, ElementType::kRoot, 0, "", "", ""});
  }
  std::int32_t Add(std::int32_t parent, ElementType type, std::string_view text, std::string_view location, int level,
                   std::string_view element_metadata) override {
    if (elements.size() >= max_elements_) throw LimitReached{{"too_large", "too many elements"}};
    EXPECT_GE(parent, 0);
    EXPECT_LT(parent, static_cast<std::int32_t>(elements.size()));
    elements.push_back({parent, type, static_cast<std::int16_t>(level), std::string(text), std::string(location),
                        std::string(element_metadata)});
    return static_cast<std::int32_t>(elements.size()) - 1;
  }
  void Warn(std::string warning) override { warnings.push_back(std::move(warning)); }
  [[nodiscard]] DocumentMetadata& metadata() override { return document; }

  // One line an element, indented by depth: `type[level] "text" @location metadata`.
  [[nodiscard]] std::string Tree() const {
    std::string out;
    for (std::size_t i = 1; i < elements.size(); ++i) {
      const Element& element = elements[i];
      for (std::int32_t up = element.parent; up > 0; up = elements[static_cast<std::size_t>(up)].parent) out += "  ";
      out += ElementTypeName(element.type);
      if (element.level != 0) out += "[" + std::to_string(element.level) + "]";
      out += " \"" + element.text + "\"";
      if (!element.location.empty()) out += " @" + element.location;
      if (!element.metadata.empty()) out += " " + element.metadata;
      out += "\n";
    }
    return out;
  }

  std::vector<Element> elements;
  std::vector<std::string> warnings;
  DocumentMetadata document;

 private:
  std::size_t max_elements_;
};

}  // namespace millrace::documents
