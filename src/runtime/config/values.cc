// One scalar key: from YAML or text to a typed Setting.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/clock.h"
#include "base/units.h"
#include "runtime/config/loader.h"

namespace millrace::runtime {
namespace {

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::string Trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t") - begin + 1));
}

bool IsWord(std::string_view words, std::string_view text) {
  while (!words.empty()) {
    const std::size_t bar = words.find('|');
    if (words.substr(0, bar) == text) return true;
    words = bar == std::string_view::npos ? "" : words.substr(bar + 1);
  }
  return false;
}

std::string Readable(std::string_view words) {
  std::string out(words);
  for (std::size_t at = out.find('|'); at != std::string::npos; at = out.find('|', at)) out.replace(at, 1, ", ");
  return out;
}

bool ReadInteger(const KeySpec& spec, const base::YamlReader& reader, Setting& out) {
  const base::YamlNode& node = reader.node();
  if (node.kind == base::YamlNode::Kind::kScalar && IsWord(spec.words, node.text)) {
    out.word = true;
    out.value = node.text;
    return true;
  }
  const auto value = reader.Integer(spec.min, spec.max);
  if (!value) return false;
  out.number = *value;
  out.value = fmt::format("{}", *value);
  return true;
}

bool ReadChoice(const KeySpec& spec, const base::YamlReader& reader, bool from_file, Setting& out) {
  auto text = reader.Scalar();
  if (!text) return false;
  if (!from_file || spec.key == "log.level") text = Lower(*text);
  if (!IsWord(spec.words, *text)) {
    reader.Fail(fmt::format("'{}' is not one of: {}", *text, Readable(spec.words)));
    return false;
  }
  out.value = *text;
  return true;
}

// A list, or one text with commas; "all" is the empty list.
bool ReadList(const KeySpec& spec, const base::YamlReader& reader, Setting& out) {
  std::vector<std::string> parts;
  if (reader.node().kind == base::YamlNode::Kind::kScalar) {
    const std::string& text = reader.node().text;
    for (std::size_t at = 0; at <= text.size();) {
      const std::size_t comma = std::min(text.find(',', at), text.size());
      if (std::string part = Trim(std::string_view(text).substr(at, comma - at)); !part.empty()) parts.push_back(part);
      at = comma + 1;
    }
  } else {
    parts = reader.Texts();
  }
  if (parts.size() == 1 && Lower(parts[0]) == "all") {
    parts.clear();
    out.word = true;
  }
  bool good = true;
  for (std::string& part : parts) {
    if (spec.type != KeyType::kPriorities) continue;
    const auto priority = reader.Value(parse_priority(part));
    good = good && priority.has_value();
    if (priority) part = priority_name(*priority);
  }
  out.list = parts;
  out.value = out.word ? "all" : fmt::format("{}", fmt::join(parts, ","));
  return good;
}

bool ReadDuration(const KeySpec& spec, const base::YamlReader& reader, Setting& out) {
  const auto value = reader.Time();
  if (!value) return false;
  if (value->count() < spec.min) {
    reader.Fail(fmt::format("must be at least {}", base::FormatDuration(Duration(spec.min))));
    return false;
  }
  out.number = value->count();
  out.value = base::FormatDuration(*value);
  return true;
}

bool ReadBytes(const KeySpec& spec, const base::YamlReader& reader, Setting& out) {
  const auto value = reader.Bytes();
  if (!value) return false;
  if (*value < spec.min || *value > spec.max) {
    reader.Fail(fmt::format("must be at least {} bytes", spec.min));
    return false;
  }
  out.number = *value;
  out.value = base::FormatBytes(*value);
  return true;
}

bool ReadText(const base::YamlReader& reader, bool from_file, Setting& out) {
  auto text = from_file ? reader.Text() : reader.Scalar();
  if (!text) return false;
  out.value = std::move(*text);
  return true;
}

bool ReadBoolean(const base::YamlReader& reader, Setting& out) {
  const auto value = reader.Boolean();
  if (!value) return false;
  out.number = *value ? 1 : 0;
  out.value = *value ? "true" : "false";
  return true;
}

}  // namespace

bool ReadSetting(const KeySpec& spec, const base::YamlReader& reader, bool from_file, Setting& out) {
  switch (spec.type) {
    case KeyType::kText:
      return ReadText(reader, from_file, out);
    case KeyType::kBoolean:
      return ReadBoolean(reader, out);
    case KeyType::kInteger:
      return ReadInteger(spec, reader, out);
    case KeyType::kNumber: {
      const auto value = reader.Number(static_cast<double>(spec.min), static_cast<double>(spec.max));
      if (value) out.real = *value;
      if (value) out.value = fmt::format("{}", *value);
      return value.has_value();
    }
    case KeyType::kDuration:
      return ReadDuration(spec, reader, out);
    case KeyType::kBytes:
      return ReadBytes(spec, reader, out);
    case KeyType::kChoice:
      return ReadChoice(spec, reader, from_file, out);
    case KeyType::kTexts:
    case KeyType::kPriorities:
      return ReadList(spec, reader, out);
  }
  return false;
}

}  // namespace millrace::runtime
