#include "pipelines/documents/parsers/json_elements.h"

#include <algorithm>
#include <functional>
#include <vector>

#include "base/json_events.h"
#include "pipelines/documents/parsers/tree_path.h"

namespace millrace::documents {
namespace {

using boost::system::error_code;

constexpr int kMaxDuplicates = 20;  // names warned of

// The names of one object, as hashes: whether one stands twice.
class NameSet {
 public:
  void Clear() {
    if (slots_.size() > 1024) slots_ = {};
    std::fill(slots_.begin(), slots_.end(), 0);
    size_ = 0;
  }
  // False if it is there already.
  bool Insert(std::string_view name) {
    const std::uint64_t hash = std::hash<std::string_view>{}(name) | 1;  // 0 is a free slot
    if (2 * (size_ + 1) > slots_.size()) Grow();
    if (!Place(hash)) return false;
    ++size_;
    return true;
  }

 private:
  bool Place(std::uint64_t hash) {
    for (std::size_t at = hash * 0x9E3779B97F4A7C15ull >> 20;; ++at) {
      std::uint64_t& slot = slots_[at & (slots_.size() - 1)];
      if (slot == hash) return false;
      if (slot == 0) {
        slot = hash;
        return true;
      }
    }
  }
  void Grow() {
    const std::vector<std::uint64_t> old = std::move(slots_);
    slots_.assign(std::max<std::size_t>(16, 2 * old.size()), 0);
    for (const std::uint64_t hash : old) {
      if (hash != 0) Place(hash);
    }
  }
  std::vector<std::uint64_t> slots_;
  std::size_t size_ = 0;
};

// A name or index as a step of a JSON pointer (RFC 6901).
void AppendStep(std::string& out, std::string_view name) {
  out += '/';
  for (const char c : name.substr(0, TreePath::kMaxBytes)) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
}

// What Boost.JSON calls with each event; it turns them into elements.
class Builder : public base::JsonEventSink {
 public:
  Builder(const JsonTarget& target, int max_depth, ElementSink& sink)
      : target_(target),
        max_depth_(static_cast<std::size_t>(std::max(max_depth, 1))),
        sink_(sink),
        path_(target.location) {}

  bool on_object_begin(error_code&) { return Begin(true); }
  bool on_object_end(std::size_t, error_code&) { return End("{}"); }
  bool on_array_begin(error_code&) { return Begin(false); }
  bool on_array_end(std::size_t, error_code&) { return End("[]"); }
  bool on_key_part(std::string_view part, std::size_t, error_code&) {
    key_ += part;
    return true;
  }
  bool on_key(std::string_view part, std::size_t, error_code&) {
    key_ += part;
    return true;
  }
  bool on_string_part(std::string_view part, std::size_t, error_code&) {
    scalar_ += part;
    return true;
  }
  bool on_string(std::string_view part, std::size_t, error_code&) { return Scalar(part); }
  bool on_number_part(std::string_view part, error_code&) {
    scalar_ += part;
    return true;
  }
  bool on_int64(std::int64_t, std::string_view part, error_code&) { return Scalar(part); }
  bool on_uint64(std::uint64_t, std::string_view part, error_code&) { return Scalar(part); }
  bool on_double(double, std::string_view part, error_code&) { return Scalar(part); }
  bool on_bool(bool value, error_code&) { return Scalar(value ? "true" : "false"); }
  bool on_null(error_code&) { return Scalar("null"); }

  [[nodiscard]] bool flattened() const { return flattened_; }

 private:
  // An object or array that is open. It is added when its first child comes, or when it ends.
  struct Container {
    bool object = false;
    std::int32_t index = -1;  // of its element; -1: not added yet
    std::size_t next = 0;     // index of the next item
    std::string label;        // its name in the object around
    NameSet names;
  };

  Container& Top() { return levels_[depth_ - 1]; }

  // Steps to the value that begins: its name or index.
  void Step() {
    if (depth_ == 0) return;
    Container& top = Top();
    step_.clear();
    // A pointer within a line stands after the line's name and a space.
    if (depth_ == 1 && !target_.location.empty()) step_ += ' ';
    if (top.object) {
      AppendStep(step_, key_);
      if (!top.names.Insert(key_) && ++duplicates_ <= kMaxDuplicates) {
        sink_.Warn("the name " + base::JsonQuote(key_.substr(0, 100)) + " stands twice in one object at " +
                   (path_.text().empty() ? std::string("the top") : std::string(path_.text())));
      }
    } else {
      step_ += '/';
      step_ += std::to_string(top.next++);
    }
    path_.Push(step_);
  }
  void StepBack() {
    if (depth_ != 0) path_.Pop();
  }

