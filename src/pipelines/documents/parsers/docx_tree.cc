#include "pipelines/documents/parsers/docx_tree.h"

#include <algorithm>
#include <utility>

#include "base/json.h"
#include "pipelines/documents/parsers/plain_text.h"

namespace millrace::documents {
namespace {

constexpr std::int32_t kAnchor = -1;        // the container whose paragraph is under way
constexpr std::int32_t kFirstWaiting = -2;  // the first element that waits; the second is -3, and so on
constexpr std::size_t kMaxLinks = 1000;     // of one element

std::string Numbered(const std::string& prefix, std::string_view word, int number) {
  std::string location = prefix;
  if (!location.empty()) location += ' ';
  location += word;
  location += ' ';
  return location + std::to_string(number);
}

std::string LinksMember(const std::vector<std::string>& links) {
  if (links.empty()) return {};
  std::string out = "\"links\":[";
  for (const std::string& link : links) {
    if (out.back() != '[') out += ',';
    out += base::JsonQuote(link);
  }
  return out + "]";
}

// A JSON object of members that may be empty.
std::string Object(std::string_view first, std::string_view second = {}) {
  if (first.empty() && second.empty()) return {};
  std::string out = "{";
  out += first;
  if (!first.empty() && !second.empty()) out += ',';
  out += second;
  return out + "}";
}

void AppendMember(std::string& members, std::string_view member) {
  if (!members.empty()) members += ',';
  members += member;
}

}  // namespace

std::string CleanText(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const auto trim_line = [&] {
    while (!out.empty() && (out.back() == ' ' || out.back() == '\t' || out.back() == '\r')) out.pop_back();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (KindOfByte(c) == ByteKind::kPlain) {
      const std::size_t end = PlainTextEnd(text, i + 1);
      out.append(text, i, end - i);
      i = end - 1;
    } else if (c == '\xC2' && i + 1 < text.size() && text[i + 1] == '\xAD') {  // U+00AD
      ++i;
    } else if (c == '\n') {
      trim_line();
      if (!out.empty()) out += '\n';
    } else if (c == ' ' || c == '\t' || c == '\r') {
      if (!out.empty() && out.back() != '\n') out += c == '\r' ? ' ' : c;
    } else {
      out += c;
    }
  }
  while (!out.empty() && (out.back() == ' ' || out.back() == '\t' || out.back() == '\n')) out.pop_back();
  return out;
}

void DocxTree::OpenBody() {
  Container body;
  body.body = true;
  body.element = 0;
  containers_.push_back(std::move(body));
}

void DocxTree::OpenPart(ElementType type, std::string location, std::string metadata) {
  Container part;
  part.type = type;
  part.location = std::move(location);
  part.metadata = std::move(metadata);
  containers_.push_back(std::move(part));
}

void DocxTree::OpenTextBox() {
  Container box;
  box.type = ElementType::kTextBox;
  box.text_box = true;
  if (!containers_.empty()) {
    box.location = Numbered(Here(), "text box", ++containers_.back().text_boxes);
    box.parent = waiting_depth_ == 0 ? kAnchor : Place(containers_.back());
  }
  ++waiting_depth_;
  containers_.push_back(std::move(box));
}

void DocxTree::CloseContainer() {
  if (containers_.empty()) return;
  Container& container = containers_.back();
  // An empty note or text box says nothing; an empty cell keeps its place in the row.
  const bool cell = container.type == ElementType::kTableCell || container.type == ElementType::kTableHeaderCell;
  if (cell || !container.text.empty() || (!waiting_.empty() && !container.text_box)) Place(container);
  if (container.body) ReleaseWaiting(0);
  if (container.text_box) --waiting_depth_;
  containers_.pop_back();
}

std::int32_t DocxTree::Add(std::int32_t parent, ElementType type, std::string_view text, std::string_view location,
                           int level, std::string_view metadata) {
  if (waiting_depth_ == 0) return sink_.Add(parent, type, text, location, level, metadata);
  waiting_.push_back({parent, type, level, std::string(text), std::string(location), std::string(metadata)});
  return kFirstWaiting - static_cast<std::int32_t>(waiting_.size() - 1);
}

std::int32_t DocxTree::Place(Container& container) {
  if (container.element != -1) return container.element;
  container.element = Add(container.parent, container.type, container.text, container.location, 0,
                          Object(container.metadata, LinksMember(container.links)));
  container.text.clear();
  container.links.clear();
  ReleaseWaiting(container.element);
  return container.element;
}

void DocxTree::ReleaseWaiting(std::int32_t anchor) {
  if (waiting_depth_ > 0 || waiting_.empty()) return;
  std::vector<std::int32_t> placed;
  placed.reserve(waiting_.size());
  for (const Waiting& element : std::exchange(waiting_, {})) {
    std::int32_t parent = element.parent == kAnchor ? anchor : element.parent;
    if (parent < 0) parent = placed[static_cast<std::size_t>(kFirstWaiting - parent)];
    placed.push_back(sink_.Add(parent, element.type, element.text, element.location, element.level, element.metadata));
  }
}

void DocxTree::CloseList(Container& container) {
  container.list = 0;
  container.list_element = -1;
}

void DocxTree::OpenTable() {
  if (containers_.empty()) return;
  Container& around = containers_.back();
  CloseList(around);
  Table table;
  table.parent = Place(around);
  table.location = Numbered(around.location, "table", ++around.tables);
  table.container = containers_.size();
  tables_.push_back(std::move(table));
}

void DocxTree::SetTableCaption(std::string_view caption) {
  if (in_table()) tables_.back().caption = caption;
}

void DocxTree::OpenRow() {
  if (!in_table()) return;
  Table& table = tables_.back();
  ++table.rows;
  table.cells = 0;
  table.row_element = -1;
  table.header_row = false;
}

void DocxTree::SetRowIsHeader() {
  if (in_table()) tables_.back().header_row = true;
}

void DocxTree::PlaceRow(Table& table) {
  if (table.element == -1) {
    table.element = Add(table.parent, ElementType::kTable, table.caption, table.location, 0, {});
  }
  if (table.row_element == -1) {
    table.row_element = Add(table.element, ElementType::kTableRow, {}, Numbered(table.location, "row", table.rows), 0,
                            table.header_row ? R"({"header":true})" : "");
  }
}

void DocxTree::OpenCell() {
  Container cell;
  cell.type = ElementType::kTableCell;
  if (waiting_depth_ > 0) cell.parent = kAnchor;
  if (in_table()) {
    Table& table = tables_.back();
    PlaceRow(table);
    cell.type = table.header_row ? ElementType::kTableHeaderCell : ElementType::kTableCell;
    cell.parent = table.row_element;
    cell.location = Numbered(Numbered(table.location, "row", table.rows), "cell", ++table.cells);
  }
  containers_.push_back(std::move(cell));
}

void DocxTree::SetCellSpan(int columns) {
  if (columns > 1) AppendMember(containers_.back().metadata, "\"column_span\":" + std::to_string(columns));
}

void DocxTree::SetCellMerge(bool starts) {
  AppendMember(containers_.back().metadata, starts ? R"("row_merge":"start")" : R"("row_merge":"continued")");
}

void DocxTree::CloseTable() {
  if (in_table()) tables_.pop_back();
}

void DocxTree::BeginParagraph() {
  if (!containers_.empty()) ++containers_.back().paragraphs;
}

std::string DocxTree::Here() const {
  if (containers_.empty()) return {};
  const Container& container = containers_.back();
  return container.body ? Numbered({}, "paragraph", std::max(container.paragraphs, 1)) : container.location;
}

void DocxTree::AddParagraph(DocxParagraph paragraph) {
  if (containers_.empty()) return;
  Container& container = containers_.back();
  paragraph.text = CleanText(paragraph.text);
  if (paragraph.links.size() > kMaxLinks) paragraph.links.resize(kMaxLinks);
  if (container.body) return AddToBody(container, paragraph);
  if (container.element == -1) {
    if (!container.text.empty() && !paragraph.text.empty()) container.text += '\n';
    container.text += paragraph.text;
    for (std::string& link : paragraph.links) {
      if (container.links.size() < kMaxLinks) container.links.push_back(std::move(link));
    }
    return;
  }
  if (!paragraph.text.empty()) {
    Add(container.element, ElementType::kParagraph, paragraph.text, container.location, 0,
        Object(LinksMember(paragraph.links)));
  }
  ReleaseWaiting(container.element);
}

void DocxTree::AddToBody(Container& body, const DocxParagraph& paragraph) {
  if (paragraph.text.empty()) return ReleaseWaiting(0);
  const std::string location = Here();
  const std::string metadata = Object(LinksMember(paragraph.links));
  const int heading = paragraph.outline == -1 ? paragraph.style.heading : (paragraph.outline + 1) % 10;
  const int list = paragraph.list == -1 ? paragraph.style.list : paragraph.list;
  if (heading > 0) {
    CloseList(body);
    Add(0, ElementType::kHeader, paragraph.text, location, std::min(heading, 6), metadata);
  } else if (list > 0) {
    const int level = std::clamp(paragraph.list_level == -1 ? paragraph.style.list_level : paragraph.list_level, 0, 8);
    if (body.list != list) {
      body.list = list;
      body.list_element = Add(0, ElementType::kList, {}, location, 0,
                              numbering_.IsOrdered(list, level) ? R"({"ordered":true})" : R"({"ordered":false})");
    }
    Add(body.list_element, ElementType::kListItem, paragraph.text, location, level + 1, metadata);
  } else {
    CloseList(body);
    Add(0, paragraph.style.type, paragraph.text, location, 0, metadata);
  }
  ReleaseWaiting(0);
}

void DocxTree::AddInline(ElementType type, std::string_view text, std::string metadata) {
  if (containers_.empty()) return;
  const Container& container = containers_.back();
  const std::int32_t parent = waiting_depth_ > 0 && container.element != -1 ? container.element : kAnchor;
  waiting_.push_back({parent, type, 0, CleanText(text), Here(), std::move(metadata)});
}

std::int32_t DocxTree::AddBlock(ElementType type, std::string_view text, std::string metadata) {
  if (containers_.empty()) return 0;
  CloseList(containers_.back());
  return Add(Place(containers_.back()), type, text, Here(), 0, metadata);
}

}  // namespace millrace::documents
