// Patterns that choose files of a source by path.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/error.h"

namespace millrace::documents {

// A compiled pattern. Immutable and thread-safe.
//
//   *       any characters but '/'          ?        one character but '/'
//   **      as a whole component: any number of components      [a-z] [!a-z]   one of, none of
//   {a,b}   alternatives                    \x       the character x itself
//
// A pattern without '/' applies to the last component at any depth; with one it is anchored at the base ("/a" and "a/"
// name only the top-level a). Matching is exact about case and takes time in proportion to pattern times path, whatever
// the pattern.
class Glob {
 public:
  // Fails with kInvalidArgument: unclosed bracket or brace, empty pattern, more than 256 alternatives or 1024 bytes.
  static Result<Glob> Compile(std::string_view pattern);

  // `path` is relative, its components separated by single slashes, in the bytes of the file system.
  [[nodiscard]] bool Matches(std::string_view path) const;

 private:
  enum class Kind : std::uint8_t { kLiteral, kAnyOne, kStar, kDirectories, kEverything, kClass };
  struct Range {
    char32_t from, to;
  };
  struct Token {
    Kind kind = Kind::kLiteral;
    char32_t literal = 0;
    bool negated = false;
    std::vector<Range> ranges;
  };
  using Alternative = std::vector<Token>;

  static Result<Alternative> CompileOne(std::string_view pattern);
  static Result<Token> CompileClass(const std::vector<char32_t>& units, std::size_t& at);
  static bool MatchesOne(const Alternative& tokens, const std::vector<char32_t>& path);
  static bool Accepts(const Token& token, char32_t unit);
  std::vector<Alternative> alternatives_;
};

}  // namespace millrace::documents
