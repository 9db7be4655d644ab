// Typed reading of the tree. See yaml.h.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/clock.h"
#include "base/units.h"
#include "base/yaml.h"

namespace millrace::base {
namespace {

// What a value is, for "expected X, found Y".
std::string Describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kList:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a map of keys";
    case YamlNode::Kind::kScalar:
      break;
  }
  // A value from the environment may be a secret.
  if (node.expanded) return "a text from the environment";
  const std::string_view type = !node.plain                ? "the text"
                                : PlainBoolean(node.text)  ? "the boolean"
                                : IsPlainNumber(node.text) ? "the number"
                                                           : "the text";
  return fmt::format("{} '{}'", type, node.text.size() > 60 ? node.text.substr(0, 57) + "..." : node.text);
}

// Levenshtein's distance, two rows.
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::string FormatProblem(const YamlProblem& problem) {
  std::string text = problem.file;
  if (problem.line > 0) text += fmt::format(":{}", problem.line);
  if (problem.line > 0 && problem.column > 0) text += fmt::format(":{}", problem.column);
  if (!text.empty()) text += ": ";
  if (!problem.path.empty()) text += problem.path + ": ";
  return text + problem.message;
}

std::optional<bool> PlainBoolean(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}

bool IsPlainNumber(std::string_view text) {
  std::size_t at = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  const std::size_t first = at;
  std::size_t digits = 0;
  for (; at < text.size() && IsDigit(text[at]); ++at) ++digits;
  if (digits > 1 && text[first] == '0') return false;  // 017: YAML 1.1's octal; an identifier here
  if (at < text.size() && text[at] == '.') {
    for (++at; at < text.size() && IsDigit(text[at]); ++at) ++digits;
  }
  if (digits == 0) return false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    const std::size_t exponent = at;
    while (at < text.size() && IsDigit(text[at])) ++at;
    if (at == exponent) return false;
  }
  return at == text.size();
}

