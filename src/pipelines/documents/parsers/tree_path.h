// Where an element stands in a tree, as text, for parsers that walk one: kept up to date in constant time a step and
// never longer than a cap, however deep the tree or long its names.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace millrace::documents {

// The path from the root to the current node. A path that would pass the cap ends in "..." instead: it then names an
// ancestor. The text of an ancestor is a prefix of it.
class TreePath {
 public:
  static constexpr std::size_t kMaxBytes = 480;

  explicit TreePath(std::string_view root = {}) : text_(root) {}

  // Steps down; `part` brings its own separator.
  void Push(std::string_view part) {
    sizes_.push_back(text_.size());
    if (cut_at_ != 0) return;
    if (text_.size() + part.size() > kMaxBytes) {
      text_ += "...";
      cut_at_ = sizes_.size();
    } else {
      text_ += part;
    }
  }
  // Steps up. There must be a step to take back.
  void Pop() {
    text_.resize(sizes_.back());
    sizes_.pop_back();
    if (sizes_.size() < cut_at_) cut_at_ = 0;
  }
  [[nodiscard]] std::size_t depth() const { return sizes_.size(); }
  // The current node's path; valid until the next call.
  [[nodiscard]] std::string_view text() const { return text_; }
  // The path of the ancestor at this depth.
  [[nodiscard]] std::string_view text(std::size_t depth) const {
    const std::string_view whole = text_;
    return depth < sizes_.size() ? whole.substr(0, sizes_[depth]) : whole;
  }

 private:
  std::string text_;
  std::vector<std::size_t> sizes_;  // of the text before each step
  std::size_t cut_at_ = 0;          // depth of the step that did not fit; 0: all did
};

// Counts children by name under each open node: the n of "n-th of its name". Names are small numbers.
class SiblingCounts {
 public:
  SiblingCounts() { Enter(); }
  // A node opens, and its children are counted from now on; it closes, and its parent's count goes on.
  void Enter() {
    if (depth_ == levels_.size()) levels_.emplace_back();
    levels_[depth_].few.clear();
    levels_[depth_].many.reset();
    ++depth_;
  }
  void Leave() { --depth_; }
  // 1 for the first child of this name under the current node, then 2, ...
  int Next(std::uint32_t name) {
    Level& level = levels_[depth_ - 1];
    if (level.many) return ++(*level.many)[name];
    for (auto& [known, count] : level.few) {
      if (known == name) return ++count;
    }
    if (level.few.size() < kFew) {
      level.few.emplace_back(name, 1);
      return 1;
    }
    level.many = std::make_unique<std::unordered_map<std::uint32_t, int>>(level.few.begin(), level.few.end());
    return ++(*level.many)[name];
  }

 private:
  static constexpr std::size_t kFew = 16;
  struct Level {
    std::vector<std::pair<std::uint32_t, int>> few;
    std::unique_ptr<std::unordered_map<std::uint32_t, int>> many;
  };
  std::vector<Level> levels_;
  std::size_t depth_ = 0;
};

}  // namespace millrace::documents