  bool Begin(bool object) {
    AddTop();
    Step();
    if (depth_ == levels_.size()) levels_.emplace_back();
    Container& opened = levels_[depth_++];
    opened.object = object;
    opened.index = -1;
    opened.next = 0;
    opened.label = key_;
    opened.names.Clear();
    key_.clear();
    return true;
  }

  bool End(std::string_view empty) {
    if (Top().index < 0) Top().index = Add(depth_ - 1, Labelled(depth_ - 1, Top().label, empty), true);
    --depth_;
    StepBack();
    return true;
  }

  bool Scalar(std::string_view last_part) {
    AddTop();
    Step();
    scalar_ += last_part;
    Add(depth_, Labelled(depth_, key_, scalar_), false);
    StepBack();
    scalar_.clear();
    key_.clear();
    return true;
  }

  // Adds the innermost container now that it is known to have content.
  void AddTop() {
    if (depth_ == 0 || Top().index >= 0) return;
    Top().index = Add(depth_ - 1, InObject(depth_ - 1) ? Top().label : std::string(), true);
  }

  [[nodiscard]] bool InObject(std::size_t depth) const { return depth > 0 && levels_[depth - 1].object; }

  std::string Labelled(std::size_t depth, std::string_view label, std::string_view value) const {
    std::string text;
    if (InObject(depth)) {
      text += label;
      text += ": ";
    }
    text += value;
    return text;
  }

  // Adds the element of a value `depth` containers deep.
  std::int32_t Add(std::size_t depth, std::string_view text, bool container) {
    if (depth == 0) return sink_.Add(target_.parent, TopType(container), text, path_.text());
    std::size_t around = depth - 1;
    if (around >= max_depth_) {
      flattened_ = true;
      around = max_depth_ - 1;
    }
    const ElementType type = InObject(depth) ? ElementType::kJsonField : ElementType::kJsonItem;
    return sink_.Add(levels_[around].index, type, text, path_.text());
  }
  [[nodiscard]] ElementType TopType(bool container) const {
    if (target_.type != ElementType::kRoot) return target_.type;
    if (!container) return ElementType::kJsonValue;
    return levels_[0].object ? ElementType::kJsonObject : ElementType::kJsonArray;
  }

  const JsonTarget& target_;
  std::size_t max_depth_;
  ElementSink& sink_;
  TreePath path_;
  std::vector<Container> levels_;  // the first depth_ are open
  std::size_t depth_ = 0;
  std::string key_, scalar_, step_;
  int duplicates_ = 0;
  bool flattened_ = false;
};

boost::json::parse_options Options() {
  boost::json::parse_options options;
  options.max_depth = kMaxJsonDepth;
  return options;
}

JsonFailure Failure(std::size_t offset, const error_code& error) {
  if (error == boost::json::error::too_deep) {
    return {offset, "nested deeper than " + std::to_string(kMaxJsonDepth) + " levels"};
  }
  return {offset, error == boost::json::error::incomplete ? "ends in the middle of a value" : error.message()};
}

}  // namespace

std::optional<JsonFailure> AddJson(std::string_view text, const JsonTarget& target, int max_depth, ElementSink& sink,
                                   std::size_t& used) {
  boost::json::basic_parser<Builder> parser(Options(), target, max_depth, sink);
  error_code error;
  used = parser.write_some(false, text.data(), text.size(), error);
  if (error) return Failure(used, error);
  if (parser.handler().flattened()) {
    sink.Warn("values nested deeper than " + std::to_string(max_depth) + " levels were flattened");
  }
  return std::nullopt;
}

std::optional<JsonFailure> CheckJson(std::string_view text) {
  boost::json::basic_parser<base::JsonEventSink> parser(Options());
  error_code error;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (error) return Failure(used, error);
  if (used < text.size()) return JsonFailure{used, "text after the value"};
  return std::nullopt;
}

std::string JsonPosition(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::string_view last = before.substr(before.rfind('\n') + 1);  // npos + 1 is 0
  const auto column = 1 + std::count_if(last.begin(), last.end(), [](char c) { return (c & '\xC0') != '\x80'; });
  return std::to_string(line) + ":" + std::to_string(column);
}

}  // namespace millrace::documents
