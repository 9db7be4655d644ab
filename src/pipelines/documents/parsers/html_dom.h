// The door to the HTML parser (Modest's myhtml): a document as a read-only tree, whatever the bytes were.
//
// The parser behind it takes quadratic time on some hostile input; HtmlDocument keeps it linear by capping what makes
// it so: the depth of nesting, the formatting elements left open, the number of made-up element names.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace millrace::documents {

// The elements somebody asks for. Everything else is kOther.
enum class HtmlTag : std::uint8_t {
  kOther,
  kText,     // a text node
  kComment,  // a comment, doctype or anything else without content
  kDocument,
  kHtml,
  kHead,
  kBody,
  kTitle,
  kMeta,
  kBase,
  kA,
  kAddress,
  kArticle,
  kAside,
  kBlockquote,
  kBr,
  kButton,
  kCaption,
  kCenter,
  kCode,
  kDatalist,
  kDd,
  kDetails,
  kDialog,
  kDir,
  kDiv,
  kDl,
  kDt,
  kFieldset,
  kFigcaption,
  kFigure,
  kFooter,
  kForm,
  kFrameset,
  kH1,
  kH2,
  kH3,
  kH4,
  kH5,
  kH6,
  kHeader,
  kHgroup,
  kHr,
  kIframe,
  kImg,
  kInput,
  kLegend,
  kLi,
  kListing,
  kMain,
  kMath,
  kMenu,
  kNav,
  kNoembed,
  kNoframes,
  kNoscript,
  kOl,
  kOptgroup,
  kOption,
  kP,
  kPlaintext,
  kPre,
  kScript,
  kSection,
  kSelect,
  kStyle,
  kSummary,
  kSvg,
  kSvgText,
  kTable,
  kTbody,
  kTd,
  kTemplate,
  kTextarea,
  kTfoot,
  kTh,
  kThead,
  kTr,
  kUl,
  kXmp,
  kCount,
};

// A place in a document's tree; as cheap as a pointer, valid as long as the document. Most calls need one that is
// not null.
class HtmlNode {
 public:
  HtmlNode() = default;
  explicit HtmlNode(const void* node) : node_(node) {}
  explicit operator bool() const { return node_ != nullptr; }
  friend bool operator==(HtmlNode a, HtmlNode b) { return a.node_ == b.node_; }

  [[nodiscard]] HtmlTag tag() const;
  // A number that elements of the same name share, within one document.
  [[nodiscard]] std::uint32_t name_id() const;
  // The element's name in lower case.
  [[nodiscard]] std::string_view name() const;
  // The text of a text node, character references resolved.
  [[nodiscard]] std::string_view text() const;
  // An attribute's value by its lower-case name; empty when it has none.
  [[nodiscard]] std::string_view Attribute(std::string_view name) const;
  [[nodiscard]] bool HasAttribute(std::string_view name) const;

  [[nodiscard]] HtmlNode parent() const;
  [[nodiscard]] HtmlNode first_child() const;
  [[nodiscard]] HtmlNode next() const;

 private:
  const void* node_ = nullptr;
};

// What of a document is kept.
enum class HtmlKeep : std::uint8_t {
  kAll,
  // What matters to its text, which is faster: attributes of links, images, cells, <meta> and other elements where they
  // say something of the text; no white space at the beginning and end of lines.
  kText,
};

class HtmlDocument {
 public:
  // Builds the tree of any UTF-8 text, nested at most about `max_depth` deep: elements below that are left out, and
  // their content belongs to the last one that is in. Throws std::bad_alloc, also when the process would come to use
  // more than about `max_memory` bytes (0: no limit): the library itself crashes when memory ends. A tree takes
  // about 11 times its text, and over 100 times in the worst case. The text need not outlive the document.
  HtmlDocument(std::string_view text, int max_depth, HtmlKeep keep = HtmlKeep::kAll, std::int64_t max_memory = 0);
  ~HtmlDocument();
  HtmlDocument(const HtmlDocument&) = delete;
  HtmlDocument& operator=(const HtmlDocument&) = delete;

  // The document node, above <html>.
  [[nodiscard]] HtmlNode root() const;
  // Whether elements were left out because of their depth.
  [[nodiscard]] bool flattened() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::documents
