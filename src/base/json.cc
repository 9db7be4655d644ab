#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/json_events.h"
#include "base/utf8.h"

namespace millrace::base {
namespace {

// 1-based line and column of a byte offset.
std::string Position(std::string_view text, std::size_t offset) {
  offset = std::min(offset, text.size());
  const std::string_view before = text.substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return fmt::format("{}:{}", line, offset - line_start + 1);
}

// Boost.JSON keeps the last of two members with one name; this finds them by watching the events of a second pass.
class DuplicateFinder : public JsonEventSink {
 public:
  std::string duplicate;

  bool on_object_begin(error_code&) {
    members_.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t, error_code&) {
    members_.pop_back();
    return true;
  }
  bool on_key_part(std::string_view part, std::size_t, error_code&) {
    key_ += part;
    return true;
  }
  bool on_key(std::string_view part, std::size_t, error_code& error) {
    key_ += part;
    if (!members_.back().insert(key_).second) {
      duplicate = key_;
      error = make_error_code(boost::json::error::syntax);
      return false;
    }
    key_.clear();
    return true;
  }

 private:
  std::vector<std::set<std::string>> members_;
  std::string key_;
};

void Pretty(const json::value& value, const std::string& indent, std::string& out);

void PrettyMembers(const json::object& object, const std::string& indent, std::string& out) {
  const std::string inner = indent + "  ";
  std::string_view comma = "\n";
  out += '{';
  for (const auto& member : object) {
    out += comma;
    out += inner;
    out += json::serialize(member.key());
    out += ": ";
    Pretty(member.value(), inner, out);
    comma = ",\n";
  }
  out += '\n' + indent + '}';
}

void PrettyItems(const json::array& array, const std::string& indent, std::string& out) {
  const std::string inner = indent + "  ";
  std::string_view comma = "\n";
  out += '[';
  for (const auto& item : array) {
    out += comma;
    out += inner;
    Pretty(item, inner, out);
    comma = ",\n";
  }
  out += '\n' + indent + ']';
}

void Pretty(const json::value& value, const std::string& indent, std::string& out) {
  if (value.is_object() && !value.get_object().empty()) {
    PrettyMembers(value.get_object(), indent, out);
  } else if (value.is_array() && !value.get_array().empty()) {
    PrettyItems(value.get_array(), indent, out);
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

Result<json::value> ParseJson(std::string_view text, std::size_t max_depth) {
  json::parse_options options;
  options.max_depth = max_depth;
  json::parser parser({}, options);
  boost::system::error_code error;
  const std::size_t used = parser.write(text.data(), text.size(), error);
  if (error) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", Position(text, used), error.message()));
  }
  json::value value = parser.release();
  json::basic_parser<DuplicateFinder> finder(options);
  const std::size_t at = finder.write_some(false, text.data(), text.size(), error);
  if (!finder.handler().duplicate.empty() || error) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("{}: member \"{}\" stands twice in one object",
                                                         Position(text, at), finder.handler().duplicate));
  }
  return value;
}

Result<void> CheckJson(std::string_view text) {
  json::parse_options options;
  options.max_depth = 64;
  thread_local json::basic_parser<JsonEventSink> parser(options);
  parser.reset();
  boost::system::error_code error;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
  const std::size_t rest = error ? used : text.find_first_not_of(" \t\r\n", used);
  if (!error && rest == std::string_view::npos) return {};
  return fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", Position(text, error ? used : rest),
                                                       error ? error.message() : "text after the value"));
}

Result<void> CheckJsonObject(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] != '{')
    return fail(ErrorCode::kInvalidArgument, "1:1: expected {");
  return CheckJson(text);
}

std::string ToJson(const json::value& value) { return json::serialize(value); }

std::string ToPrettyJson(const json::value& value) {
  std::string out;
  Pretty(value, "", out);
  return out;
}

std::string JsonQuote(std::string_view text) {
  std::string out = "\"";
  out.reserve(text.size() + 2);
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = Utf8SequenceLength(text, i);
    const char c = text[i];
    if (length == 0) {
      out += "\uFFFD";
      ++i;
    } else if (length > 1) {
      out.append(text, i, length);
      i += length;
    } else {
      if (c == '"' || c == '\\') {
        out += '\\';
        out += c;
      } else if (c == '\n') {
        out += "\\n";
      } else if (c == '\t') {
        out += "\\t";
      } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
        out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
      } else {
        out += c;
      }
      ++i;
    }
  }
  return out + '"';
}

std::string TextsToJson(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "[" : ",") + JsonQuote(text);
  return out.empty() ? out : out + ']';
}

std::vector<std::string> TextsFromJson(std::string_view text) {
  std::vector<std::string> texts;
  if (text.empty()) return texts;
  const auto parsed = ParseJson(text);
  if (!parsed || !parsed->is_array()) return texts;
  for (const json::value& one : parsed->get_array()) {
    if (one.is_string()) texts.emplace_back(one.get_string());
  }
  return texts;
}

}  // namespace millrace::base
