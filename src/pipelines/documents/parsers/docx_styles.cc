#include "pipelines/documents/parsers/docx_styles.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "pipelines/documents/parsers/ooxml_reader.h"

namespace millrace::documents {
namespace {

constexpr int kMaxInheritance = 32;
constexpr std::size_t kMaxStyles = 20'000;

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// "heading 3" and "Heading3" are 3, "title" is 1, all else 0.
int HeadingOfName(std::string_view name) {
  std::string lower = Lower(name);
  if (lower == "title") return 1;
  if (!lower.starts_with("heading")) return 0;
  lower.erase(0, 7);
  if (!lower.empty() && lower.front() == ' ') lower.erase(0, 1);
  return lower.size() == 1 && lower[0] >= '1' && lower[0] <= '9' ? lower[0] - '0' : 0;
}

ElementType TypeOfName(std::string_view name) {
  const std::string lower = Lower(name);
  if (lower == "quote" || lower == "intense quote" || lower == "block text") return ElementType::kBlockquote;
  if (lower == "caption") return ElementType::kCaption;
  if (lower == "html preformatted" || lower == "macro" || lower == "source code") {
    return ElementType::kPreformatted;
  }
  return ElementType::kParagraph;
}

struct RawStyle {
  std::string name;
  std::string based_on;
  std::optional<int> outline;  // 0 to 8; 9 is body text
  std::optional<int> list;
  std::optional<int> list_level;
};

class StylesHandler : public OoxmlHandler {
 public:
  void Start(OoxmlTag tag, const OoxmlAttributes& attributes) override {
    if (tag == OoxmlTag::kStyle) {
      const std::string_view type = attributes.Get("type");
      current_ = type.empty() || type == "paragraph" ? Open(attributes.Get("styleId")) : nullptr;
      return;
    }
    if (tag == OoxmlTag::kChange || tag == OoxmlTag::kRPr || tag == OoxmlTag::kLatentStyles) return SkipElement();
    if (current_ == nullptr) return;
    if (tag == OoxmlTag::kStyleName) current_->name = attributes.Get("val");
    if (tag == OoxmlTag::kBasedOn) current_->based_on = attributes.Get("val");
    if (tag == OoxmlTag::kOutlineLvl) current_->outline = attributes.Number("val", 9);
    if (tag == OoxmlTag::kNumId) current_->list = attributes.Number("val", 0);
    if (tag == OoxmlTag::kIlvl) current_->list_level = attributes.Number("val", 0);
  }
  void End(OoxmlTag tag) override {
    if (tag == OoxmlTag::kStyle) current_ = nullptr;
  }
  void Text(std::string_view) override {}

  // What the style and those it is based on say; the nearest says it.
  [[nodiscard]] DocxStyle Resolve(const RawStyle& raw) const {
    DocxStyle style;
    style.type = TypeOfName(raw.name);
    std::optional<int> heading;
    std::optional<int> list;
    std::optional<int> list_level;
    const RawStyle* at = &raw;
    for (int i = 0; i < kMaxInheritance && at != nullptr; ++i) {
      if (!heading && at->outline) heading = *at->outline >= 0 && *at->outline < 9 ? *at->outline + 1 : 0;
      if (!heading && HeadingOfName(at->name) != 0) heading = HeadingOfName(at->name);
      if (!list) list = at->list;
      if (!list_level) list_level = at->list_level;
      const auto base = styles.find(at->based_on);
      at = base == styles.end() ? nullptr : &base->second;
    }
    style.heading = heading.value_or(0);
    style.list = list.value_or(0);
    style.list_level = list_level.value_or(0);
    return style;
  }

  std::unordered_map<std::string, RawStyle> styles;

 private:
  RawStyle* Open(std::string_view id) { return styles.size() < kMaxStyles ? &styles[std::string(id)] : nullptr; }

  RawStyle* current_ = nullptr;
};

class NumberingHandler : public OoxmlHandler {
 public:
  using Levels = std::array<bool, 9>;

  void Start(OoxmlTag tag, const OoxmlAttributes& attributes) override {
    switch (tag) {
      case OoxmlTag::kAbstractNum:
        levels_ = &abstract[attributes.Number("abstractNumId", -1)];
        break;
      case OoxmlTag::kNum:
        levels_ = nullptr;
        number_ = attributes.Number("numId", -1);
        break;
      case OoxmlTag::kAbstractNumId:
        if (number_ >= 0) levels_ = &(numbers[number_] = abstract[attributes.Number("val", -1)]);
        break;
      case OoxmlTag::kLvl:
      case OoxmlTag::kLvlOverride:
        level_ = attributes.Number("ilvl", -1);
        break;
      case OoxmlTag::kNumFmt:
        if (levels_ != nullptr && level_ >= 0 && level_ < 9) {
          const std::string_view format = attributes.Get("val");
          (*levels_)[static_cast<std::size_t>(level_)] = format != "bullet" && format != "none" && !format.empty();
        }
        break;
      default:
        break;
    }
  }
  void End(OoxmlTag tag) override {
    if (tag == OoxmlTag::kAbstractNum) levels_ = nullptr;
    if (tag == OoxmlTag::kNum) number_ = -1;
    if (tag == OoxmlTag::kNum) levels_ = nullptr;
  }
  void Text(std::string_view) override {}

  std::unordered_map<int, Levels> abstract;
  std::unordered_map<int, Levels> numbers;

 private:
  Levels* levels_ = nullptr;
  int number_ = -1;
  int level_ = -1;
};

}  // namespace

Result<DocxStyles> DocxStyles::Read(ZipArchive& zip, std::string_view part) {
  StylesHandler handler;
  if (auto r = OoxmlReader::Read(zip, part, handler); !r) return fail(r.error());
  DocxStyles styles;
  for (const auto& [id, raw] : handler.styles) styles.styles_.emplace(id, handler.Resolve(raw));
  return styles;
}

DocxStyle DocxStyles::Find(std::string_view id) const {
  if (id.empty()) return {};
  if (const auto found = styles_.find(std::string(id)); found != styles_.end()) return found->second;
  DocxStyle style;
  style.heading = HeadingOfName(id);
  return style;
}

Result<DocxNumbering> DocxNumbering::Read(ZipArchive& zip, std::string_view part) {
  NumberingHandler handler;
  if (auto r = OoxmlReader::Read(zip, part, handler); !r) return fail(r.error());
  DocxNumbering numbering;
  for (const auto& [id, levels] : handler.numbers) numbering.numberings_[id].ordered = levels;
  return numbering;
}

bool DocxNumbering::IsOrdered(int id, int level) const {
  const auto found = numberings_.find(id);
  if (found == numberings_.end() || level < 0 || level >= 9) return false;
  return found->second.ordered[static_cast<std::size_t>(level)];
}

}  // namespace millrace::documents
