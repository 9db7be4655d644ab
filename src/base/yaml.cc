#include "base/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <sstream>

namespace millrace::base {
namespace {

// Thrown to leave yaml-cpp's parser when a limit is passed; never leaves ParseYaml.
struct LimitPassed {
  YAML::Mark mark;
  std::string message;
};

std::size_t CountNodes(const YamlNode& node) {
  std::size_t count = 1;
  for (const YamlNode& item : node.items) count += CountNodes(item);
  for (const YamlNode::Member& member : node.members) count += CountNodes(member.value);
  return count;
}

int DepthOf(const YamlNode& node) {
  int depth = 0;
  for (const YamlNode& item : node.items) depth = std::max(depth, DepthOf(item));
  for (const YamlNode::Member& member : node.members) depth = std::max(depth, DepthOf(member.value));
  return depth + 1;
}

// Builds the tree from the parser's events.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const std::string& file, const VariableLookup& variables, std::vector<YamlProblem>& problems,
              const YamlLimits& limits)
      : file_(file), variables_(variables), problems_(problems), limits_(limits) {}

  YamlNode TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Add(mark, anchor, Make(YamlNode::Kind::kNull, mark));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      Problem(mark, "the alias repeats a value that is not complete yet");
      Add(mark, 0, Make(YamlNode::Kind::kNull, mark));
      return;
    }
    Count(mark, found->second.nodes);
    if (static_cast<int>(stack_.size()) + DepthOf(found->second.node) > limits_.max_depth) TooDeep(mark);
    Add(mark, 0, found->second.node);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    YamlNode node = Make(YamlNode::Kind::kScalar, mark);
    node.plain = tag == "?";
    if (tag != "?" && tag != "!" && tag != "tag:yaml.org,2002:str") {
      Problem(mark, fmt::format("the tag '{}' is not used here; remove it", tag));
    }
    const bool is_null =
        node.plain && (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL");
    if (is_null) node.kind = YamlNode::Kind::kNull;
    node.text = text;
    Add(mark, anchor, std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { Close(); }

 private:
  // A list or map under construction. A map's next event is a key when `key` is empty.
  struct Level {
    YamlNode node;
    YAML::Mark mark;
    YAML::anchor_t anchor = 0;
    std::optional<YamlNode::Member> key;
    bool drop = false;  // the value of a key that was refused
  };
  struct Anchored {
    YamlNode node;
    std::size_t nodes = 0;
  };

  static YamlNode Make(YamlNode::Kind kind, const YAML::Mark& mark) {
    YamlNode node;
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    return node;
  }

  // The path of the value the next event is about.
  [[nodiscard]] std::string Path() const {
    std::string path;
    for (const Level& level : stack_) {
      if (level.node.kind == YamlNode::Kind::kList) {
        path += fmt::format("[{}]", level.node.items.size());
      } else if (level.key) {
        path += (path.empty() ? "" : ".") + level.key->key;
      }
    }
    return path;
  }

  void Problem(const YAML::Mark& mark, std::string message) {
    problems_.push_back({file_, mark.line + 1, mark.column + 1, Path(), std::move(message)});
  }
  void Count(const YAML::Mark& mark, std::size_t nodes) {
    nodes_ += nodes;
    if (nodes_ > limits_.max_nodes) {
      throw LimitPassed{mark, fmt::format("more than {} values, repeated ones included", limits_.max_nodes)};
    }
  }
  [[noreturn]] void TooDeep(const YAML::Mark& mark) const {
    throw LimitPassed{mark, fmt::format("nested more than {} levels deep", limits_.max_depth)};
  }

  void Open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    Count(mark, 1);
    if (tag != "?" && tag != "!" && !tag.empty())
      Problem(mark, fmt::format("the tag '{}' is not used here; remove it", tag));
    if (static_cast<int>(stack_.size()) >= limits_.max_depth) TooDeep(mark);
    stack_.push_back({Make(kind, mark), mark, anchor, std::nullopt, false});
  }
  void Close() {
    Level level = std::move(stack_.back());
    stack_.pop_back();
    Place(level.mark, level.anchor, std::move(level.node));
  }
  void Add(const YAML::Mark& mark, YAML::anchor_t anchor, YamlNode node) {
    Count(mark, 1);
    const bool is_key = !stack_.empty() && stack_.back().node.kind == YamlNode::Kind::kMap && !stack_.back().key;
    if (!is_key && node.kind == YamlNode::Kind::kScalar) Expand(mark, node);
    Place(mark, anchor, std::move(node));
  }

  void Place(const YAML::Mark& mark, YAML::anchor_t anchor, YamlNode node) {
    if (anchor != 0) anchors_[anchor] = {node, CountNodes(node)};
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Level& level = stack_.back();
    if (level.node.kind == YamlNode::Kind::kList) {
      level.node.items.push_back(std::move(node));
    } else if (!level.key) {
      TakeKey(mark, level, node);
    } else {
      level.key->value = std::move(node);
      if (!level.drop) level.node.members.push_back(std::move(*level.key));
      level.key.reset();
    }
  }

  void TakeKey(const YAML::Mark& mark, Level& level, const YamlNode& node) {
    YamlNode::Member member{node.text, node.line, node.column, {}};
    level.drop = true;
    if (node.kind != YamlNode::Kind::kScalar) {
      Problem(mark, "a key must be text");
    } else if (node.plain && node.text == "<<") {
      Problem(mark, "merge keys (<<) are not supported; write the keys out, or repeat a whole value with an alias");
    } else if (const auto* first = FindMember(level.node, node.text)) {
      level.key = member;
      Problem(mark, fmt::format("stands twice; the first is in line {}", first->line));
    } else {
      level.drop = false;
    }
    level.key = std::move(member);
  }
  static const YamlNode::Member* FindMember(const YamlNode& node, std::string_view key) {
    for (const YamlNode::Member& member : node.members) {
      if (member.key == key) return &member;
    }
    return nullptr;
  }

  // Replaces ${NAME} and ${NAME:-text} in a scalar by the variable's value, $${ by ${.
  void Expand(const YAML::Mark& mark, YamlNode& node) {
    const std::string text = node.text;
    std::string out;
    std::size_t at = 0;
    while (true) {
      const std::size_t open = text.find("${", at);
      if (open == std::string::npos) break;
      if (open > at && text[open - 1] == '$') {
        out.append(text, at, open - 1 - at);
        out += "${";
        at = open + 2;
        continue;
      }
      const std::size_t close = text.find('}', open);
      if (close == std::string::npos) {
        Problem(mark, "'${' has no closing '}'; write $${ for the characters themselves");
        return;
      }
      out.append(text, at, open - at);
      node.expanded = true;
      if (!AppendVariable(mark, text.substr(open + 2, close - open - 2), out)) {
        node.kind = YamlNode::Kind::kNull;
        return;
      }
      at = close + 1;
    }
    node.text = out + text.substr(at);
  }
  bool AppendVariable(const YAML::Mark& mark, const std::string& inside, std::string& out) {
    const std::size_t colon = inside.find(":-");
    const std::string name = inside.substr(0, colon);
    const bool good = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
      return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
    if (!good) {
      Problem(mark, fmt::format("'${{{}}}' names no variable; write ${{NAME}}", inside));
      return false;
    }
    if (auto value = variables_(name)) {
      out += *value;
    } else if (colon != std::string::npos) {
      out += inside.substr(colon + 2);
    } else {
      Problem(mark,
              fmt::format("the environment variable {} is not set; set it, or write ${{{}:-default}}", name, name));
      return false;
    }
    return true;
  }

  const std::string& file_;
  const VariableLookup& variables_;
  std::vector<YamlProblem>& problems_;
  const YamlLimits limits_;
  YamlNode root_;
  std::vector<Level> stack_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  std::size_t nodes_ = 0;
};

