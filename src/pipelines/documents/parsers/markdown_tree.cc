#include "pipelines/documents/parsers/markdown_tree.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "pipelines/documents/parser_protocol.h"

namespace millrace::documents {
namespace {

constexpr std::size_t kMaxTarget = 1000;         // data: URLs are not kept whole
constexpr std::size_t kMaxSpanBytes = 24 << 10;  // of one block's links and images

std::string_view Trim(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  return start == std::string_view::npos ? std::string_view()
                                         : text.substr(start, text.find_last_not_of(" \t\r\n") - start + 1);
}

std::string_view TargetKey(ElementType type) { return type == ElementType::kImage ? "src" : "href"; }

}  // namespace

void MarkdownTree::Open(ElementType type, int level, base::json::object metadata) {
  Node node{std::nullopt, type, level, std::move(metadata), {}, 0, 0, {}};
  if (!open_.empty()) node.parent = open_.back();
  open_.push_back(nodes_.size());
  nodes_.push_back(std::move(node));
}

void MarkdownTree::Close() {
  if (open_.empty()) return;
  Node& node = nodes_[open_.back()];
  open_.pop_back();
  open_spans_ = 0;
  Settle(node);
  if (node.type == ElementType::kHeader && node.level == 1 && title_.empty()) title_ = node.text;
  if (node.parent) {
    Mark(nodes_[*node.parent], node.first_line, node.last_line);
  } else {
    Flush();
  }
}

void MarkdownTree::Text(std::string_view text, const char* at) {
  if (open_.empty()) return;
  Node& node = nodes_[open_.back()];
  node.text += text;
  if (at == nullptr || std::less<>()(at, source_.data()) || !std::less<>()(at, source_.data() + source_.size())) return;
  const std::int64_t first = LineOf(at);
  Mark(node, first, first);
}

void MarkdownTree::BeginSpan(ElementType type, std::string target, std::string title) {
  if (open_.empty()) return;
  Node& node = nodes_[open_.back()];
  target.resize(CutUtf8(target, kMaxTarget).size());
  title.resize(CutUtf8(title, kMaxTarget).size());
  node.spans.push_back({type, std::move(target), std::move(title), node.text.size(), std::string::npos});
  ++open_spans_;
}

void MarkdownTree::EndSpan() {
  if (open_.empty() || open_spans_ == 0) return;
  Node& node = nodes_[open_.back()];
  const auto innermost = std::find_if(node.spans.rbegin(), node.spans.rend(),
                                      [](const Span& span) { return span.end == std::string::npos; });
  if (innermost != node.spans.rend()) innermost->end = node.text.size();
  --open_spans_;
}

std::int64_t MarkdownTree::LineOf(const char* at) {
  const auto offset = static_cast<std::size_t>(at - source_.data());
  const auto [from, to] = std::minmax(cursor_, offset);
  const auto between = std::count(source_.begin() + static_cast<std::ptrdiff_t>(from),
                                  source_.begin() + static_cast<std::ptrdiff_t>(to), '\n');
  cursor_line_ += offset >= cursor_ ? between : -between;
  cursor_ = offset;
  return cursor_line_;
}

void MarkdownTree::Mark(Node& node, std::int64_t first, std::int64_t last) {
  if (first == 0) return;
  node.first_line = node.first_line == 0 ? first : std::min(node.first_line, first);
  node.last_line = std::max(node.last_line, last);
}

// Makes the text final. A paragraph that is nothing but an image or a link becomes one; other spans are told in the
// metadata.
void MarkdownTree::Settle(Node& node) {
  const bool verbatim = node.type == ElementType::kCodeBlock || node.type == ElementType::kHtmlBlock;
  base::json::array links, images;
  const std::string_view all = Trim(node.text);
  std::size_t bytes = 0;
  for (const Span& span : node.spans) {
    const std::string_view text =
        Trim(std::string_view(node.text).substr(span.begin, std::min(span.end, node.text.size()) - span.begin));
    if (node.type == ElementType::kParagraph || node.type == span.type || node.type == ElementType::kLink) {
      if (text == all && (text.data() == all.data() || text.empty())) {
        node.type = node.type == ElementType::kImage ? ElementType::kImage : span.type;
        node.metadata[TargetKey(span.type)] = span.target;
        if (!span.title.empty()) node.metadata["title"] = span.title;
        continue;
      }
    }
    bytes += text.size() + span.target.size() + 32;
    if (bytes > kMaxSpanBytes) continue;
    base::json::object told{{TargetKey(span.type), span.target}, {"text", text}};
    (span.type == ElementType::kImage ? images : links).push_back(std::move(told));
  }
  if (!links.empty()) node.metadata["links"] = std::move(links);
  if (!images.empty()) node.metadata["images"] = std::move(images);
  if (!verbatim) {
    node.text = std::string(all);
  } else if (node.text.ends_with('\n')) {
    node.text.pop_back();
  }
}

void MarkdownTree::Flush() {
  std::vector<std::int32_t> indices;
  for (const Node& node : nodes_) {
    std::string location;
    if (node.first_line > 0) location = "line " + std::to_string(node.first_line);
    if (node.last_line > node.first_line) location += "-" + std::to_string(node.last_line);
    const std::int32_t parent = node.parent ? indices[*node.parent] : 0;
    const std::string metadata = node.metadata.empty() ? std::string() : base::ToJson(node.metadata);
    indices.push_back(sink_.Add(parent, node.type, node.text, location, node.level, metadata));
  }
  nodes_.clear();
}

}  // namespace millrace::documents
