#include "cli/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/clock.h"

namespace millrace::cli {
namespace {

std::size_t Characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// U+2028 to U+202E, U+2066 to U+2069: line ends, and marks that turn the rest of a line round.
bool MovesText(std::string_view character) {
  if (character.size() != 3 || character[0] != '\xE2') return false;
  const auto last = static_cast<unsigned char>(character[2]);
  return (character[1] == '\x80' && last >= 0xA8 && last <= 0xAE) ||
         (character[1] == '\x81' && last >= 0xA6 && last <= 0xA9);
}

std::string& Command() {
  static std::string command = "millrace";
  return command;
}

std::string& ConfigFile() {
  static std::string file;
  return file;
}

// What to do next about an error; empty when there is nothing general to say.
std::string NextFor(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return Command() + " --help";
    case ErrorCode::kConfig:
    case ErrorCode::kUnsupported:
      return ConfigCheckCommand();
    case ErrorCode::kNotADatabase:
      return "the same with --db PATH of another file";
    case ErrorCode::kUnknownKind:
      return "the same with --any-kind, when a worker for it will come later";
    case ErrorCode::kQueueFull:
      return "millrace queues list";
    case ErrorCode::kOwned:
      return "millrace jobs list (commands other than run, worker and migrate reach the owner through its socket)";
    case ErrorCode::kSchemaOld:
      return "millrace migrate up, as the user that owns the database";
    case ErrorCode::kSchemaNew:
      return "millrace version, and the newer program that made this database";
    case ErrorCode::kDiskFull:
      return "df -h, then the same again: nothing was lost";
    default:
      return "";
  }
}

}  // namespace

std::string QuoteForShell(const std::string& word) {
  const bool plain =
      !word.empty() && word.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./=:") ==
                           std::string::npos;
  if (plain) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

void SetCommand(std::string command) { Command() = std::move(command); }

void SetConfigFile(std::string file) { ConfigFile() = std::move(file); }

std::string ConfigCheckCommand() {
  return "millrace config check" + (ConfigFile().empty() ? "" : " --config " + QuoteForShell(ConfigFile()));
}

bool IsTerminal(std::FILE* stream) { return isatty(fileno(stream)) != 0; }

bool HasColours(std::FILE* stream) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return IsTerminal(stream) && (no_color == nullptr || *no_color == '\0') && term != nullptr &&
         std::string_view(term) != "dumb";
}

int PrintError(std::string_view message, std::string_view next, int status) {
  const bool colours = HasColours(stderr);
  fmt::print(stderr, "millrace: {}error{}: {}\n", colours ? "\033[1;31m" : "", colours ? "\033[0m" : "",
             Printable(message));
  if (!next.empty()) fmt::print(stderr, "try: {}\n", next);
  return status;
}

int PrintError(const Error& error) { return PrintError(error.message, NextFor(error.code), StatusOf(error)); }

int StatusOf(const Error& error) { return error.code == ErrorCode::kInvalidArgument ? kUsage : kFailed; }

void PrintWarning(std::string_view message) {
  const bool colours = HasColours(stderr);
  fmt::print(stderr, "millrace: {}warning{}: {}\n", colours ? "\033[1;33m" : "", colours ? "\033[0m" : "",
             Printable(message));
}

void Print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void PrintJson(const base::json::value& value) { Print(base::ToJson(value) + "\n"); }

std::string Printable(std::string_view text) {
  std::string out(text);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto byte = static_cast<unsigned char>(out[i]);
    const bool c1 = byte == 0xC2 && i + 1 < out.size() && static_cast<unsigned char>(out[i + 1]) < 0xA0 &&
                    static_cast<unsigned char>(out[i + 1]) >= 0x80;
    if (byte < 0x20 || byte == 0x7F) out[i] = ' ';
    if (c1) out[i] = out[i + 1] = ' ';
    if (MovesText(std::string_view(out).substr(i, 3))) out[i] = out[i + 1] = out[i + 2] = ' ';
  }
  return out;
}

