// The elements of a Markdown document, collected one top-level block at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "pipelines/documents/parsers/parser.h"

namespace millrace::documents {

// Blocks open and close, text and spans come in between. What a block spans in lines is known only when it closes,
// so a top-level block goes to the sink as a whole. Not thread-safe.
class MarkdownTree {
 public:
  // `source` is what is parsed, from line `first_line` of the document on; it and the sink must outlive the tree.
  MarkdownTree(ElementSink& sink, std::string_view source, std::int64_t first_line)
      : sink_(sink), source_(source), cursor_line_(first_line) {}

  void Open(ElementType type, int level = 0, base::json::object metadata = {});
  void Close();
  // Text of the innermost open block. `at` is where it stands if that is in the source.
  void Text(std::string_view text, const char* at);
  // A link or image: the text until it ends is its own.
  void BeginSpan(ElementType type, std::string target, std::string title);
  void EndSpan();
  [[nodiscard]] bool is_open(ElementType type) const { return !open_.empty() && nodes_[open_.back()].type == type; }
  // Text of the first header of level 1.
  [[nodiscard]] const std::string& title() const { return title_; }

 private:
  struct Span {
    ElementType type;
    std::string target, title;
    std::size_t begin = 0, end = 0;  // of the node's text
  };
  struct Node {
    std::optional<std::size_t> parent;
    ElementType type;
    int level;
    base::json::object metadata;
    std::string text;
    std::int64_t first_line = 0, last_line = 0;  // 0: unknown
    std::vector<Span> spans;
  };
  std::int64_t LineOf(const char* at);
  static void Mark(Node& node, std::int64_t first, std::int64_t last);
  static void Settle(Node& node);
  void Flush();

  ElementSink& sink_;
  std::string_view source_;
  std::size_t cursor_ = 0;    // an offset in the source ...
  std::int64_t cursor_line_;  // ... and its line
  std::vector<Node> nodes_;
  std::vector<std::size_t> open_;
  std::size_t open_spans_ = 0;
  std::string title_;
};

}  // namespace millrace::documents
