// From an HTML tree to elements: one walk in document order, without recursion.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pipelines/documents/parsers/html_dom.h"
#include "pipelines/documents/parsers/html_flow.h"
#include "pipelines/documents/parsers/parser.h"
#include "pipelines/documents/parsers/tree_path.h"

namespace millrace::documents {

// What HTML says of the whole document, gathered from <html>, <title>, <meta> wherever they stand.
class HtmlMetadata {
 public:
  void Html(HtmlNode html);
  void Title(HtmlNode title);
  void Meta(HtmlNode meta);
  // Adds what was found. What has no member of its own goes to `extra`.
  void Store(DocumentMetadata& metadata) const;

 private:
  void Named(std::string name, std::string content);
  DocumentMetadata found_;
  std::string social_title_;
  std::vector<std::pair<std::string, std::string>> others_;
};

// Walks a document once and adds its elements to a sink.
//
// A block is an element that starts on its own line. Some blocks own an element of the output (a list item, a table
// cell), the others only separate text. Text flows until a block opens or closes; then it becomes the text of the
// owner, if that has none yet, or a paragraph. An owner is added when its text or its first child is known.
class HtmlWalk {
 public:
  HtmlWalk(ElementSink& sink, HtmlMetadata& metadata) : sink_(sink), metadata_(metadata) {}
  void Run(HtmlNode document);

 private:
  // How an owner takes text.
  enum class TakesText : std::uint8_t {
    kNever,   // text in it becomes paragraphs
    kDirect,  // takes text that stands in it without a block between
    kAny,     // takes the first text in it
  };
  struct Owner {
    ElementType type = ElementType::kRoot;
    TakesText takes = TakesText::kNever;
    bool keep_empty = false;  // is added although nothing is in it
    std::int16_t level = 0;
    std::int32_t index = -1;  // in the sink; -1: not added yet
    std::size_t depth = 0;    // of its node
    std::string metadata;
  };
  struct Open {
    HtmlNode node;
    std::uint32_t number = 0;  // among siblings of its name, from 1
    bool block = false;
    bool owner = false;
    bool as_is = false;  // white space counts, here and below
    bool link = false;
    bool spaced = false;     // text after it is another word
    std::size_t around = 0;  // depth of the block around it
  };

  void Walk(HtmlNode document);
  bool Enter(HtmlNode node);
  bool EnterInline(HtmlNode node, HtmlTag tag);
  void EnterBlock(HtmlNode node, HtmlTag tag, bool owner);
  void Leave();
  [[nodiscard]] Owner OwnerOf(HtmlTag tag, HtmlNode node) const;
  [[nodiscard]] std::int16_t ListLevel() const;

  void AddImage(HtmlNode node);
  void AddInput(HtmlNode node);
  void Flush();
  std::int32_t FlushText(std::string_view text);
  std::int32_t AddOwners(std::string_view text, std::string_view metadata);
  std::string_view Location(std::size_t depth);

  ElementSink& sink_;
  HtmlMetadata& metadata_;
  std::vector<Open> open_;
  std::vector<Owner> owners_;
  std::size_t added_ = 0;        // owners that are in the sink: the first ones
  std::size_t block_depth_ = 0;  // of the innermost open block
  SiblingCounts counts_;
  TreePath path_;  // of the first path_.depth() of open_; grows when a location is asked for
  std::string segment_;
  HtmlFlow flow_;
};

}  // namespace millrace::documents
