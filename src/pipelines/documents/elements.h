// The element tree every parser produces: what a document is made of, in document order.
//
// Layout: a tree as a list in pre-order. Element 0 is the root; every other element names its parent by
// index, and a parent always comes before its children. Indices are positions: the same bytes give the
// same list, so ids derived from them (ElementId) are the same on every machine and in every run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/error.h"

namespace millrace::documents {

// Stored by name; the numbers only travel between a parser's process and its parent.
enum class ElementType : std::uint8_t {
  kRoot,
  kHeader,
  kParagraph,
  kList,
  kListItem,
  kDefinitionList,
  kDefinitionTerm,
  kDefinition,
  kTable,
  kTableRow,
  kTableCell,
  kTableHeaderCell,
  kCaption,
  kCodeBlock,
  kBlockquote,
  kPreformatted,
  kMathBlock,
  kThematicBreak,
  kHtmlBlock,
  kImage,
  kLink,
  kFootnote,
  kEndnote,
  kComment,
  kPageHeader,
  kPageFooter,
  kBookmark,
  kForm,
  kFormField,
  kPage,
  kSection,
  kSlide,
  kSlideNotes,
  kSheet,
  kTextBox,
  kJsonObject,
  kJsonArray,
  kJsonField,
  kJsonItem,
  kJsonValue,
  kXmlElement,
  kXmlText,
  kXmlComment,
  kCsvRow,
  kLine,
  kRecord,
  kMessage,
  kAttachment,
  kEmbedded,
  kOutlineItem,
};

// "root", "header", "list_item", "table_row", "json_object", ...
std::string_view ElementTypeName(ElementType type);
std::optional<ElementType> ParseElementType(std::string_view name);

struct Element {
  std::int32_t parent = -1;  // index of the parent; -1 for the root alone
  ElementType type = ElementType::kParagraph;
  std::int16_t level = 0;  // header: 1 to 6; list_item and outline_item: depth from 1; else 0
  std::string text;        // own text, UTF-8, without that of child elements; may be empty
  std::string location;    // enough to find it again, see below
  std::string metadata;    // a JSON object, or empty
};

// Location, one short readable text by format:
//   "page 3"  "page 3 line 12"     PDF                 "line 10-14"     text, Markdown
//   "row 7"  "row 7 column 2"      CSV (from 1)        "/a/b/0"         JSON pointer; "line 4 /a" JSON Lines
//   "/root/item[2]"                XML path            "html>body>p:nth-of-type(3)"  HTML, a CSS path
//   "paragraph 12"  "table 1 row 2 cell 3"  DOCX (from 1)

// What is known of a whole document. Times are text as found, ISO 8601 where they could be read.
struct DocumentMetadata {
  std::string media_type;  // by content, such as "application/pdf"
  std::string title, author, subject, keywords, created, modified, producer;
  std::string language;    // ISO 639-1, declared or detected; empty when unsure
  std::string charset;     // of the source, for text formats
  std::int32_t pages = 0;  // 0: has none
  std::string extra;       // a JSON object of what else the format says, or empty
};

// A document's key: SHA-256 over source name and path (or URL), 32 lower-case hex digits of it.
std::string DocumentId(std::string_view source, std::string_view path);

// 32 lower-case hex digits from the document's id, the element's index, its type and its text.
std::string ElementId(std::string_view document_id, std::size_t index, const Element& element);

// SHA-256 of the text, 32 hex digits of it: equal for equal content wherever it stands.
std::string ContentHash(std::string_view bytes);

// The first characters of the text on one line, at most `max_bytes` bytes, cut at a UTF-8 boundary, with "..."
// when something was cut.
std::string Preview(std::string_view text, std::size_t max_bytes = 160);

}  // namespace millrace::documents
