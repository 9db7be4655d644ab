#include "pipelines/documents/parsers/html_dom.h"

#include <malloc.h>
#include <myhtml/myhtml.h>
#include <myhtml/tag.h>
#include <myhtml/tree.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <initializer_list>
#include <new>

namespace millrace::documents {
namespace {

// Formatting elements left open: each is made anew in every block that follows. Links count for more.
constexpr std::size_t kMaxFormatting = 6, kMaxOpenLinks = 12;
constexpr std::size_t kMaxNames = 300;  // element names that HTML does not know; each tag is compared with all of them
constexpr std::size_t kTokensPerLook = 4096;  // at the memory in use
constexpr std::size_t kReserve = 64u << 20;   // of memory: the program itself, and what comes after the parse
constexpr int kMaxBodyTags = 16;              // <html> and <body> tags whose attributes are merged into the first

constexpr struct {
  myhtml_tags id;
  HtmlTag tag;
} kAsked[] = {
    {MyHTML_TAG__UNDEF, HtmlTag::kDocument},
    {MyHTML_TAG__TEXT, HtmlTag::kText},
    {MyHTML_TAG__COMMENT, HtmlTag::kComment},
    {MyHTML_TAG__DOCTYPE, HtmlTag::kComment},
    {MyHTML_TAG__END_OF_FILE, HtmlTag::kComment},
    {MyHTML_TAG_HTML, HtmlTag::kHtml},
    {MyHTML_TAG_HEAD, HtmlTag::kHead},
    {MyHTML_TAG_BODY, HtmlTag::kBody},
    {MyHTML_TAG_TITLE, HtmlTag::kTitle},
    {MyHTML_TAG_META, HtmlTag::kMeta},
    {MyHTML_TAG_BASE, HtmlTag::kBase},
    {MyHTML_TAG_A, HtmlTag::kA},
    {MyHTML_TAG_ADDRESS, HtmlTag::kAddress},
    {MyHTML_TAG_ARTICLE, HtmlTag::kArticle},
    {MyHTML_TAG_ASIDE, HtmlTag::kAside},
    {MyHTML_TAG_BLOCKQUOTE, HtmlTag::kBlockquote},
    {MyHTML_TAG_BR, HtmlTag::kBr},
    {MyHTML_TAG_BUTTON, HtmlTag::kButton},
    {MyHTML_TAG_CAPTION, HtmlTag::kCaption},
    {MyHTML_TAG_CENTER, HtmlTag::kCenter},
    {MyHTML_TAG_CODE, HtmlTag::kCode},
    {MyHTML_TAG_DATALIST, HtmlTag::kDatalist},
    {MyHTML_TAG_DD, HtmlTag::kDd},
    {MyHTML_TAG_DETAILS, HtmlTag::kDetails},
    {MyHTML_TAG_DIALOG, HtmlTag::kDialog},
    {MyHTML_TAG_DIR, HtmlTag::kDir},
    {MyHTML_TAG_DIV, HtmlTag::kDiv},
    {MyHTML_TAG_DL, HtmlTag::kDl},
    {MyHTML_TAG_DT, HtmlTag::kDt},
    {MyHTML_TAG_FIELDSET, HtmlTag::kFieldset},
    {MyHTML_TAG_FIGCAPTION, HtmlTag::kFigcaption},
    {MyHTML_TAG_FIGURE, HtmlTag::kFigure},
    {MyHTML_TAG_FOOTER, HtmlTag::kFooter},
    {MyHTML_TAG_FORM, HtmlTag::kForm},
    {MyHTML_TAG_FRAMESET, HtmlTag::kFrameset},
    {MyHTML_TAG_H1, HtmlTag::kH1},
    {MyHTML_TAG_H2, HtmlTag::kH2},
    {MyHTML_TAG_H3, HtmlTag::kH3},
    {MyHTML_TAG_H4, HtmlTag::kH4},
    {MyHTML_TAG_H5, HtmlTag::kH5},
    {MyHTML_TAG_H6, HtmlTag::kH6},
    {MyHTML_TAG_HEADER, HtmlTag::kHeader},
    {MyHTML_TAG_HGROUP, HtmlTag::kHgroup},
    {MyHTML_TAG_HR, HtmlTag::kHr},
    {MyHTML_TAG_IFRAME, HtmlTag::kIframe},
    {MyHTML_TAG_IMG, HtmlTag::kImg},
    {MyHTML_TAG_INPUT, HtmlTag::kInput},
    {MyHTML_TAG_LEGEND, HtmlTag::kLegend},
    {MyHTML_TAG_LI, HtmlTag::kLi},
    {MyHTML_TAG_LISTING, HtmlTag::kListing},
    {MyHTML_TAG_MAIN, HtmlTag::kMain},
    {MyHTML_TAG_MATH, HtmlTag::kMath},
    {MyHTML_TAG_MENU, HtmlTag::kMenu},
    {MyHTML_TAG_NAV, HtmlTag::kNav},
    {MyHTML_TAG_NOEMBED, HtmlTag::kNoembed},
    {MyHTML_TAG_NOFRAMES, HtmlTag::kNoframes},
    {MyHTML_TAG_NOSCRIPT, HtmlTag::kNoscript},
    {MyHTML_TAG_OL, HtmlTag::kOl},
    {MyHTML_TAG_OPTGROUP, HtmlTag::kOptgroup},
    {MyHTML_TAG_OPTION, HtmlTag::kOption},
    {MyHTML_TAG_P, HtmlTag::kP},
    {MyHTML_TAG_PLAINTEXT, HtmlTag::kPlaintext},
    {MyHTML_TAG_PRE, HtmlTag::kPre},
    {MyHTML_TAG_SCRIPT, HtmlTag::kScript},
    {MyHTML_TAG_SECTION, HtmlTag::kSection},
    {MyHTML_TAG_SELECT, HtmlTag::kSelect},
    {MyHTML_TAG_STYLE, HtmlTag::kStyle},
    {MyHTML_TAG_SUMMARY, HtmlTag::kSummary},
    {MyHTML_TAG_SVG, HtmlTag::kSvg},
    {MyHTML_TAG_TEXT, HtmlTag::kSvgText},
    {MyHTML_TAG_TABLE, HtmlTag::kTable},
    {MyHTML_TAG_TBODY, HtmlTag::kTbody},
    {MyHTML_TAG_TD, HtmlTag::kTd},
    {MyHTML_TAG_TEMPLATE, HtmlTag::kTemplate},
    {MyHTML_TAG_TEXTAREA, HtmlTag::kTextarea},
    {MyHTML_TAG_TFOOT, HtmlTag::kTfoot},
    {MyHTML_TAG_TH, HtmlTag::kTh},
    {MyHTML_TAG_THEAD, HtmlTag::kThead},
    {MyHTML_TAG_TR, HtmlTag::kTr},
    {MyHTML_TAG_UL, HtmlTag::kUl},
    {MyHTML_TAG_XMP, HtmlTag::kXmp},
};

constexpr auto kTags = [] {
  std::array<HtmlTag, MyHTML_TAG_LAST_ENTRY> tags{};
  for (const auto& asked : kAsked) tags[asked.id] = asked.tag;
  return tags;
}();

// What the guard does with a start tag.
enum class Guard : std::uint8_t {
  kNested,      // counts as depth
  kFlat,        // void elements, and raw text, whose state the tokenizer keeps: never left out
  kFormatting,  // made anew in every block until it is closed
  kBody,        // merged into the one that is there
};

constexpr auto kGuards = [] {
  std::array<Guard, MyHTML_TAG_LAST_ENTRY> guards{};
  for (const auto flat :
       {MyHTML_TAG__TEXT,   MyHTML_TAG__COMMENT, MyHTML_TAG__DOCTYPE, MyHTML_TAG__END_OF_FILE, MyHTML_TAG_AREA,
        MyHTML_TAG_BASE,    MyHTML_TAG_BASEFONT, MyHTML_TAG_BGSOUND,  MyHTML_TAG_BR,           MyHTML_TAG_COL,
        MyHTML_TAG_EMBED,   MyHTML_TAG_FRAME,    MyHTML_TAG_HR,       MyHTML_TAG_IFRAME,       MyHTML_TAG_IMAGE,
        MyHTML_TAG_IMG,     MyHTML_TAG_INPUT,    MyHTML_TAG_KEYGEN,   MyHTML_TAG_LINK,         MyHTML_TAG_META,
        MyHTML_TAG_NOEMBED, MyHTML_TAG_NOFRAMES, MyHTML_TAG_NOSCRIPT, MyHTML_TAG_PARAM,        MyHTML_TAG_PLAINTEXT,
        MyHTML_TAG_SCRIPT,  MyHTML_TAG_SOURCE,   MyHTML_TAG_STYLE,    MyHTML_TAG_TEXTAREA,     MyHTML_TAG_TITLE,
        MyHTML_TAG_TRACK,   MyHTML_TAG_WBR,      MyHTML_TAG_XMP}) {
    guards[flat] = Guard::kFlat;
  }
  for (const auto formatting : {MyHTML_TAG_A, MyHTML_TAG_B, MyHTML_TAG_BIG, MyHTML_TAG_CODE, MyHTML_TAG_EM,
                                MyHTML_TAG_FONT, MyHTML_TAG_I, MyHTML_TAG_NOBR, MyHTML_TAG_S, MyHTML_TAG_SMALL,
                                MyHTML_TAG_STRIKE, MyHTML_TAG_STRONG, MyHTML_TAG_TT, MyHTML_TAG_U}) {
    guards[formatting] = Guard::kFormatting;
  }
  guards[MyHTML_TAG_HTML] = guards[MyHTML_TAG_BODY] = Guard::kBody;
  return guards;
}();

// Elements whose attributes say something of the text, to the walk or to the tree's builder.
constexpr auto kTelling = [] {
  std::array<bool, MyHTML_TAG_LAST_ENTRY> telling{};
  for (const auto tag : {MyHTML_TAG_A, MyHTML_TAG_ANNOTATION_XML, MyHTML_TAG_BASE, MyHTML_TAG_BODY, MyHTML_TAG_CODE,
                         MyHTML_TAG_FONT, MyHTML_TAG_HTML, MyHTML_TAG_IMAGE, MyHTML_TAG_IMG, MyHTML_TAG_INPUT,
                         MyHTML_TAG_META, MyHTML_TAG_PRE, MyHTML_TAG_TD, MyHTML_TAG_TH}) {
    telling[tag] = true;
  }
  return telling;
}();

// Elements that start and end a line: white space next to their tags is no text.
constexpr auto kLineEnds = [] {
  std::array<bool, MyHTML_TAG_LAST_ENTRY> ends{};
  for (const auto tag :
       {MyHTML_TAG_ADDRESS, MyHTML_TAG_ARTICLE, MyHTML_TAG_ASIDE,  MyHTML_TAG_BLOCKQUOTE, MyHTML_TAG_BODY,
        MyHTML_TAG_BR,      MyHTML_TAG_CAPTION, MyHTML_TAG_CENTER, MyHTML_TAG_DD,         MyHTML_TAG_DIV,
        MyHTML_TAG_DL,      MyHTML_TAG_DT,      MyHTML_TAG_FIGURE, MyHTML_TAG_FOOTER,     MyHTML_TAG_FORM,
        MyHTML_TAG_H1,      MyHTML_TAG_H2,      MyHTML_TAG_H3,     MyHTML_TAG_H4,         MyHTML_TAG_H5,
        MyHTML_TAG_H6,      MyHTML_TAG_HEAD,    MyHTML_TAG_HEADER, MyHTML_TAG_HR,         MyHTML_TAG_HTML,
        MyHTML_TAG_LI,      MyHTML_TAG_LINK,    MyHTML_TAG_MAIN,   MyHTML_TAG_META,       MyHTML_TAG_NAV,
        MyHTML_TAG_OL,      MyHTML_TAG_OPTION,  MyHTML_TAG_P,      MyHTML_TAG_SECTION,    MyHTML_TAG_TABLE,
        MyHTML_TAG_TBODY,   MyHTML_TAG_TD,      MyHTML_TAG_TFOOT,  MyHTML_TAG_TH,         MyHTML_TAG_THEAD,
        MyHTML_TAG_TR,      MyHTML_TAG_UL}) {
    ends[tag] = true;
  }
  return ends;
}();

Guard GuardOf(std::size_t tag) { return tag < kGuards.size() ? kGuards[tag] : Guard::kNested; }

const myhtml_tree_node_t* Node(const void* node) { return static_cast<const myhtml_tree_node_t*>(node); }

std::string_view View(const mycore_string_t& string) {
  return string.data == nullptr ? std::string_view() : std::string_view(string.data, string.length);
}

const myhtml_token_attr_t* FindAttribute(const myhtml_tree_node_t* node, std::string_view name) {
  if (node->token == nullptr) return nullptr;
  for (const myhtml_token_attr_t* attribute = node->token->attr_first; attribute; attribute = attribute->next) {
    if (View(attribute->key) == name) return attribute;
  }
  return nullptr;
}

}  // namespace

struct HtmlDocument::Impl {
  Impl(int depth, HtmlKeep kept, std::int64_t memory)
      : max_depth(static_cast<std::size_t>(std::max(depth, 8))),
        max_memory(static_cast<std::size_t>(std::max<std::int64_t>(memory, 0))),
        whole(kept == HtmlKeep::kAll) {}
  ~Impl() { Close(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void Open() {
    parser = myhtml_create();
    if (parser == nullptr || myhtml_init(parser, MyHTML_OPTIONS_PARSE_MODE_SINGLE, 1, 0) != 0) throw std::bad_alloc();
    tree = myhtml_tree_create();
    if (tree == nullptr || myhtml_tree_init(tree, parser) != 0) throw std::bad_alloc();
    myhtml_callback_before_token_done_set(tree, &Impl::Token, this);
    myhtml_encoding_set(tree, MyENCODING_UTF_8);
  }
  void Close() {
    if (tree != nullptr) tree = myhtml_tree_destroy(tree);
    if (parser != nullptr) parser = myhtml_destroy(parser);
  }

  // False when there are too many made-up names; they must be masked then.
  bool Parse(std::string_view text) {
    // There is no other way to end a parse from within. Between here and the jump there is only C, and nothing to
    // destroy; the tree can only be destroyed after it.
    text_size = text.size();
    switch (setjmp(leave)) {
      case kTooManyNames:
        return false;
      case kTooMuchMemory:
        throw std::bad_alloc();
      default:
        break;
    }
    if (myhtml_parse_single(tree, MyENCODING_UTF_8, text.data(), text.size()) != 0) throw std::bad_alloc();
    return true;
  }

  static void* Token(myhtml_tree_t*, myhtml_token_node_t* token, void* self) {
    Impl& impl = *static_cast<Impl*>(self);
    impl.tree->parse_flags = impl.whole ? MyHTML_TREE_PARSE_FLAGS_CLEAN : impl.Thin(*token);
    if (++impl.tokens % kTokensPerLook == 0 && impl.OverBudget()) longjmp(impl.leave, kTooMuchMemory);
    impl.Filter(*token);
    return self;
  }

  // Leaves out what is not of the text: comments, most attributes, and white space that follows this token where it is
  // none of the text. A third of all nodes is such white space. Returns the flags that do it.
  static myhtml_tree_parse_flags_t Thin(myhtml_token_node_t& token) {
    const std::size_t tag = token.tag_id;
    if (tag == MyHTML_TAG__TEXT) return MyHTML_TREE_PARSE_FLAGS_CLEAN;
    if (tag == MyHTML_TAG__COMMENT) return MyHTML_TREE_PARSE_FLAGS_WITHOUT_BUILD_TREE;
    const bool known = tag < MyHTML_TAG_LAST_ENTRY;
    if (!known || !kTelling[tag]) {
      token.attr_first = token.attr_last = nullptr;
    } else if (tag == MyHTML_TAG_A || tag == MyHTML_TAG_TD || tag == MyHTML_TAG_TH) {
      // href; colspan and rowspan. These tags are the most frequent ones with attributes.
      KeepAttributes(token, tag == MyHTML_TAG_A ? 4 : 7);
    }
    return known && kLineEnds[tag] ? MyHTML_TREE_PARSE_FLAGS_SKIP_WHITESPACE_TOKEN : MyHTML_TREE_PARSE_FLAGS_CLEAN;
  }

  // Only those with names of this length: the names themselves are not decoded yet.
  static void KeepAttributes(myhtml_token_node_t& token, std::size_t name_length) {
    myhtml_token_attr_t* last = nullptr;
    for (auto* attribute = token.attr_first; attribute != nullptr; attribute = attribute->next) {
      if (attribute->raw_key_length != name_length) continue;
      attribute->prev = last;
      (last != nullptr ? last->next : token.attr_first) = attribute;
      last = attribute;
    }
    (last != nullptr ? last->next : token.attr_first) = nullptr;
    token.attr_last = last;
  }

  // Sees each token before the tree does, and before its text and attributes are decoded. What would make the tree too
  // deep is left out.
  void Filter(myhtml_token_node_t& token) {
    if (token.tag_id == MyHTML_TAG__TEXT) return MakeRoom(token.raw_length);
    if (token.tag_id >= MyHTML_TAG_LAST_ENTRY + kMaxNames && !masked) longjmp(leave, kTooManyNames);
    const Guard guard = GuardOf(token.tag_id);
    if (guard == Guard::kFlat) return;
    if (guard == Guard::kBody) {
      if (++body_tags > kMaxBodyTags) token.attr_first = token.attr_last = nullptr;
      return;
    }
    if ((token.type & MyHTML_TOKEN_TYPE_CLOSE) != 0) {
      if (left_out == 0) return;
      --left_out;
      LeaveOut(token);
    } else if (tree->open_elements->length >= max_depth) {
      if ((token.type & MyHTML_TOKEN_TYPE_CLOSE_SELF) == 0) ++left_out;
      flattened = true;
      LeaveOut(token);
    } else if (guard == Guard::kFormatting &&
               OpenFormatting() >= (token.tag_id == MyHTML_TAG_A ? kMaxOpenLinks : kMaxFormatting)) {
      LeaveOut(token);
    }
  }

  // Formatting elements that the next block would make anew.
  [[nodiscard]] std::size_t OpenFormatting() const {
    const auto& list = *tree->active_formatting;
    const std::size_t length = list.length, most = std::min(length, kMaxOpenLinks);
    std::size_t count = 0;
    while (count < most && list.list[length - 1 - count] != parser->marker) ++count;
    return count;
  }

  // Text that comes in pieces is joined into one string; growing it by each piece's length copies it each time.
  void MakeRoom(std::size_t length) {
    const auto& open = *tree->open_elements;
    if (open.length == 0) return;
    MakeRoom(open.list[open.length - 1]->last_child, length);
    if (!InTable()) return;
    // Text that must not be in a table goes before it.
    for (std::size_t i = open.length; i-- > 0;) {
      if (open.list[i]->tag_id != MyHTML_TAG_TABLE) continue;
      MakeRoom(open.list[i]->prev, length);
      if (i > 0) MakeRoom(open.list[i - 1]->last_child, length);
      return;
    }
  }
  static void MakeRoom(myhtml_tree_node_t* node, std::size_t length) {
    if (node == nullptr || node->tag_id != MyHTML_TAG__TEXT || node->token == nullptr) return;
    mycore_string_t& string = node->token->str;
    if (string.data == nullptr || string.length + length + 2 <= string.size) return;
    mycore_string_realloc(&string, 2 * (string.length + length) + 64);
  }
  [[nodiscard]] bool InTable() const {
    const auto mode = tree->insert_mode;
    return mode == MyHTML_INSERTION_MODE_IN_TABLE || mode == MyHTML_INSERTION_MODE_IN_TABLE_TEXT ||
           mode == MyHTML_INSERTION_MODE_IN_TABLE_BODY || mode == MyHTML_INSERTION_MODE_IN_ROW;
  }

  // The tree never sees this token; the flag holds until the next one.
  void LeaveOut(myhtml_token_node_t& token) {
    token.attr_first = token.attr_last = nullptr;
    tree->parse_flags = MyHTML_TREE_PARSE_FLAGS_WITHOUT_BUILD_TREE;
  }

  // The heap and the document itself, which is mapped.
  [[nodiscard]] bool OverBudget() const {
    if (max_memory == 0) return false;
    const auto heap = mallinfo2();
    return heap.arena + heap.hblkhd + text_size + kReserve > max_memory;
  }

  enum Leave : int { kTooManyNames = 1, kTooMuchMemory };
  std::size_t max_depth;
  std::size_t max_memory;
  bool whole;  // everything is kept
  myhtml_t* parser = nullptr;
  myhtml_tree_t* tree = nullptr;
  std::jmp_buf leave;
  std::size_t text_size = 0, tokens = 0;
  bool masked = false;  // made-up names are few
  bool flattened = false;
  std::size_t left_out = 0;  // start tags left out and not closed yet
  int body_tags = 0;
};

namespace {

bool IsNameByte(char c) { return c != '>' && c != '/' && c != ' ' && c != '\t' && c != '\n' && c != '\f' && c != '\r'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// The text with every made-up element name replaced by as many x.
std::string MaskNames(std::string_view text) {
  std::string out(text);
  for (std::size_t at = out.find('<'); at != std::string::npos; at = out.find('<', at + 1)) {
    std::size_t begin = at + 1;
    if (begin < out.size() && out[begin] == '/') ++begin;
    if (begin >= out.size() || !IsLetter(out[begin])) continue;
    std::size_t end = begin;
    while (end < out.size() && IsNameByte(out[end])) ++end;
    const auto* known = end - begin > 24 ? nullptr : myhtml_tag_static_search(out.data() + begin, end - begin);
    if (known == nullptr) std::fill(out.begin() + static_cast<long>(begin), out.begin() + static_cast<long>(end), 'x');
    at = end - 1;
  }
  return out;
}

}  // namespace

HtmlDocument::HtmlDocument(std::string_view text, int max_depth, HtmlKeep keep, std::int64_t max_memory)
    : impl_(std::make_unique<Impl>(max_depth, keep, max_memory)) {
  impl_->Open();
  if (impl_->Parse(text)) return;
  const std::string masked = MaskNames(text);
  impl_ = std::make_unique<Impl>(max_depth, keep, max_memory);
  impl_->masked = true;
  impl_->Open();
  impl_->Parse(masked);
}

HtmlDocument::~HtmlDocument() = default;

HtmlNode HtmlDocument::root() const { return HtmlNode(impl_->tree->document); }

bool HtmlDocument::flattened() const { return impl_->flattened; }

HtmlTag HtmlNode::tag() const {
  // A tree is larger than caches: what is looked at next is asked for now.
  if (Node(node_)->next != nullptr) __builtin_prefetch(Node(node_)->next->token);
  if (Node(node_)->child != nullptr) __builtin_prefetch(Node(node_)->child->token);
  const auto id = Node(node_)->tag_id;
  return id < kTags.size() ? kTags[id] : HtmlTag::kOther;
}

std::uint32_t HtmlNode::name_id() const { return static_cast<std::uint32_t>(Node(node_)->tag_id); }

std::string_view HtmlNode::name() const {
  std::size_t length = 0;
  const auto* node = Node(node_);
  const char* name = myhtml_tag_name_by_id(node->tree, node->tag_id, &length);
  return name == nullptr ? std::string_view() : std::string_view(name, length);
}

std::string_view HtmlNode::text() const {
  const auto* token = Node(node_)->token;
  return token == nullptr ? std::string_view() : View(token->str);
}

std::string_view HtmlNode::Attribute(std::string_view name) const {
  const auto* attribute = FindAttribute(Node(node_), name);
  return attribute == nullptr ? std::string_view() : View(attribute->value);
}

bool HtmlNode::HasAttribute(std::string_view name) const { return FindAttribute(Node(node_), name) != nullptr; }

HtmlNode HtmlNode::parent() const { return HtmlNode(Node(node_)->parent); }
HtmlNode HtmlNode::first_child() const { return HtmlNode(Node(node_)->child); }
HtmlNode HtmlNode::next() const { return HtmlNode(Node(node_)->next); }

}  // namespace millrace::documents
