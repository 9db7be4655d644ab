// Puts the blocks of a Word document into the element tree.
//
// A container takes paragraphs: the body, where each becomes an element, or a cell, note, comment, header, text box,
// which take them as lines of their own text until something nested (a table) forces their element into the tree; what
// follows then becomes paragraphs below it. Text boxes and images stand inside a paragraph whose text is not complete
// yet, so they wait and follow it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/documents/parsers/docx_styles.h"
#include "pipelines/documents/parsers/parser.h"

namespace millrace::documents {

// A paragraph while it is read.
struct DocxParagraph {
  std::string text;
  std::vector<std::string> links;
  DocxStyle style;
  int outline = -1;  // its own level, from 0; -1: as its style says
  int list = -1;     // its own numbering; 0: none; -1: as its style says
  int list_level = -1;
  bool mark_deleted = false;  // runs on into the next paragraph
};

// Not thread-safe. What the sink throws passes through.
class DocxTree {
 public:
  DocxTree(ElementSink& sink, const DocxNumbering& numbering) : sink_(sink), numbering_(numbering) {}

  // The body: its paragraphs are elements below the root.
  void OpenBody();
  // A note, comment, header or text box; `metadata` is a JSON object's members, or empty. A text box waits for the
  // paragraph it stands in.
  void OpenPart(ElementType type, std::string location, std::string metadata = {});
  void OpenTextBox();
  void CloseContainer();

  void OpenTable();
  void SetTableCaption(std::string_view caption);
  void OpenRow();
  void SetRowIsHeader();
  void OpenCell();
  void SetCellSpan(int columns);
  void SetCellMerge(bool starts);
  void CloseCell() { CloseContainer(); }
  void CloseTable();

  // Counts a paragraph that begins; its location is then that of images in it.
  void BeginParagraph();
  void AddParagraph(DocxParagraph paragraph);
  // An image or embedded object in the paragraph under way.
  void AddInline(ElementType type, std::string_view text, std::string metadata);
  // An element of its own between paragraphs; its index.
  std::int32_t AddBlock(ElementType type, std::string_view text, std::string metadata);
  // Where the paragraph under way stands.
  [[nodiscard]] std::string Here() const;
  [[nodiscard]] bool waiting() const { return waiting_depth_ > 0; }
  [[nodiscard]] bool in_container() const { return !containers_.empty(); }
  [[nodiscard]] bool in_table() const { return !tables_.empty() && tables_.back().container == containers_.size(); }

 private:
  struct Container {
    ElementType type = ElementType::kRoot;
    std::int32_t parent = 0;
    std::int32_t element = -1;  // -1: not in the tree yet
    bool body = false;
    bool text_box = false;
    std::string location;
    std::string text;
    std::vector<std::string> links;
    std::string metadata;
    int paragraphs = 0;
    int tables = 0;
    int text_boxes = 0;
    int list = 0;  // the numbering of the open list
    std::int32_t list_element = -1;
  };
  struct Table {
    std::int32_t parent = 0;
    std::int32_t element = -1;
    std::int32_t row_element = -1;
    std::string location;
    std::string caption;
    int rows = 0;
    int cells = 0;
    bool header_row = false;
    std::size_t container = 0;  // how many containers are open around it
  };
  struct Waiting {
    std::int32_t parent;  // kAnchor, or another one that waits (kFirstWaiting and down)
    ElementType type;
    int level;
    std::string text;
    std::string location;
    std::string metadata;
  };

  std::int32_t Add(std::int32_t parent, ElementType type, std::string_view text, std::string_view location, int level,
                   std::string_view metadata);
  std::int32_t Place(Container& container);
  void ReleaseWaiting(std::int32_t anchor);
  void AddToBody(Container& body, const DocxParagraph& paragraph);
  void CloseList(Container& container);
  void PlaceRow(Table& table);

  ElementSink& sink_;
  const DocxNumbering& numbering_;
  std::vector<Container> containers_;
  std::vector<Table> tables_;
  std::vector<Waiting> waiting_;
  int waiting_depth_ = 0;  // text boxes open, the outermost of which makes all wait
};

// Text as a reader sees it: lines without spaces at their ends, no empty lines at the ends, no soft hyphens.
std::string CleanText(std::string_view text);

}  // namespace millrace::documents
