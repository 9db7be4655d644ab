#include "pipelines/documents/parsers/html_walk.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>

#include "base/json.h"

namespace millrace::documents {
namespace {

// What an element means for the walk.
enum class Kind : std::uint8_t {
  kInline,   // part of the flow
  kBlock,    // separates text, adds nothing itself
  kOwner,    // a block that is an element of the output
  kSkip,     // left out with all its content
  kSpecial,  // inline, but more than its text
};

constexpr auto kKinds = [] {
  std::array<Kind, static_cast<std::size_t>(HtmlTag::kCount)> kinds{};
  const auto set = [&](Kind kind, std::initializer_list<HtmlTag> tags) {
    for (const HtmlTag tag : tags) kinds[static_cast<std::size_t>(tag)] = kind;
  };
  set(Kind::kBlock, {HtmlTag::kAddress, HtmlTag::kArticle, HtmlTag::kAside,    HtmlTag::kBody,     HtmlTag::kCenter,
                     HtmlTag::kDetails, HtmlTag::kDialog,  HtmlTag::kDiv,      HtmlTag::kFieldset, HtmlTag::kFigure,
                     HtmlTag::kFooter,  HtmlTag::kForm,    HtmlTag::kFrameset, HtmlTag::kHead,     HtmlTag::kHeader,
                     HtmlTag::kHgroup,  HtmlTag::kHtml,    HtmlTag::kLegend,   HtmlTag::kMain,     HtmlTag::kNav,
                     HtmlTag::kP,       HtmlTag::kSection, HtmlTag::kSummary,  HtmlTag::kSvgText,  HtmlTag::kTbody,
                     HtmlTag::kTfoot,   HtmlTag::kThead});
  set(Kind::kOwner, {HtmlTag::kBlockquote, HtmlTag::kCaption,    HtmlTag::kDd, HtmlTag::kDir,       HtmlTag::kDl,
                     HtmlTag::kDt,         HtmlTag::kFigcaption, HtmlTag::kH1, HtmlTag::kH2,        HtmlTag::kH3,
                     HtmlTag::kH4,         HtmlTag::kH5,         HtmlTag::kH6, HtmlTag::kHr,        HtmlTag::kLi,
                     HtmlTag::kMenu,       HtmlTag::kListing,    HtmlTag::kOl, HtmlTag::kPlaintext, HtmlTag::kPre,
                     HtmlTag::kSelect,     HtmlTag::kTable,      HtmlTag::kTd, HtmlTag::kTextarea,  HtmlTag::kTh,
                     HtmlTag::kTr,         HtmlTag::kUl,         HtmlTag::kXmp});
  set(Kind::kSkip, {HtmlTag::kDatalist, HtmlTag::kIframe, HtmlTag::kNoembed, HtmlTag::kNoframes, HtmlTag::kNoscript,
                    HtmlTag::kScript, HtmlTag::kStyle, HtmlTag::kTemplate});
  set(Kind::kSpecial, {HtmlTag::kA, HtmlTag::kBr, HtmlTag::kButton, HtmlTag::kImg, HtmlTag::kInput, HtmlTag::kMeta,
                       HtmlTag::kOptgroup, HtmlTag::kOption, HtmlTag::kTitle});
  return kinds;
}();

// {"name":123} of an attribute that is a number above 1, else empty.
std::string SpanJson(HtmlNode node, std::string_view name) {
  int value = 0;
  const std::string_view text = TrimHtml(node.Attribute(name));
  std::from_chars(text.data(), text.data() + text.size(), value);
  if (value <= 1 || value > 65534) return {};
  return "{" + base::JsonQuote(name) + ":" + std::to_string(value) + "}";
}

// The <code> that is all of a <pre>, if it is so.
HtmlNode OnlyCode(HtmlNode pre) {
  HtmlNode code;
  for (HtmlNode child = pre.first_child(); child; child = child.next()) {
    if (child.tag() == HtmlTag::kText && TrimHtml(child.text()).empty()) continue;
    if (code || child.tag() != HtmlTag::kCode) return {};
    code = child;
  }
  return code;
}

// {"language":"x"} of a class such as "language-x", else empty.
std::string LanguageJson(HtmlNode code) {
  const std::string_view classes = code.Attribute("class");
  for (const std::string_view prefix : {"language-", "lang-"}) {
    const std::size_t at = classes.find(prefix);
    if (at == std::string_view::npos) continue;
    const std::string_view rest = classes.substr(at + prefix.size());
    return R"({"language":)" + base::JsonQuote(rest.substr(0, std::min<std::size_t>(rest.find(' '), 40))) + "}";
  }
  return {};
}

// An address as JSON text; one that holds its data itself only by its kind.
std::string AddressJson(std::string_view name, std::string_view address) {
  if (StartsIgnoringCase(address, "data:")) address = address.substr(0, std::min<std::size_t>(address.find(','), 60));
  return address.empty() ? std::string() : "{" + base::JsonQuote(name) + ":" + base::JsonQuote(address) + "}";
}

// An element's name as CSS writes it, cut when made to be long.
void AppendName(std::string& out, std::string_view name) {
  for (const char c : name.substr(0, 40)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '_' || static_cast<unsigned char>(c) >= 0x80;
    if (!plain) out += '\\';
    out += c;
  }
}

std::string Collapsed(std::string_view text) {
  HtmlFlow flow;
  flow.Append(text);
  return std::string(flow.Text(false));
}

}  // namespace

void HtmlWalk::Run(HtmlNode document) {
  Owner root;
  root.index = 0;
  owners_.push_back(root);
  added_ = 1;
  Walk(document);
  Flush();
}

void HtmlWalk::Walk(HtmlNode document) {
  HtmlNode node = document.first_child();
  while (node) {
    if (Enter(node)) {
      if (const HtmlNode child = node.first_child()) {
        node = child;
        continue;
      }
      Leave();
    }
    node = node.next();
    while (!node && !open_.empty()) {
      node = open_.back().node.next();
      Leave();
    }
  }
}

// Opens an element, or takes a whole node; whether it was opened.
bool HtmlWalk::Enter(HtmlNode node) {
  const HtmlTag tag = node.tag();
  const bool as_is = !open_.empty() && open_.back().as_is;
  if (tag == HtmlTag::kText) {
    as_is ? flow_.AppendAsIs(node.text()) : flow_.Append(node.text());
    return false;
  }
  if (tag == HtmlTag::kComment) return false;
  const auto number = static_cast<std::uint32_t>(counts_.Next(node.name_id()));
  const Kind kind = kKinds[static_cast<std::size_t>(tag)];
  if (kind == Kind::kSkip) return false;
  if (kind == Kind::kBlock || kind == Kind::kOwner) Flush();
  Open& open = open_.emplace_back();
  open.node = node;
  open.number = number;
  open.as_is = as_is;
  open.around = block_depth_;
  counts_.Enter();
  if (kind == Kind::kBlock || kind == Kind::kOwner) {
    EnterBlock(node, tag, kind == Kind::kOwner);
  } else if (kind == Kind::kSpecial && !EnterInline(node, tag)) {
    Leave();
    return false;
  }
  return true;
}

void HtmlWalk::EnterBlock(HtmlNode node, HtmlTag tag, bool owner) {
  Open& open = open_.back();
  open.block = true;
  block_depth_ = open_.size();
  if (tag == HtmlTag::kHtml) metadata_.Html(node);
  if (!owner) return;
  open.owner = true;
  owners_.push_back(OwnerOf(tag, node));
  owners_.back().depth = open_.size();
  const ElementType type = owners_.back().type;
  open.as_is =
      open.as_is || type == ElementType::kPreformatted || type == ElementType::kCodeBlock || tag == HtmlTag::kTextarea;
}

// Whether the element is to be walked into.
bool HtmlWalk::EnterInline(HtmlNode node, HtmlTag tag) {
  switch (tag) {
    case HtmlTag::kA:
      if (const auto href = TrimHtml(node.Attribute("href"));
          !href.empty() && !StartsIgnoringCase(href, "javascript:")) {
        flow_.OpenLink(href);
        open_.back().link = true;
      }
      return true;
    case HtmlTag::kBr:
      flow_.Break();
      return false;
    case HtmlTag::kImg:
      AddImage(node);
      return false;
    case HtmlTag::kInput:
      AddInput(node);
      return false;
    case HtmlTag::kMeta:
      metadata_.Meta(node);
      return false;
    case HtmlTag::kTitle:
      if (const HtmlTag in = node.parent().tag(); in != HtmlTag::kHead && in != HtmlTag::kBody) return true;
      metadata_.Title(node);
      return false;
    case HtmlTag::kOption:
    case HtmlTag::kOptgroup:
      flow_.Break();
      return true;
    default:  // a button
      flow_.Space();
      open_.back().spaced = true;
      return true;
  }
}

void HtmlWalk::Leave() {
  const Open& open = open_.back();
  if (open.block) {
    Flush();
    if (open.owner) {
      if (owners_.back().keep_empty) AddOwners({}, {});
      owners_.pop_back();
      added_ = std::min(added_, owners_.size());
    }
    block_depth_ = open.around;
  }
  if (open.link) flow_.CloseLink();
  if (open.spaced) flow_.Space();
  if (path_.depth() >= open_.size()) path_.Pop();
  open_.pop_back();
  counts_.Leave();
}

std::int16_t HtmlWalk::ListLevel() const {
  const auto lists = std::count_if(owners_.begin(), owners_.end(),
                                   [](const Owner& owner) { return owner.type == ElementType::kList; });
  return static_cast<std::int16_t>(std::max<std::ptrdiff_t>(lists, 1));
}

HtmlWalk::Owner HtmlWalk::OwnerOf(HtmlTag tag, HtmlNode node) const {
  const auto any = [](ElementType type, int level = 0) {
    return Owner{type, TakesText::kAny, false, static_cast<std::int16_t>(level), -1, 0, {}};
  };
  const auto frame = [](ElementType type) { return Owner{type, TakesText::kNever, false, 0, -1, 0, {}}; };
  Owner owner;
  switch (tag) {
    case HtmlTag::kBlockquote:
      owner = any(ElementType::kBlockquote);
      owner.takes = TakesText::kDirect;
      return owner;
    case HtmlTag::kCaption:
    case HtmlTag::kFigcaption:
      return any(ElementType::kCaption);
    case HtmlTag::kDd:
      return any(ElementType::kDefinition);
    case HtmlTag::kDt:
      return any(ElementType::kDefinitionTerm);
    case HtmlTag::kDl:
      return frame(ElementType::kDefinitionList);
    case HtmlTag::kHr:
      owner = frame(ElementType::kThematicBreak);
      owner.keep_empty = true;
      return owner;
    case HtmlTag::kLi:
      return any(ElementType::kListItem, ListLevel());
    case HtmlTag::kOl:
      owner = frame(ElementType::kList);
      owner.metadata = R"({"ordered":true})";
      return owner;
    case HtmlTag::kDir:
    case HtmlTag::kMenu:
    case HtmlTag::kUl:
      return frame(ElementType::kList);
    case HtmlTag::kPre: {
      const HtmlNode code = OnlyCode(node);
      owner = any(code ? ElementType::kCodeBlock : ElementType::kPreformatted);
      if (code) owner.metadata = LanguageJson(code.HasAttribute("class") ? code : node);
      return owner;
    }
    case HtmlTag::kListing:
    case HtmlTag::kPlaintext:
    case HtmlTag::kXmp:
      return any(ElementType::kPreformatted);
    case HtmlTag::kSelect:
    case HtmlTag::kTextarea:
      return any(ElementType::kFormField);
    case HtmlTag::kTable:
      return frame(ElementType::kTable);
    case HtmlTag::kTr:
      return frame(ElementType::kTableRow);
    case HtmlTag::kTd:
    case HtmlTag::kTh:
      owner = any(tag == HtmlTag::kTd ? ElementType::kTableCell : ElementType::kTableHeaderCell);
      owner.keep_empty = true;
      owner.metadata = JoinObjects(SpanJson(node, "colspan"), SpanJson(node, "rowspan"));
      return owner;
    default:
      return any(ElementType::kHeader, 1 + static_cast<int>(tag) - static_cast<int>(HtmlTag::kH1));
  }
}

void HtmlWalk::AddImage(HtmlNode node) {
  const std::string_view source = TrimHtml(node.Attribute("src"));
  std::string text = Collapsed(node.Attribute("alt"));
  if (text.empty()) text = Collapsed(node.Attribute("title"));
  if (text.empty() && (source.empty() || StartsIgnoringCase(source, "data:"))) return;
  flow_.Add({ElementType::kImage, std::move(text), std::string(Location(open_.size())),
             JoinObjects(AddressJson("src", source), AddressJson("href", flow_.href()))});
}

// Fields that show text; what people typed or chose is not part of a page.
void HtmlWalk::AddInput(HtmlNode node) {
  const std::string_view type = TrimHtml(node.Attribute("type"));
  for (const std::string_view silent : {"hidden", "password", "file", "checkbox", "radio", "image", "color", "range"}) {
    if (EqualsIgnoringCase(type, silent)) return;
  }
  for (const std::string_view name : {"value", "placeholder", "aria-label"}) {
    std::string text = Collapsed(node.Attribute(name));
    if (text.empty()) continue;
    flow_.Add({ElementType::kFormField, std::move(text), std::string(Location(open_.size())), {}});
    return;
  }
}

// Ends a paragraph.
void HtmlWalk::Flush() {
  if (flow_.empty()) return;
  const std::string_view text = flow_.Text(!open_.empty() && open_.back().as_is);
  std::int32_t parent = -1;
  if (!text.empty()) parent = FlushText(text);
  if (!flow_.asides().empty()) {
    if (parent < 0) parent = AddOwners({}, {});
    for (const auto& aside : flow_.asides())
      sink_.Add(parent, aside.type, aside.text, aside.location, 0, aside.metadata);
  }
  flow_.Clear();
}

std::int32_t HtmlWalk::FlushText(std::string_view text) {
  const Owner& owner = owners_.back();
  const bool direct = owner.depth == block_depth_;
  if (owner.index < 0 && (owner.takes == TakesText::kAny || (owner.takes == TakesText::kDirect && direct))) {
    return AddOwners(text, flow_.LinksJson());
  }
  const std::int32_t parent = AddOwners({}, {});
  const std::string_view location = Location(block_depth_);
  if (flow_.OneLink()) {
    return sink_.Add(parent, ElementType::kLink, text, location, 0, AddressJson("href", flow_.FirstHref()));
  }
  return sink_.Add(parent, ElementType::kParagraph, text, location, 0, flow_.LinksJson());
}

// Adds the owners that are still to be added, the innermost one with this text; the innermost one's index.
std::int32_t HtmlWalk::AddOwners(std::string_view text, std::string_view metadata) {
  for (; added_ < owners_.size(); ++added_) {
    Owner& owner = owners_[added_];
    const bool last = added_ + 1 == owners_.size();
    if (last && !metadata.empty()) owner.metadata = JoinObjects(std::move(owner.metadata), metadata);
    owner.index = sink_.Add(owners_[added_ - 1].index, owner.type, last ? text : std::string_view(),
                            Location(owner.depth), owner.level, owner.metadata);
  }
  return owners_.back().index;
}

// The CSS path of the open element at this depth.
std::string_view HtmlWalk::Location(std::size_t depth) {
  while (path_.depth() < depth) {
    const Open& open = open_[path_.depth()];
    segment_.clear();
    if (path_.depth() > 0) segment_ += '>';
    AppendName(segment_, open.node.name());
    if (open.number > 1) {
      segment_ += ":nth-of-type(";
      segment_ += std::to_string(open.number);
      segment_ += ')';
    }
    path_.Push(segment_);
  }
  return path_.text(depth);
}

}  // namespace millrace::documents