std::string_view ClosestWord(std::string_view word, const std::set<std::string, std::less<>>& known) {
  std::string_view best;
  std::size_t best_distance = (word.size() < 4 ? 1 : word.size() < 9 ? 2 : 3) + 1;
  for (const std::string& candidate : known) {
    const std::size_t distance = Distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

void YamlReader::Fail(std::string message) const {
  problems_->push_back({*file_, node_->line, node_->column, path_, std::move(message)});
}

bool YamlReader::IsScalar(std::string_view expected) const {
  if (node_->kind == YamlNode::Kind::kScalar) return true;
  Fail(fmt::format("expected {}, found {}", expected, Describe(*node_)));
  return false;
}

std::optional<bool> YamlReader::Boolean() const {
  if (!IsScalar("true or false")) return std::nullopt;
  const auto value = node_->plain ? PlainBoolean(node_->text) : std::nullopt;
  if (!value) Fail(fmt::format("expected true or false, found {}", Describe(*node_)));
  return value;
}

std::optional<std::int64_t> YamlReader::Integer(std::int64_t min, std::int64_t max) const {
  if (!IsScalar("an integer")) return std::nullopt;
  const std::string& text = node_->text;
  std::int64_t value = 0;
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  auto [end, error] = std::from_chars(begin, text.data() + text.size(), value);
  const bool whole = end == text.data() + text.size() && IsPlainNumber(text);
  if (!node_->plain || !whole || error == std::errc::invalid_argument) {
    Fail(fmt::format("expected an integer, found {}", Describe(*node_)));
    return std::nullopt;
  }
  if (error != std::errc() || value < min || value > max) {
    Fail(fmt::format("{} is out of range; it must be from {} to {}", node_->expanded ? "the value" : text, min, max));
    return std::nullopt;
  }
  return value;
}

std::optional<double> YamlReader::Number(double min, double max) const {
  if (!IsScalar("a number")) return std::nullopt;
  const std::string& text = node_->text;
  double value = 0;
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  auto [end, error] = std::from_chars(begin, text.data() + text.size(), value);
  if (!node_->plain || !IsPlainNumber(text) || error != std::errc() || end != text.data() + text.size()) {
    Fail(fmt::format("expected a number, found {}", Describe(*node_)));
    return std::nullopt;
  }
  if (!(value >= min && value <= max)) {
    Fail(fmt::format("{} is out of range; it must be from {} to {}", node_->expanded ? "the value" : text, min, max));
    return std::nullopt;
  }
  return value;
}

std::optional<std::string> YamlReader::Text() const {
  if (!IsScalar("a text")) return std::nullopt;
  const bool typed = node_->plain && !node_->expanded && (PlainBoolean(node_->text) || IsPlainNumber(node_->text));
  if (typed) {
    Fail(fmt::format("expected a text, found {}; put it in quotes", Describe(*node_)));
    return std::nullopt;
  }
  return node_->text;
}

std::optional<std::string> YamlReader::Scalar() const {
  if (!IsScalar("a value")) return std::nullopt;
  return node_->text;
}

std::optional<Duration> YamlReader::Time() const {
  if (!IsScalar("a duration")) return std::nullopt;
  return Value(ParseDuration(node_->text));
}

std::optional<std::int64_t> YamlReader::Bytes() const {
  if (!IsScalar("a size")) return std::nullopt;
  return Value(ParseBytes(node_->text));
}

std::vector<std::string> YamlReader::Texts() const {
  std::vector<std::string> out;
  if (node_->kind == YamlNode::Kind::kList) {
    Items([&](const YamlReader& item) {
      if (auto text = item.Text()) out.push_back(std::move(*text));
    });
  } else if (node_->kind == YamlNode::Kind::kScalar) {
    if (auto text = Text()) out.push_back(std::move(*text));
  } else {
    Fail(fmt::format("expected a list of texts, found {}", Describe(*node_)));
  }
  return out;
}

bool YamlReader::Items(const std::function<void(const YamlReader&)>& each) const {
  if (node_->kind != YamlNode::Kind::kList) {
    Fail(fmt::format("expected a list, found {}", Describe(*node_)));
    return false;
  }
  for (std::size_t i = 0; i < node_->items.size(); ++i) {
    each(YamlReader(node_->items[i], fmt::format("{}[{}]", path_, i), *file_, *problems_));
  }
  return true;
}

YamlMap::YamlMap(const YamlReader& reader) : reader_(reader), is_map_(reader.node().kind == YamlNode::Kind::kMap) {
  if (!is_map_) reader_.Fail(fmt::format("expected a map of keys, found {}", Describe(reader.node())));
}

std::optional<YamlReader> YamlMap::Get(std::string_view key) {
  known_.emplace(key);
  const YamlNode* value = is_map_ ? reader_.node_->Find(key) : nullptr;
  if (value == nullptr || value->kind == YamlNode::Kind::kNull) return std::nullopt;
  const std::string path = reader_.path_.empty() ? std::string(key) : reader_.path_ + "." + std::string(key);
  return YamlReader(*value, path, *reader_.file_, *reader_.problems_);
}

std::optional<YamlReader> YamlMap::Require(std::string_view key) {
  auto value = Get(key);
  const YamlNode* written = is_map_ ? reader_.node_->Find(key) : nullptr;
  const bool told = written != nullptr && written->expanded;  // an unresolved variable has its own problem
  if (!value && is_map_ && !told) reader_.Fail(fmt::format("needs the key '{}'", key));
  return value;
}

void YamlMap::Finish() {
  if (!is_map_) return;
  for (const YamlNode::Member& member : reader_.node_->members) {
    if (known_.contains(member.key)) continue;
    const std::string path = reader_.path_.empty() ? member.key : reader_.path_ + "." + member.key;
    std::string message = "unknown key";
    if (const std::string_view closest = ClosestWord(member.key, known_); !closest.empty()) {
      message += fmt::format("; did you mean '{}'?", closest);
    } else {
      std::string list;
      for (const std::string& known : known_) list += (list.empty() ? "" : ", ") + known;
      message += "; known here: " + list;
    }
    reader_.problems_->push_back({*reader_.file_, member.line, member.column, path, std::move(message)});
  }
}

}  // namespace millrace::base