std::string WithoutPasswords(std::string_view text) {
  std::string out(text);
  const auto hide = [&](std::size_t begin, std::size_t end) {
    if (begin < end)
      std::fill(out.begin() + static_cast<std::ptrdiff_t>(begin), out.begin() + static_cast<std::ptrdiff_t>(end), '*');
  };
  // Up to the last '@' of the word: a password may hold some that should have been encoded.
  for (std::size_t at = out.find("://"); at != std::string::npos; at = out.find("://", at + 3)) {
    const std::size_t word = std::min(out.find_first_of(" \t\n", at), out.size());
    const std::size_t host = out.rfind('@', word);
    const std::size_t colon = out.find(':', at + 3);
    if (host != std::string::npos && colon != std::string::npos && colon < host) hide(colon + 1, host);
  }
  constexpr std::string_view kName = "password=";
  for (std::size_t at = out.find(kName); at != std::string::npos; at = out.find(kName, at + kName.size())) {
    const std::size_t begin = at + kName.size();
    const bool quoted = begin < out.size() && out[begin] == '\'';
    hide(begin, std::min(quoted ? out.find('\'', begin + 1) : out.find_first_of("& \t\n", begin), out.size()));
  }
  return out;
}

std::string Shorten(std::string_view text, std::size_t characters) {
  if (Characters(text) <= characters) return std::string(text);
  std::size_t at = 0;
  std::size_t seen = 0;
  while (at < text.size()) {
    if ((static_cast<unsigned char>(text[at]) & 0xC0) != 0x80 && ++seen > characters - 3) break;
    ++at;
  }
  return std::string(text.substr(0, at)) + "...";
}

std::string Grouped(std::int64_t number) {
  std::string out = fmt::format("{}", number);
  const std::size_t first = number < 0 ? 1 : 0;
  for (std::size_t at = out.size(); at > first + 3;) out.insert(at -= 3, ",");
  return out;
}

std::string Ago(std::string_view time) {
  if (time.empty()) return "";
  const auto parsed = base::ParseTime(time);
  if (!parsed) return std::string(time);
  const std::int64_t seconds = (base::Clock::System().Now() - *parsed) / std::chrono::seconds(1);
  const std::string_view sign = seconds < 0 ? "in " : "";
  const std::int64_t size = seconds < 0 ? -seconds : seconds;
  if (size < 120) return fmt::format("{}{}s", sign, size);
  if (size < 7200) return fmt::format("{}{}m", sign, size / 60);
  if (size < 172800) return fmt::format("{}{}h", sign, size / 3600);
  return fmt::format("{}{}d", sign, size / 86400);
}

Table& Table::AlignRight(std::vector<std::size_t> columns) {
  right_ = std::move(columns);
  return *this;
}

void Table::Add(std::vector<std::string> row) {
  for (std::string& cell : row) cell = Printable(cell);
  rows_.push_back(std::move(row));
}

void Table::Print() const {
  std::vector<std::size_t> widths;
  for (const std::string& cell : header_) widths.push_back(Characters(cell));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i)
      widths[i] = std::max(widths[i], Characters(row[i]));
  }
  const auto line = [&](const std::vector<std::string>& row) {
    std::string out;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool right = std::find(right_.begin(), right_.end(), i) != right_.end();
      const std::string pad(widths[i] - Characters(row[i]), ' ');
      out += (i == 0 ? "" : "  ") + (right ? pad + row[i] : i + 1 == row.size() ? row[i] : row[i] + pad);
    }
    return out;
  };
  const bool colours = HasColours(stdout);
  cli::Print(fmt::format("{}{}{}\n", colours ? "\033[1m" : "", line(header_), colours ? "\033[0m" : ""));
  for (const auto& row : rows_) cli::Print(line(row) + "\n");
}

std::string Field(const base::json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return "";
  return value->is_string() ? std::string(value->get_string()) : base::ToJson(*value);
}

std::int64_t NumberField(const base::json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

std::string Subject(const base::json::object& job) {
  const auto* args = job.if_contains("args");
  if (args == nullptr || !args->is_object() || args->get_object().empty()) return "";
  const std::string path = Field(args->get_object(), "path");
  return Shorten(path.empty() ? base::ToJson(*args) : path, 48);
}

}  // namespace millrace::cli
