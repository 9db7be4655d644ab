#include "pipelines/documents/elements.h"

#include <algorithm>
#include <array>

#include "base/hash.h"

namespace millrace::documents {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(ElementType::kOutlineItem) + 1> kTypeNames = {
    "root",
    "header",
    "paragraph",
    "list",
    "list_item",
    "definition_list",
    "definition_term",
    "definition",
    "table",
    "table_row",
    "table_cell",
    "table_header_cell",
    "caption",
    "code_block",
    "blockquote",
    "preformatted",
    "math_block",
    "thematic_break",
    "html_block",
    "image",
    "link",
    "footnote",
    "endnote",
    "comment",
    "page_header",
    "page_footer",
    "bookmark",
    "form",
    "form_field",
    "page",
    "section",
    "slide",
    "slide_notes",
    "sheet",
    "text_box",
    "json_object",
    "json_array",
    "json_field",
    "json_item",
    "json_value",
    "xml_element",
    "xml_text",
    "xml_comment",
    "csv_row",
    "line",
    "record",
    "message",
    "attachment",
    "embedded",
    "outline_item"};

constexpr std::size_t kIdDigits = 32;

// A part with its length before it, so that no two lists of parts give the same bytes.
void AddPart(base::Sha256& hash, std::string_view part) {
  hash.Add(std::to_string(part.size()));
  hash.Add(":");
  hash.Add(part);
}

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

std::string_view ElementTypeName(ElementType type) { return kTypeNames.at(static_cast<std::size_t>(type)); }

std::optional<ElementType> ParseElementType(std::string_view name) {
  const auto* const found = std::find(kTypeNames.begin(), kTypeNames.end(), name);
  if (found == kTypeNames.end()) return std::nullopt;
  return static_cast<ElementType>(found - kTypeNames.begin());
}

std::string DocumentId(std::string_view source, std::string_view path) {
  base::Sha256 hash;
  AddPart(hash, source);
  AddPart(hash, path);
  return hash.Hex().substr(0, kIdDigits);
}

std::string ElementId(std::string_view document_id, std::size_t index, const Element& element) {
  base::Sha256 hash;
  AddPart(hash, document_id);
  AddPart(hash, std::to_string(index));
  AddPart(hash, ElementTypeName(element.type));
  AddPart(hash, element.text);
  return hash.Hex().substr(0, kIdDigits);
}

std::string ContentHash(std::string_view bytes) { return base::Sha256Hex(bytes).substr(0, kIdDigits); }

std::string Preview(std::string_view text, std::size_t max_bytes) {
  constexpr std::string_view kCut = "...";
  std::string out;
  bool space = false;
  for (const char c : text) {
    if (IsSpace(c)) {
      space = !out.empty();
      continue;
    }
    if (space) out += ' ';
    space = false;
    out += c;
    if (out.size() > max_bytes) break;
  }
  if (out.size() <= max_bytes) return out;
  std::size_t end = max_bytes > kCut.size() ? max_bytes - kCut.size() : 0;
  while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xc0) == 0x80) --end;
  out.resize(end);
  return max_bytes < kCut.size() ? out : out.append(kCut);
}

}  // namespace millrace::documents
