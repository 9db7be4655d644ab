#include "pipelines/documents/sources/glob.h"

#include "pipelines/documents/sources/path_text.h"

namespace millrace::documents {
namespace {

constexpr std::size_t kMaxAlternatives = 256;
constexpr std::size_t kMaxPattern = 1024;

// Characters of a name; a byte that is not UTF-8 is a unit of its own above all characters.
std::vector<char32_t> Units(std::string_view text) {
  std::vector<char32_t> units;
  units.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = Utf8Length(text);
    const auto first = static_cast<unsigned char>(text[0]);
    if (length <= 1) {
      units.push_back(length == 1 ? first : 0x110000u + first);
      text.remove_prefix(1);
      continue;
    }
    char32_t unit = first & (0xFFu >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) unit = unit << 6 | (static_cast<unsigned char>(text[i]) & 0x3Fu);
    units.push_back(unit);
    text.remove_prefix(length);
  }
  return units;
}

// Splits at the first top-level brace group: before{a,b}after becomes beforeaafter, beforebafter.
Result<void> ExpandBraces(const std::string& pattern, std::vector<std::string>& out) {
  std::size_t open = std::string::npos;
  int depth = 0;
  std::vector<std::size_t> cuts;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\') {
      ++i;
    } else if (c == '{') {
      if (depth++ == 0) open = i, cuts.assign(1, i);
    } else if (c == ',' && depth == 1) {
      cuts.push_back(i);
    } else if (c == '}' && depth > 0 && --depth == 0) {
      cuts.push_back(i);
      for (std::size_t k = 0; k + 1 < cuts.size(); ++k) {
        const std::string part = pattern.substr(cuts[k] + 1, cuts[k + 1] - cuts[k] - 1);
        if (auto r = ExpandBraces(pattern.substr(0, open) + part + pattern.substr(i + 1), out); !r) return r;
      }
      return {};
    }
  }
  if (depth > 0) return fail(ErrorCode::kInvalidArgument, "a '{' without its '}'");
  if (out.size() == kMaxAlternatives) return fail(ErrorCode::kInvalidArgument, "more than 256 alternatives");
  out.push_back(pattern);
  return {};
}

}  // namespace

Result<Glob> Glob::Compile(std::string_view pattern) {
  const auto wrong = [&](const std::string& what) {
    return fail(ErrorCode::kInvalidArgument, "pattern '" + EncodePath(pattern.substr(0, 200)) + "': " + what);
  };
  if (pattern.empty()) return wrong("is empty");
  if (pattern.size() > kMaxPattern) return wrong("is longer than 1024 bytes");
  std::vector<std::string> expanded;
  if (auto r = ExpandBraces(std::string(pattern), expanded); !r) return wrong(r.error().message);
  Glob glob;
  for (const std::string& one : expanded) {
    auto tokens = CompileOne(one);
    if (!tokens) return wrong(tokens.error().message);
    glob.alternatives_.push_back(std::move(*tokens));
  }
  return glob;
}

Result<Glob::Alternative> Glob::CompileOne(std::string_view pattern) {
  Alternative tokens;
  const bool anchored = pattern.find('/') != std::string_view::npos;
  while (!pattern.empty() && pattern.front() == '/') pattern.remove_prefix(1);
  while (!pattern.empty() && pattern.back() == '/') pattern.remove_suffix(1);
  if (pattern.empty()) return fail(ErrorCode::kInvalidArgument, "names nothing");
  if (!anchored) tokens.push_back({Kind::kDirectories, 0, false, {}});
  const std::vector<char32_t> units = Units(pattern);
  for (std::size_t i = 0; i < units.size(); ++i) {
    const bool starts = i == 0 || units[i - 1] == U'/';
    if (units[i] == U'*' && starts && i + 1 < units.size() && units[i + 1] == U'*' &&
        (i + 2 == units.size() || units[i + 2] == U'/')) {
      tokens.push_back({i + 2 == units.size() ? Kind::kEverything : Kind::kDirectories, 0, false, {}});
      i += 2;
    } else if (units[i] == U'*') {
      tokens.push_back({Kind::kStar, 0, false, {}});
    } else if (units[i] == U'?') {
      tokens.push_back({Kind::kAnyOne, 0, false, {}});
    } else if (units[i] == U'[') {
      auto token = CompileClass(units, i);
      if (!token) return fail(token.error());
      tokens.push_back(std::move(*token));
    } else {
      if (units[i] == U'\\' && i + 1 < units.size()) ++i;
      tokens.push_back({Kind::kLiteral, units[i], false, {}});
    }
  }
  return tokens;
}

// At '[' on entry, at ']' on return.
Result<Glob::Token> Glob::CompileClass(const std::vector<char32_t>& units, std::size_t& at) {
  Token token{Kind::kClass, 0, false, {}};
  std::size_t i = at + 1;
  if (i < units.size() && (units[i] == U'!' || units[i] == U'^')) token.negated = true, ++i;
  for (bool first = true; i < units.size() && (first || units[i] != U']'); first = false) {
    if (units[i] == U'\\' && i + 1 < units.size()) ++i;
    Range range{units[i], units[i]};
    if (i + 2 < units.size() && units[i + 1] == U'-' && units[i + 2] != U']') {
      range.to = units[i + 2];
      i += 2;
    }
    token.ranges.push_back(range);
    ++i;
  }
  if (i >= units.size()) return fail(ErrorCode::kInvalidArgument, "a '[' without its ']'");
  at = i;
  return token;
}

bool Glob::Accepts(const Token& token, char32_t unit) {
  switch (token.kind) {
    case Kind::kLiteral:
      return unit == token.literal;
    case Kind::kAnyOne:
    case Kind::kStar:
      return unit != U'/';
    case Kind::kDirectories:
    case Kind::kEverything:
      return true;
    case Kind::kClass:
      break;
  }
  if (unit == U'/') return false;
  for (const Range& range : token.ranges) {
    if (unit >= range.from && unit <= range.to) return !token.negated;
  }
  return token.negated;
}

// Follows all ways to match at once: `alive[i]` says that tokens before i can have matched what was read so far.
bool Glob::MatchesOne(const Alternative& tokens, const std::vector<char32_t>& path) {
  std::vector<char> alive(tokens.size() + 1, 0), next(tokens.size() + 1, 0);
  const auto skip_empty = [&](std::vector<char>& states, bool component_start) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (!states[i]) continue;
      const Kind kind = tokens[i].kind;
      if (kind == Kind::kStar || (kind == Kind::kDirectories && component_start)) states[i + 1] = 1;
    }
  };
  alive[0] = 1;
  skip_empty(alive, true);
  for (const char32_t unit : path) {
    std::fill(next.begin(), next.end(), 0);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (!alive[i] || !Accepts(tokens[i], unit)) continue;
      const Kind kind = tokens[i].kind;
      const bool repeats = kind == Kind::kStar || kind == Kind::kDirectories || kind == Kind::kEverything;
      if (repeats) next[i] = 1;
      if (!repeats || kind == Kind::kEverything) next[i + 1] = 1;
    }
    skip_empty(next, unit == U'/');
    std::swap(alive, next);
  }
  return alive[tokens.size()] != 0;
}

bool Glob::Matches(std::string_view path) const {
  const std::vector<char32_t> units = Units(path);
  for (const Alternative& tokens : alternatives_) {
    if (MatchesOne(tokens, units)) return true;
  }
  return false;
}

}  // namespace millrace::documents
