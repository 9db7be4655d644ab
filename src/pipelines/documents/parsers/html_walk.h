// From an HTML tree to elements: one walk in document order, without recursion.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/documents/parsers/html_dom.h"
#include "pipelines/documents/parsers/parser.h"
#include "pipelines/documents/parsers/tree_path.h"

namespace millrace::documents {

// What HTML says of the whole document, gathered from <html>, <title>, <meta> wherever they stand.
class HtmlMetadata {
 public:
  void Html(HtmlNode html);
  void Title(HtmlNode title);
  void Meta(HtmlNode meta);
  // Fills in what is still empty.
  void Store(DocumentMetadata& metadata) const;

 private:
  void Named(const std::string& name, std::string_view content);
  DocumentMetadata found_;
  std::string social_title_;
  std::vector<std::pair<std::string, std::string>> others_;
};

// Walks a document once and adds its elements to a sink.
//
// A block is an element that starts on its own line. Some blocks own an element of the output (a list item, a table
// cell), the others only separate text. Text flows until a block opens or closes; then it becomes the text of the
// owner, if that has none yet, or a paragraph. An owner is added when its text or first child is known.
class HtmlWalk {
 public:
  HtmlWalk(ElementSink& sink, HtmlMetadata& metadata) : sink_(sink), metadata_(metadata) {}
  void Run(HtmlNode document);

 private:
  // How an owner takes text.
  enum class Text : std::uint8_t {
    kNever,   // text in it becomes paragraphs
    kDirect,  // takes text that stands in it without a block between
    kAny,     // takes the first text in it
  };
  struct Owner {
    ElementType type = ElementType::kRoot;
    Text text = Text::kNever;
    bool keep_empty = false;  // is added although nothing is in it
    std::int16_t level = 0;
    std::int32_t index = -1;  // in the sink; -1: not added yet
    std::size_t depth = 0;    // of its node, for its location
    std::string metadata;
  };
  struct Open {
    HtmlNode node;
    std::uint32_t number = 0;  // among siblings of its name, from 1
    bool block = false;
    bool owner = false;
    bool preserve = false;  // white space, here and below
    bool link = false;
  };
  struct Link {
    std::string_view href;
    std::size_t begin = 0;  // of its text in the flow
  };
  // An image or form field in the flow: added after the text it stands in.
  struct Aside {
    ElementType type;
    std::string text, location, metadata;
  };

  bool Enter(HtmlNode node);
  bool EnterSpecial(HtmlNode node, HtmlTag tag);
  void Leave();
  void OpenBlock(HtmlTag tag, Open& open);
  Owner OwnerOf(HtmlTag tag, HtmlNode node) const;
  void CloseLink();

  void AppendText(std::string_view text, bool preserve);
  void AppendCollapsed(std::string_view text);
  void AddImage(HtmlNode node);
  void AddInput(HtmlNode node);
  void AddRule();

  void Flush();
  std::int32_t FlushText(std::string_view text);
  std::int32_t AddOwners(std::string_view text, std::string_view metadata);
  [[nodiscard]] std::int32_t Parent();
  [[nodiscard]] std::string LinksJson() const;
  std::string_view Location(std::size_t depth);
  void PushSegment(const Open& open);
  [[nodiscard]] bool Preserve() const { return !open_.empty() && open_.back().preserve; }

  ElementSink& sink_;
  HtmlMetadata& metadata_;
  std::vector<Open> open_;
  std::vector<Owner> owners_;
  std::size_t added_ = 0;  // owners that are in the sink: the first ones
  SiblingCounts counts_;
  TreePath path_;  // of the first path_.depth() of open_; the rest is appended when needed
  std::string segment_;

  std::size_t block_depth_ = 0;  // depth of the innermost open block
  std::string flow_;
  bool space_ = false;  // white space is due before more text
  std::vector<Link> links_;
  std::vector<Aside> asides_;
};

}  // namespace millrace::documents
