// `config show`: the effective configuration for people and programs, secrets redacted.
#include <fmt/format.h>

#include <algorithm>

#include "engine/run_identity.h"
#include "runtime/config/config.h"

namespace millrace::runtime {
namespace {

constexpr std::string_view kRedacted = "[redacted]";

// A word that YAML reads back as the same text without quotes.
bool IsPlainWord(const std::string& text) {
  if (text.empty() || base::PlainBoolean(text) || text == "null" || text == "~") return false;
  const bool safe = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.' || c == '/' || c == '+';
  });
  return safe && text[0] != '-';
}

std::string ShownText(const std::string& key, const std::string& text) {
  if (text.empty()) return text;
  if (engine::IsSecretField(key)) return std::string(kRedacted);
  return engine::WithoutCredentials(text);
}

std::string ShownValue(const Setting& setting) {
  if (setting.secret && !setting.value.empty()) return std::string(kRedacted);
  return ShownText(setting.key.substr(setting.key.rfind('.') + 1), setting.value);
}

std::string YamlScalar(const std::string& text) { return IsPlainWord(text) ? text : base::JsonQuote(text); }

// A section's tree in flow-free YAML. `indent` is that of the node's own lines.
void WriteNode(const std::string& key, const base::YamlNode& node, const std::string& indent, std::string& out) {
  if (node.kind == base::YamlNode::Kind::kNull) {
    out += " null\n";
  } else if (node.kind == base::YamlNode::Kind::kScalar) {
    const std::string shown = ShownText(key, node.text);
    const bool plain = node.plain && (base::IsPlainNumber(shown) || base::PlainBoolean(shown));
    out += " " + (plain ? shown : YamlScalar(shown)) + "\n";
  } else if (node.items.empty() && node.members.empty()) {
    out += node.kind == base::YamlNode::Kind::kList ? " []\n" : " {}\n";
  } else {
    out += fmt::format("{}\n", indent.empty() ? fmt::format("  # line {}", node.line) : "");
    for (const base::YamlNode& item : node.items) {
      out += indent + "  -";
      WriteNode(key, item, indent + "    ", out);
    }
    for (const base::YamlNode::Member& member : node.members) {
      out += indent + "  " + YamlScalar(member.key) + ":";
      WriteNode(member.key, member.value, indent + "  ", out);
    }
  }
}

base::json::value NodeJson(const std::string& key, const base::YamlNode& node) {
  switch (node.kind) {
    case base::YamlNode::Kind::kNull:
      return nullptr;
    case base::YamlNode::Kind::kScalar:
      if (node.plain && base::PlainBoolean(node.text)) return *base::PlainBoolean(node.text);
      return base::json::string(ShownText(key, node.text));
    case base::YamlNode::Kind::kList: {
      base::json::array list;
      for (const base::YamlNode& item : node.items) list.push_back(NodeJson(key, item));
      return list;
    }
    case base::YamlNode::Kind::kMap:
      break;
  }
  base::json::object map;
  for (const base::YamlNode::Member& member : node.members) map[member.key] = NodeJson(member.key, member.value);
  return map;
}

std::string YamlValue(const Setting& setting) {
  const std::string shown = ShownValue(setting);
  if (!setting.list.empty()) return fmt::format("[{}]", fmt::join(setting.list, ", "));
  return IsPlainWord(shown) || base::PlainBoolean(shown) ? shown : base::JsonQuote(shown);
}

}  // namespace

std::string Config::ShowYaml() const {
  std::string out = fmt::format("# The effective configuration: flag > environment > file > default.\n# File: {}\n",
                                file_.empty() ? "none" : file_);
  std::vector<std::string> open;  // the groups the last line stands in
  for (const Setting& setting : settings_) {
    std::vector<std::string> groups;
    std::size_t begin = 0;
    for (std::size_t dot = setting.key.find('.'); dot != std::string::npos; dot = setting.key.find('.', begin)) {
      groups.push_back(setting.key.substr(begin, dot - begin));
      begin = dot + 1;
    }
    std::size_t same = 0;
    while (same < groups.size() && same < open.size() && groups[same] == open[same]) ++same;
    for (std::size_t i = same; i < groups.size(); ++i) out += std::string(i * 2, ' ') + groups[i] + ":\n";
    open = groups;
    const std::string line =
        fmt::format("{}{}: {}", std::string(groups.size() * 2, ' '), setting.key.substr(begin), YamlValue(setting));
    out += fmt::format("{:<48}  # {}\n", line, setting.origin.Text());
  }
  for (const RawSection& section : sections_) {
    out += section.key + ":";
    WriteNode(section.key, section.node, "", out);
  }
  return out;
}

base::json::object Config::ShowJson() const {
  base::json::array settings;
  for (const Setting& setting : settings_) {
    settings.push_back({{"key", setting.key}, {"value", ShownValue(setting)}, {"origin", setting.origin.Text()}});
  }
  base::json::object out{{"file", file_}, {"settings", std::move(settings)}};
  for (const RawSection& section : sections_) out[section.key] = NodeJson(section.key, section.node);
  return out;
}

}  // namespace millrace::runtime
