// What commands print: results to standard output, everything else to standard error; colours only on a terminal.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "millrace/error.h"

namespace millrace::cli {

// Exit statuses.
inline constexpr int kOk = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kPartial = 3;

// Whether `stream` is a terminal that takes colours (and NO_COLOR is not set).
bool IsTerminal(std::FILE* stream);
bool HasColours(std::FILE* stream);

// "millrace: error: MESSAGE" and, when there is one, "try: NEXT". Returns `status`.
int PrintError(std::string_view message, std::string_view next, int status = kFailed);
// The same with a next command fitting the error. What can never work (kInvalidArgument) was wrongly asked for: kUsage,
// and the command's help as what to try; else kFailed.
int PrintError(const Error& error);
// The status of an error by that rule.
int StatusOf(const Error& error);
void PrintWarning(std::string_view message);

// A word as a shell reads it back: in quotes where it must be.
std::string QuoteForShell(const std::string& word);
// The command that runs ("millrace jobs list") and the FILE of --config, so that hints can name them. Call before there
// are other threads.
void SetCommand(std::string command);
void SetConfigFile(std::string file);
// "millrace config check", with that FILE when there is one.
std::string ConfigCheckCommand();

// Writes to standard output. Text from jobs and documents has control characters replaced on a terminal.
void Print(std::string_view text);
void PrintJson(const base::json::value& value);

// Text made safe for a terminal: control characters (escape sequences too), and those that end a line or turn its
// direction round, become spaces.
std::string Printable(std::string_view text);
// Text with the passwords of URLs ("scheme://user:PASSWORD@host") and of "password=.." made asterisks, byte for byte.
std::string WithoutPasswords(std::string_view text);
// Cut to so many characters, with "..." when something was cut.
std::string Shorten(std::string_view text, std::size_t characters);
// 1234567 as "1,234,567".
std::string Grouped(std::int64_t number);
// How long ago an RFC 3339 time was: "12s", "5m", "3h", "2d"; empty for an empty text.
std::string Ago(std::string_view time);

// Columns, each as wide as its widest cell. Cells are made printable.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}
  // Columns whose cells stand to the right, such as numbers.
  Table& AlignRight(std::vector<std::size_t> columns);
  void Add(std::vector<std::string> row);
  void Print() const;
  [[nodiscard]] bool empty() const { return rows_.empty(); }

 private:
  std::vector<std::string> header_;
  std::vector<std::size_t> right_;
  std::vector<std::vector<std::string>> rows_;
};

// A member as text: strings as they are, null as "", others as JSON.
std::string Field(const base::json::object& object, std::string_view name);
std::int64_t NumberField(const base::json::object& object, std::string_view name);

// What a job is about, in a few characters: its args' path, else its args, nothing when it has none.
std::string Subject(const base::json::object& job);

}  // namespace millrace::cli
