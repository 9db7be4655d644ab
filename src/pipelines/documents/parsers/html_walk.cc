#include "pipelines/documents/parsers/html_walk.h"

#include <array>
#include <charconv>

#include "base/json.h"

namespace millrace::documents {
namespace {

// What an element means for the walk.
enum class Kind : std::uint8_t {
  kInline,   // part of the flow
  kBlock,    // separates text, adds nothing itself
  kOwner,    // a block that is an element of the output
  kSkip,     // left out with all its content
  kSpecial,  // looked at on its own
};

constexpr auto kKinds = [] {
  std::array<Kind, static_cast<std::size_t>(HtmlTag::kCount)> kinds{};
  const auto set = [&](Kind kind, std::initializer_list<HtmlTag> tags) {
    for (const HtmlTag tag : tags) kinds[static_cast<std::size_t>(tag)] = kind;
  };
  set(Kind::kBlock, {HtmlTag::kBody,    HtmlTag::kAddress, HtmlTag::kArticle, HtmlTag::kAside,    HtmlTag::kCenter,
                     HtmlTag::kDetails, HtmlTag::kDialog,  HtmlTag::kDiv,     HtmlTag::kFieldset, HtmlTag::kFigure,
                     HtmlTag::kFooter,  HtmlTag::kForm,    HtmlTag::kHeader,  HtmlTag::kHgroup,   HtmlTag::kLegend,
                     HtmlTag::kMain,    HtmlTag::kNav,     HtmlTag::kP,       HtmlTag::kSection,  HtmlTag::kSummary,
                     HtmlTag::kSvgText, HtmlTag::kTbody,   HtmlTag::kTfoot,   HtmlTag::kThead,    HtmlTag::kHtml,
                     HtmlTag::kFrameset, HtmlTag::kHead});
  set(Kind::kOwner,
      {HtmlTag::kBlockquote, HtmlTag::kCaption, HtmlTag::kDd,   HtmlTag::kDir,  HtmlTag::kDl,      HtmlTag::kDt,
       HtmlTag::kFigcaption, HtmlTag::kH1,      HtmlTag::kH2,   HtmlTag::kH3,   HtmlTag::kH4,      HtmlTag::kH5,
       HtmlTag::kH6,         HtmlTag::kLi,      HtmlTag::kMenu, HtmlTag::kOl,   HtmlTag::kListing, HtmlTag::kPlaintext,
       HtmlTag::kPre,        HtmlTag::kSelect,  HtmlTag::kUl,   HtmlTag::kXmp,  HtmlTag::kTable,   HtmlTag::kTd,
       HtmlTag::kTextarea,   HtmlTag::kTh,      HtmlTag::kTr});
  set(Kind::kSkip, {HtmlTag::kComment, HtmlTag::kDatalist, HtmlTag::kIframe, HtmlTag::kNoembed, HtmlTag::kNoframes,
                    HtmlTag::kNoscript, HtmlTag::kScript, HtmlTag::kStyle, HtmlTag::kTemplate});
  set(Kind::kSpecial, {HtmlTag::kA, HtmlTag::kBr, HtmlTag::kButton, HtmlTag::kHr, HtmlTag::kImg, HtmlTag::kInput,
                       HtmlTag::kMeta, HtmlTag::kOption, HtmlTag::kOptgroup, HtmlTag::kTitle});
  return kinds;
}();

Kind KindOf(HtmlTag tag) { return kKinds[static_cast<std::size_t>(tag)]; }

enum : std::uint8_t { kPlain, kWhite, kMaybe };
constexpr auto kBytes = [] {
  std::array<std::uint8_t, 256> bytes{};
  for (const char c : {' ', '\t', '\n', '\r', '\f', '\v', '\0'}) bytes[static_cast<unsigned char>(c)] = kWhite;
  bytes[0xC2] = kMaybe;  // of a no-break space
  return bytes;
}();

std::string_view Trim(std::string_view text) {
  const auto white = [](char c) { return kBytes[static_cast<unsigned char>(c)] == kWhite; };
  while (!text.empty() && white(text.front())) text.remove_prefix(1);
  while (!text.empty() && white(text.back())) text.remove_suffix(1);
  return text;
}

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + 32) : text[i];
    if (c != lower[i]) return false;
  }
  return true;
}

bool StartsIgnoringCase(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() && EqualsIgnoringCase(text.substr(0, lower.size()), lower);
}

bool IsList(ElementType type) { return type == ElementType::kList; }

