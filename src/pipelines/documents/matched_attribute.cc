#include "pipelines/documents/matched_attribute.h"

#include <utility>
#include <vector>

#include "base/json.h"
#include "base/try.h"
#include "pipelines/documents/snippet.h"

namespace millrace::documents {
namespace {

struct Attribute {
  std::string name, text;  // "id", "id=7"
};

// Those that are part of the element's text, in its order.
std::vector<Attribute> AttributesOf(std::string_view metadata) {
  std::vector<Attribute> list;
  const auto value = base::ParseJson(metadata);
  const auto* object = value ? value->if_object() : nullptr;
  const auto* attributes = object == nullptr ? nullptr : object->if_contains("attributes");
  if (attributes == nullptr || !attributes->is_object()) return list;
  for (const auto& member : attributes->get_object()) {
    const std::string name(member.key());
    const bool text = member.value().is_string() && !member.value().get_string().empty();
    if (!text || name == "xmlns" || name.starts_with("xmlns:")) continue;
    list.push_back({name, name + "=" + std::string(member.value().get_string())});
  }
  return list;
}

}  // namespace

Result<std::string> MatchedAttribute(std::string_view text, std::string_view metadata,
                                     std::span<const Phrase> phrases) {
  const std::vector<Attribute> attributes = AttributesOf(metadata);
  std::string end;
  for (const Attribute& attribute : attributes) end += (end.empty() ? "" : " ") + attribute.text;
  if (end.empty() || !text.ends_with(end)) return std::string();
  MILLRACE_ASSIGN(const bool before, AnyStandsIn(text.substr(0, text.size() - end.size()), phrases));
  if (before) return std::string();
  for (const Attribute& attribute : attributes) {
    MILLRACE_ASSIGN(const bool here, AnyStandsIn(attribute.text, phrases));
    if (here) return attribute.name;
  }
  return std::string();
}

}  // namespace millrace::documents
