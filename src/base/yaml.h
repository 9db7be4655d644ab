// The door to YAML (yaml-cpp), made strict: every mistake is told, all of them at once, with its place.
//
// yaml-cpp keeps the first of two equal keys silently, ignores `<<`, reads `no` as false and `017` as 15. Here a
// document is read into a plain tree of our own, in which duplicate keys, merge keys, tags, keys that are not text,
// unresolved
// ${VAR} and what exceeds the limits have been reported; scalars keep their text and are typed when they are read, by
// the rules of YAML 1.2: `true` and `false` alone are booleans, numbers are decimal, everything else is text.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "millrace/error.h"
#include "millrace/job.h"

namespace millrace::base {

// One mistake. Lines and columns count from 1; 0 when the mistake has no place in a file.
struct YamlProblem {
  std::string file;
  int line = 0;
  int column = 0;
  std::string path;  // the key, such as "queues[1].capacity"; empty for the document itself
  std::string message;
  bool operator==(const YamlProblem&) const = default;
};

// "millrace.yaml:12:3: queues[1].capacity: expected an integer, found the text 'many'".
std::string FormatProblem(const YamlProblem& problem);

// A value of the tree, with the place it stands at.
struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  struct Member;

  Kind kind = Kind::kNull;
  bool plain = false;     // a scalar without quotes: it may be a number or a boolean
  bool expanded = false;  // its text came from the environment, at least in part
  std::string text;       // of a scalar, ${VAR} expanded
  int line = 0;
  int column = 0;
  std::vector<YamlNode> items;  // of a list
  std::vector<Member> members;  // of a map, in the file's order, no key twice

  // The member's value, or null.
  [[nodiscard]] const YamlNode* Find(std::string_view key) const;
};

struct YamlNode::Member {
  std::string key;
  int line = 0;
  int column = 0;
  YamlNode value;
};

struct YamlLimits {
  std::size_t max_bytes = 4 << 20;
  std::size_t max_nodes = 200'000;  // aliases count with all they repeat
  int max_depth = 64;
};

// Looks a variable up; nullopt when it is not set.
using VariableLookup = std::function<std::optional<std::string>(const std::string& name)>;

// Reads one document. `file` names it in problems. A node with a problem of its own is left out of the tree, so that
// reading goes on. ${NAME} and ${NAME:-text} in values are expanded; $${ is a plain ${.
YamlNode ParseYaml(std::string_view text, const std::string& file, const VariableLookup& variables,
                   std::vector<YamlProblem>& problems, const YamlLimits& limits = {});

// Reads a value of the tree as the type asked for. A mistake is added to the problems and gives nullopt.
// Copyable; the tree and the list of problems must outlive it.
class YamlReader {
 public:
  YamlReader(const YamlNode& node, std::string path, const std::string& file, std::vector<YamlProblem>& problems)
      : node_(&node), path_(std::move(path)), file_(&file), problems_(&problems) {}

  [[nodiscard]] const YamlNode& node() const { return *node_; }
  [[nodiscard]] const std::string& path() const { return path_; }

  // Adds a problem at this value.
  void Fail(std::string message) const;
  // Adds the message of an error of parsing.
  template <class T>
  std::optional<T> Value(Result<T> result) const {
    if (result) return std::move(*result);
    Fail(result.error().message);
    return std::nullopt;
  }

  [[nodiscard]] std::optional<bool> Boolean() const;
  [[nodiscard]] std::optional<std::int64_t> Integer(std::int64_t min, std::int64_t max) const;
  [[nodiscard]] std::optional<double> Number(double min, double max) const;
  // Text: quoted, or plain and neither null nor a boolean nor a number.
  [[nodiscard]] std::optional<std::string> Text() const;
  // The text of any scalar, whatever it looks like.
  [[nodiscard]] std::optional<std::string> Scalar() const;
  [[nodiscard]] std::optional<Duration> Time() const;
  [[nodiscard]] std::optional<std::int64_t> Bytes() const;
  // A list of texts, or one text.
  [[nodiscard]] std::vector<std::string> Texts() const;
  // Calls `each` for every item, with path "queues[0]" and so on. False, and a problem, if this is no list.
  bool Items(const std::function<void(const YamlReader&)>& each) const;

 private:
  friend class YamlMap;
  [[nodiscard]] bool IsScalar(std::string_view expected) const;

  const YamlNode* node_;
  std::string path_;
  const std::string* file_;
  std::vector<YamlProblem>* problems_;
};

// A map read key by key. Finish() then reports the keys nobody asked for.
class YamlMap {
 public:
  // A value that is no map is a problem, told once; the map is then empty.
  explicit YamlMap(const YamlReader& reader);

  // The value of `key`, if it is there and not null.
  std::optional<YamlReader> Get(std::string_view key);
  // The same, and a problem if it is not there.
  std::optional<YamlReader> Require(std::string_view key);
  // Adds a problem for each key that neither Get nor Require was asked for, and names the closest known one.
  void Finish();
  [[nodiscard]] const YamlReader& reader() const { return reader_; }

 private:
  YamlReader reader_;
  bool is_map_;
  std::set<std::string, std::less<>> known_;
};

// What a plain scalar is by YAML 1.2's core rules, without its octal and hexadecimal forms.
[[nodiscard]] std::optional<bool> PlainBoolean(std::string_view text);
[[nodiscard]] bool IsPlainNumber(std::string_view text);

// The known word closest to `word`, if one is close enough to be what was meant; else empty.
std::string_view ClosestWord(std::string_view word, const std::set<std::string, std::less<>>& known);

}  // namespace millrace::base
