#include "pipelines/documents/parsers/docx_body.h"

#include <algorithm>
#include <utility>

#include "base/json.h"

namespace millrace::documents {
namespace {

using Tag = OoxmlTag;

constexpr std::size_t kMaxFields = 64;
constexpr std::size_t kMaxFieldCode = 8 << 10;
constexpr std::size_t kMaxTextBoxes = 64;  // within each other
constexpr int kMaxTables = 50;             // within each other; what is deeper is text of the cell around it

// The target of a field code such as ` HYPERLINK "http://x" \o "tip" `; empty for other codes.
std::string HyperlinkOfCode(std::string_view code) {
  const std::size_t start = code.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos || !code.substr(start).starts_with("HYPERLINK")) return {};
  const std::size_t open = code.find('"', start);
  if (open == std::string_view::npos) return {};
  const std::size_t close = code.find('"', open + 1);
  if (close == std::string_view::npos) return {};
  const std::string_view before = code.substr(start, open - start);
  const std::string target(code.substr(open + 1, close - open - 1));
  return before.find("\\l") != std::string_view::npos ? "#" + target : target;
}

void AppendUtf8(std::string& out, unsigned code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xE0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

// The character of <w:sym w:char="2192"/>; nothing for those of symbol fonts, which only the font can tell.
std::string SymbolText(std::string_view hex) {
  unsigned code = 0;
  for (const char c : hex) {
    const auto digit = std::string_view("0123456789abcdef").find(static_cast<char>(c >= 'A' && c <= 'F' ? c + 32 : c));
    if (digit == std::string_view::npos || code > 0xFFF) return {};
    code = code * 16 + static_cast<unsigned>(digit);
  }
  if (code < 0x20 || (code >= 0xD800 && code < 0xF900)) return {};
  std::string out;
  AppendUtf8(out, code);
  return out;
}

std::string Member(std::string_view name, std::string_view value) {
  if (value.empty()) return {};
  return base::JsonQuote(name) + ":" + base::JsonQuote(value);
}

std::string Joined(std::initializer_list<std::string> members) {
  std::string out;
  for (const std::string& member : members) {
    if (member.empty()) continue;
    if (!out.empty()) out += ',';
    out += member;
  }
  return out;
}

}  // namespace

void DocxBodyHandler::Start(OoxmlTag tag, const OoxmlAttributes& attributes) {
  // What most elements are comes first.
  if (tag == Tag::kOther) return;
  if (tag == Tag::kT || tag == Tag::kDrawingText) {
    taking_text_ = true;
    return;
  }
  if (tag == Tag::kP) return StartParagraph();
  if (StartProperty(tag, attributes) || StartInline(tag, attributes) || StartTable(tag, attributes) ||
      StartDrawing(tag, attributes)) {
    return;
  }
  StartStructure(tag, attributes);
}

bool DocxBodyHandler::StartProperty(OoxmlTag tag, const OoxmlAttributes& attributes) {
  switch (tag) {
    case Tag::kPPr:
      in_paragraph_properties_ = true;
      return true;
    case Tag::kRPr:
      if (in_paragraph_properties_) in_mark_properties_ = true;
      return true;
    case Tag::kChange:
    case Tag::kSdtPr:
      SkipElement();
      return true;
    case Tag::kPStyle:
      flow().paragraph.style = context_.styles.Find(attributes.Get("val"));
      return true;
    case Tag::kOutlineLvl:
      flow().paragraph.outline = std::clamp(attributes.Number("val", 9), 0, 9);
      return true;
    case Tag::kNumId:
      flow().paragraph.list = std::max(attributes.Number("val", 0), 0);
      return true;
    case Tag::kIlvl:
      flow().paragraph.list_level = std::clamp(attributes.Number("val", 0), 0, 8);
      return true;
    case Tag::kDel:
      StartDeletion();
      return true;
    case Tag::kMoveFrom:
      SkipElement();
      return true;
    default:
      return false;
  }
}

void DocxBodyHandler::StartDeletion() {
  if (in_mark_properties_) flow().paragraph.mark_deleted = true;
  if (in_row_properties_) row_deleted_ = true;
  SkipElement();
}

bool DocxBodyHandler::StartInline(OoxmlTag tag, const OoxmlAttributes& attributes) {
  switch (tag) {
    case Tag::kTab:
      // The same name stands for a tab stop among the properties.
      if (!in_paragraph_properties_) Append(" ");
      return true;
    case Tag::kBr:
    case Tag::kCr:
      Append("\n");
      return true;
    case Tag::kNoBreakHyphen:
      Append("-");
      return true;
    case Tag::kSym:
      Append(SymbolText(attributes.Get("char")));
      return true;
    case Tag::kInstrText:
      taking_code_ = true;
      return true;
    case Tag::kFldChar:
      FieldChar(attributes.Get("fldCharType"));
      return true;
    case Tag::kFldSimple:
      AddLink(HyperlinkOfCode(attributes.Get("instr")));
      return true;
    case Tag::kRt:  // the reading beside a character
      SkipElement();
      return true;
    case Tag::kHyperlink:
      if (const auto* target = relationships_.ById(attributes.Relationship("id")); target != nullptr) {
        AddLink(target->target);
      } else if (const std::string_view anchor = attributes.Get("anchor"); !anchor.empty()) {
        AddLink("#" + std::string(anchor));
      }
      return true;
    default:
      return false;
  }
}

bool DocxBodyHandler::StartTable(OoxmlTag tag, const OoxmlAttributes& attributes) {
  if (tag == Tag::kTbl && ++table_depth_ > kMaxTables) {
    context_.sink.Warn("tables nested more than " + std::to_string(kMaxTables) + " deep were read as text");
  }
  if (table_depth_ > kMaxTables) return false;
  switch (tag) {
    case Tag::kTbl:
      FlushDeletedMark();
      tree_.OpenTable();
      return true;
    case Tag::kTblCaption:
      tree_.SetTableCaption(attributes.Get("val"));
      return true;
    case Tag::kTr:
      row_deleted_ = false;
      tree_.OpenRow();
      return true;
    case Tag::kTrPr:
      in_row_properties_ = true;
      return true;
    case Tag::kTblHeader:
      if (attributes.On()) tree_.SetRowIsHeader();
      return true;
    case Tag::kTc:
      if (row_deleted_) {
        SkipElement();
      } else {
        tree_.OpenCell();
      }
      return true;
    case Tag::kGridSpan:
      if (tree_.in_container()) tree_.SetCellSpan(std::min(attributes.Number("val", 1), 1000));
      return true;
    case Tag::kVMerge:
      if (tree_.in_container()) tree_.SetCellMerge(attributes.Get("val") == "restart");
      return true;
    default:
      return false;
  }
}

bool DocxBodyHandler::StartDrawing(OoxmlTag tag, const OoxmlAttributes& attributes) {
  switch (tag) {
    case Tag::kDocPr:
    case Tag::kPicturePr: {
      std::string_view text = attributes.Get("descr");
      if (text.empty()) text = attributes.Get("title");
      if (!text.empty() || tag == Tag::kDocPr) flow().picture_text = text;
      return true;
    }
    case Tag::kBlip: {
      const std::string_view embedded = attributes.Relationship("embed");
      AddImage(embedded.empty() ? attributes.Relationship("link") : embedded, flow().picture_text);
      return true;
    }
    case Tag::kImageData:
      AddImage(attributes.Relationship("id"), attributes.Get("title"));
      return true;
    case Tag::kOleObject:
      AddEmbedded(attributes);
      return true;
    case Tag::kChartReference:
    case Tag::kDiagramReference: {
      const bool chart = tag == Tag::kChartReference;
      const auto* target = relationships_.ById(attributes.Relationship(chart ? "id" : "dm"));
      if (target != nullptr && !target->external) {
        context_.drawings.push_back({target->target, chart ? "chart" : "diagram", tree_.Here()});
      }
      return true;
    }
    case Tag::kAlternateContent:
    case Tag::kChoice:
    case Tag::kFallback:
      StartAlternative(tag);
      return true;
    default:
      return false;
  }
}

void DocxBodyHandler::StartAlternative(OoxmlTag tag) {
  if (tag == Tag::kAlternateContent) {
    alternatives_.push_back(false);
  } else if (!alternatives_.empty() && alternatives_.back()) {
    SkipElement();
  } else if (!alternatives_.empty()) {
    alternatives_.back() = true;
  }
}

bool DocxBodyHandler::StartStructure(OoxmlTag tag, const OoxmlAttributes& attributes) {
  switch (tag) {
    case Tag::kDocument:
      was_document_ = true;
      return true;
    case Tag::kBody:
      tree_.OpenBody();
      return true;
    case Tag::kFootnote:
      StartNote(ElementType::kFootnote, attributes);
      return true;
    case Tag::kEndnote:
      StartNote(ElementType::kEndnote, attributes);
      return true;
    case Tag::kComment:
      tree_.OpenPart(ElementType::kComment, "comment " + std::to_string(++notes_),
                     Joined({Member("author", attributes.Get("author")), Member("date", attributes.Get("date"))}));
      return true;
    case Tag::kHdr:
      tree_.OpenPart(ElementType::kPageHeader, "header " + std::to_string(number_));
      return true;
    case Tag::kFtr:
      tree_.OpenPart(ElementType::kPageFooter, "footer " + std::to_string(number_));
      return true;
    case Tag::kTxbxContent:
      if (text_.size() > kMaxTextBoxes) {
        SkipElement();
        context_.sink.Warn("text boxes nested more than " + std::to_string(kMaxTextBoxes) + " deep were left out");
      } else {
        tree_.OpenTextBox();
        text_.emplace_back();
      }
      return true;
    case Tag::kAltChunk:
      AddAltChunk(attributes.Relationship("id"));
      return true;
    default:
      return false;
  }
}

void DocxBodyHandler::StartNote(ElementType type, const OoxmlAttributes& attributes) {
  const std::string_view kind = attributes.Get("type");
  if (!kind.empty() && kind != "normal") return SkipElement();  // the line between text and notes
  const char* word = type == ElementType::kFootnote ? "footnote " : "endnote ";
  tree_.OpenPart(type, word + std::to_string(++notes_));
}

void DocxBodyHandler::StartParagraph() {
  Flow& now = flow();
  if (now.paragraph.mark_deleted) {
    // The paragraph before goes on here, and takes this one's properties.
    DocxParagraph next;
    next.text = std::move(now.paragraph.text);
    next.links = std::move(now.paragraph.links);
    now.paragraph = std::move(next);
  } else {
    now.paragraph = DocxParagraph();
    tree_.BeginParagraph();
  }
  now.in_paragraph = true;
}

void DocxBodyHandler::EndParagraph() {
  Flow& now = flow();
  now.in_paragraph = false;
  for (Field& field : now.fields) field.code_open = false;
  if (now.paragraph.mark_deleted) return;
  tree_.AddParagraph(std::exchange(now.paragraph, {}));
}

// What a container's last paragraph ran on into is not there.
void DocxBodyHandler::FlushDeletedMark() {
  if (flow().paragraph.mark_deleted && !flow().in_paragraph) tree_.AddParagraph(std::exchange(flow().paragraph, {}));
}

void DocxBodyHandler::FieldChar(std::string_view type) {
  std::vector<Field>& fields = flow().fields;
  if (type == "begin") {
    if (fields.size() < kMaxFields) fields.emplace_back();
  } else if (fields.empty()) {
    return;
  } else if (type == "separate") {
    fields.back().in_result = true;
    AddLink(HyperlinkOfCode(fields.back().code));
  } else if (type == "end") {
    fields.pop_back();
  }
}

bool DocxBodyHandler::Hidden() const {
  const std::vector<Field>& fields = text_.back().fields;
  return std::any_of(fields.begin(), fields.end(), [](const Field& f) { return !f.in_result && f.code_open; });
}

void DocxBodyHandler::AddLink(std::string link) {
  std::vector<std::string>& links = flow().paragraph.links;
  if (link.empty() || std::find(links.begin(), links.end(), link) != links.end() || links.size() >= 1000) return;
  links.push_back(std::move(link));
}

void DocxBodyHandler::AddImage(std::string_view relationship, std::string_view text) {
  const auto* target = relationships_.ById(relationship);
  if (target == nullptr) return;
  const std::string where = target->external ? Member("link", target->target) : Member("part", target->target);
  tree_.AddInline(ElementType::kImage, text, "{" + Joined({Member("name", BaseName(target->target)), where}) + "}");
}

void DocxBodyHandler::AddEmbedded(const OoxmlAttributes& attributes) {
  const auto* target = relationships_.ById(attributes.Relationship("id"));
  if (target == nullptr) return;
  const std::string where = target->external ? Member("link", target->target) : Member("part", target->target);
  tree_.AddInline(ElementType::kEmbedded, BaseName(target->target),
                  "{" + Joined({Member("program", attributes.Get("ProgID")), where}) + "}");
}

void DocxBodyHandler::AddAltChunk(std::string_view relationship) {
  const auto* target = relationships_.ById(relationship);
  if (target == nullptr || target->external) {
    context_.sink.Warn("an embedded document (altChunk) names no part and was left out");
    return;
  }
  if (tree_.waiting() || !context_.alt_chunk) {
    context_.sink.Warn("the embedded document '" + target->target + "' (altChunk in a text box) was left out");
    return;
  }
  const std::string location = tree_.Here() + " embedded " + std::string(BaseName(target->target));
  const std::int32_t parent = tree_.AddBlock(ElementType::kEmbedded, {}, "{" + Member("part", target->target) + "}");
  context_.alt_chunk(target->target, parent, location);
}

void DocxBodyHandler::Append(std::string_view text) {
  if (flow().in_paragraph && !Hidden()) flow().paragraph.text += text;
}

void DocxBodyHandler::Text(std::string_view text) {
  if (taking_text_) return Append(text);
  if (!taking_code_ || flow().fields.empty()) return;
  std::string& code = flow().fields.back().code;
  if (code.size() < kMaxFieldCode) code.append(text.substr(0, kMaxFieldCode));
}

void DocxBodyHandler::End(OoxmlTag tag) {
  switch (tag) {
    case Tag::kT:
    case Tag::kDrawingText:
      taking_text_ = false;
      break;
    case Tag::kP:
      EndParagraph();
      break;
    case Tag::kPPr:
      in_paragraph_properties_ = false;
      break;
    case Tag::kRPr:
      in_mark_properties_ = false;
      break;
    case Tag::kTrPr:
      in_row_properties_ = false;
      break;
    case Tag::kInstrText:
      taking_code_ = false;
      break;
    case Tag::kDrawingParagraph:
      Append("\n");
      break;
    case Tag::kTbl:
      if (table_depth_-- <= kMaxTables) tree_.CloseTable();
      break;
    case Tag::kTc:
      if (table_depth_ > kMaxTables) break;
      FlushDeletedMark();
      tree_.CloseCell();
      break;
    case Tag::kTxbxContent:
      FlushDeletedMark();
      tree_.CloseContainer();
      text_.pop_back();
      break;
    case Tag::kBody:
    case Tag::kFootnote:
    case Tag::kEndnote:
    case Tag::kComment:
    case Tag::kHdr:
    case Tag::kFtr:
      FlushDeletedMark();
      tree_.CloseContainer();
      break;
    case Tag::kAlternateContent:
      alternatives_.pop_back();
      break;
    default:
      break;
  }
}

}  // namespace millrace::documents