// Counts documents after the first.
class ExtraDocument : public YAML::EventHandler {
 public:
  std::optional<YAML::Mark> start;
  void OnDocumentStart(const YAML::Mark& mark) override { start = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

}  // namespace

const YamlNode* YamlNode::Find(std::string_view key) const {
  for (const Member& member : members) {
    if (member.key == key) return &member.value;
  }
  return nullptr;
}

YamlNode ParseYaml(std::string_view text, const std::string& file, const VariableLookup& variables,
                   std::vector<YamlProblem>& problems, const YamlLimits& limits) {
  if (text.size() > limits.max_bytes) {
    problems.push_back({file, 0, 0, "", fmt::format("is larger than {} bytes", limits.max_bytes)});
    return {};
  }
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) {
    const auto line =
        1 + static_cast<int>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(zero), '\n'));
    problems.push_back({file, line, 0, "", "contains a zero byte; is this a text file?"});
    return {};
  }
  TreeBuilder builder(file, variables, problems, limits);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) return {};
    ExtraDocument extra;
    if (parser.HandleNextDocument(extra) && extra.start) {
      problems.push_back({file, extra.start->line + 1, 0, "", "a second document starts here; one file holds one"});
    }
  } catch (const LimitPassed& limit) {
    problems.push_back({file, limit.mark.line + 1, limit.mark.column + 1, "", limit.message});
    return {};
  } catch (const YAML::Exception& error) {
    const bool known = error.mark.line >= 0;
    problems.push_back(
        {file, known ? error.mark.line + 1 : 0, known ? error.mark.column + 1 : 0, "", "not valid YAML: " + error.msg});
    return {};
  }
  return builder.TakeRoot();
}

}  // namespace millrace::base