// An attribute that is a number above 1, as a member of a JSON object.
void AppendSpan(std::string& json, HtmlNode node, std::string_view name) {
  int value = 0;
  const std::string_view text = Trim(node.Attribute(name));
  std::from_chars(text.data(), text.data() + text.size(), value);
  if (value <= 1 || value > 65534) return;
  json += json.empty() ? "{" : ",";
  json += base::JsonQuote(name) + ":" + std::to_string(value);
}

}  // namespace

void HtmlWalk::Run(HtmlNode document) {
  owners_.push_back({.index = 0});
  added_ = 1;
  HtmlNode node = document.first_child();
  while (node) {
    if (Enter(node)) {
      if (const HtmlNode child = node.first_child()) {
        node = child;
        continue;
      }
      Leave();
    }
    HtmlNode next = node.next();
    while (!next && !open_.empty()) {
      next = open_.back().node.next();
      Leave();
    }
    node = next;
  }
  Flush();
}

// Opens an element, or takes a whole node; whether it was opened.
bool HtmlWalk::Enter(HtmlNode node) {
  const HtmlTag tag = node.tag();
  if (tag == HtmlTag::kText) {
    AppendText(node.text(), Preserve());
    return false;
  }
  const Kind kind = KindOf(tag);
  if (kind == Kind::kSkip && tag == HtmlTag::kComment) return false;
  Open open{.node = node, .number = static_cast<std::uint32_t>(counts_.Next(node.name_id())), .preserve = Preserve()};
  if (kind == Kind::kSkip) return false;
  open_.push_back(open);
  if (kind == Kind::kSpecial && !EnterSpecial(node, tag)) {
    path_.depth() >= open_.size() ? path_.Pop() : void();
    open_.pop_back();
    return false;
  }
  if (kind == Kind::kBlock || kind == Kind::kOwner) OpenBlock(tag, open_.back());
  if (tag == HtmlTag::kHtml) metadata_.Html(node);
  counts_.Enter();
  return true;
}

// Whether the element is to be walked into.
bool HtmlWalk::EnterSpecial(HtmlNode node, HtmlTag tag) {
  switch (tag) {
    case HtmlTag::kA:
      if (const auto href = Trim(node.Attribute("href")); !href.empty() && !StartsIgnoringCase(href, "javascript:")) {
        links_.push_back({href, flow_.size()});
        open_.back().link = true;
      }
      return true;
    case HtmlTag::kBr:
      if (!flow_.empty()) flow_ += '\n';
      space_ = false;
      return false;
    case HtmlTag::kHr:
      AddRule();
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
      if (node.parent().tag() == HtmlTag::kHead || node.parent().tag() == HtmlTag::kBody) {
        metadata_.Title(node);
        return false;
      }
      return true;
    case HtmlTag::kOption:
    case HtmlTag::kOptgroup:
      if (!flow_.empty()) flow_ += '\n';
      space_ = false;
      return true;
    default:  // a button
      space_ = true;
      return true;
  }
}

void HtmlWalk::Leave() {
  const Open& open = open_.back();
  if (open.block) {
    Flush();
    if (open.owner) {
      if (owners_.back().index < 0 && owners_.back().keep_empty) AddOwners({}, {});
      owners_.pop_back();
      added_ = std::min(added_, owners_.size());
    }
    block_depth_ = open_.size() - 1;
    while (block_depth_ > 0 && !open_[block_depth_ - 1].block) --block_depth_;
  } else if (open.link) {
    CloseLink();
  } else if (open.node.tag() == HtmlTag::kButton) {
    space_ = true;
  }
  if (path_.depth() >= open_.size()) path_.Pop();
  open_.pop_back();
  counts_.Leave();
}

// A link without text in the flow has nothing to stand for: an anchor, or one around an image, which knows it.
void HtmlWalk::CloseLink() {
  if (!links_.empty() && links_.back().begin >= flow_.size()) links_.pop_back();
}

void HtmlWalk::OpenBlock(HtmlTag tag, Open& open) {
  open.block = true;
  const std::size_t depth = open_.size();
  open_.pop_back();  // what flows until here belongs to the block around
  Open again = open;
  Flush();
  open_.push_back(again);
  block_depth_ = depth;
  if (KindOf(tag) != Kind::kOwner) return;
  Open& opened = open_.back();
  opened.owner = true;
  owners_.push_back(OwnerOf(tag, opened.node));
  owners_.back().depth = depth;
  const ElementType type = owners_.back().type;
  if (type == ElementType::kPreformatted || type == ElementType::kCodeBlock || tag == HtmlTag::kTextarea) {
    opened.preserve = true;
  }
}

}  // namespace millrace::documents
