#include "http/dead_analysis.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "base/clock.h"

namespace millrace::http {
namespace {

constexpr std::size_t kMostMessageBytes = 300;
constexpr std::size_t kExamples = 5;

bool IsWordByte(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// The token of `text` at `at`: up to white space or one of the characters that end a path or number in prose.
std::size_t TokenEnd(std::string_view text, std::size_t at) {
  const std::size_t end = text.find_first_of(" \t\n,;()[]{}<>\"'`", at);
  std::size_t stop = end == std::string_view::npos ? text.size() : end;
  while (stop > at + 1 && (text[stop - 1] == '.' || text[stop - 1] == ':')) --stop;
  return stop;
}

bool LooksLikePath(std::string_view token) {
  const std::size_t slash = token.find('/');
  if (token.find("://") != std::string_view::npos) return true;
  if (slash == std::string_view::npos) {
    // A file name: letters on both sides of a dot, "report.pdf".
    const std::size_t dot = token.rfind('.');
    return dot != std::string_view::npos && dot > 0 && token.size() - dot - 1 >= 2 && token.size() - dot - 1 <= 5 &&
           std::all_of(token.begin() + static_cast<std::ptrdiff_t>(dot) + 1, token.end(), IsWordByte) &&
           std::isdigit(static_cast<unsigned char>(token.back())) == 0;
  }
  return slash == 0 || token[slash - 1] != ' ';
}

bool LooksLikeHex(std::string_view token) {
  const std::size_t digits = static_cast<std::size_t>(
      std::count_if(token.begin(), token.end(), [](unsigned char c) { return std::isxdigit(c) != 0 || c == '-'; }));
  const bool any_number = std::any_of(token.begin(), token.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  return token.size() >= 8 && digits == token.size() && any_number;
}

// Every run of digits as one '#'.
std::string WithoutNumbers(std::string_view token) {
  std::string out;
  for (const char c : token) {
    const bool digit = std::isdigit(static_cast<unsigned char>(c)) != 0;
    if (digit && !out.empty() && out.back() == '#') continue;
    out += digit ? '#' : c;
  }
  return out;
}

struct Advice {
  std::string_view reason;
  std::string_view text;
};
constexpr std::array<Advice, 14> kAdvice = {{
    {"encrypted", "Remove the password from the document and run again, or leave it out with an exclude pattern."},
    {"broken", "The document is damaged: open it in the program that made it and save it again, or leave it out."},
    {"too_large", "Raise documents.max_bytes if these documents are wanted, or leave them out."},
    {"memory_limit",
     "The parser needed more memory than it may have: raise the stage's memory, or leave the document out."},
    {"timeout", "The attempt ran out of time: raise the kind's timeout, or make the work smaller; then retry."},
    {"crashed",
     "The parser crashed on this document; it is kept out of the way. Report it with the document if you can."},
    {"unreadable", "The file cannot be read: check its permissions, or that the disk is there; then retry."},
    {"unsupported_format", "This version does not read the format; leave such files out with an exclude pattern."},
    {"worker_lost", "Workers died while running this job. Look at their logs and memory before it is retried."},
    {"args", "The job's args do not decode: mend the producer, then enqueue it again; a retry fails the same way."},
    {"unknown_kind", "No worker has a handler for this kind: start one that has, then retry."},
    {"unavailable",
     "A service was not reachable; when it is back: millrace deadletter retry --reason unavailable --yes."},
    {"disk_full", "Free space on the disk, then retry."},
    {"internal", "This is a fault in the program: keep the message and report it."},
}};

base::json::array Sorted(const std::map<std::string, std::int64_t>& counts, std::string_view name, bool by_count) {
  std::vector<std::pair<std::string, std::int64_t>> list(counts.begin(), counts.end());
  if (by_count) {
    std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  }
  base::json::array out;
  for (const auto& [key, count] : list) out.push_back({{name, key}, {"count", count}});
  return out;
}

}  // namespace

std::string NormaliseMessage(std::string_view message) {
  std::string out;
  for (std::size_t i = 0; i < message.size() && out.size() < kMostMessageBytes;) {
    const char c = message[i];
    // An apostrophe inside a word ("isn't") opens nothing.
    const bool quote = c == '"' || c == '`' || (c == '\'' && (i == 0 || !IsWordByte(message[i - 1])));
    const std::size_t close = quote ? message.find(c, i + 1) : std::string_view::npos;
    if (close != std::string_view::npos) {
      out += "<text>";
      i = close + 1;
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      if (!out.empty() && out.back() != ' ') out += ' ';
      ++i;
    } else {
      const std::size_t end = std::max(TokenEnd(message, i), i + 1);
      const std::string_view token = message.substr(i, end - i);
      out += LooksLikePath(token) ? "<path>" : LooksLikeHex(token) ? "<id>" : WithoutNumbers(token);
      i = end;
    }
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::string ReasonOf(std::string_view error) {
  if (error == "worker lost") return "worker_lost";
  if (error == "timeout") return "timeout";
  if (error.starts_with("args.") || error.starts_with("args:")) return "args";
  const std::size_t colon = error.find(':');
  const std::string_view word = error.substr(0, colon);
  const bool good = colon != std::string_view::npos && !word.empty() && word.size() <= 40 &&
                    std::all_of(word.begin(), word.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
  return good ? std::string(word) : "other";
}

std::string_view SuggestionFor(std::string_view reason) {
  for (const Advice& advice : kAdvice) {
    if (advice.reason == reason) return advice.text;
  }
  return "Read the error and the attempts (millrace jobs show ID); mend the cause, then: millrace deadletter retry ID.";
}

std::string SourceOf(const Job& job) {
  const auto args = base::ParseJson(job.args);
  if (args && args->is_object()) {
    const auto* source = args->get_object().if_contains("source");
    if (source != nullptr && source->is_string()) return std::string(source->get_string());
    const auto* path = args->get_object().if_contains("path");
    if (path != nullptr && path->is_string()) {
      const std::string text(path->get_string());
      if (const std::size_t slash = text.rfind('/'); slash != std::string::npos && slash > 0)
        return text.substr(0, slash);
    }
  }
  return "queue " + job.queue;
}

void DeadAnalysis::Add(const Job& job) {
  const Time at = job.finished_at.value_or(job.created_at);
  const std::string reason = ReasonOf(job.error);
  const std::string message = NormaliseMessage(job.error);
  ++total_;
  const auto count = [](std::map<std::string, std::int64_t>& counts, const std::string& key) {
    ++counts[counts.size() < kMostGroups || counts.contains(key) ? key : "(others)"];
  };
  count(by_reason_, reason);
  count(by_kind_, job.kind);
  count(by_source_, SourceOf(job));
  count(by_hour_, base::FormatTime(at).substr(0, 13) + ":00Z");
  const std::string key = job.kind + '\0' + message;
  if (!groups_.contains(key) && groups_.size() >= kMostGroups) {
    ++ungrouped_;
    return;
  }
  Group& group = groups_[key];
  if (group.count == 0) group = {reason, job.kind, message, 0, at, at, {}};
  ++group.count;
  group.first = std::min(group.first, at);
  group.last = std::max(group.last, at);
  if (group.examples.size() < kExamples) group.examples.push_back(job.id);
}

base::json::object DeadAnalysis::Json() const {
  std::vector<const Group*> order;
  for (const auto& [key, group] : groups_) order.push_back(&group);
  std::stable_sort(order.begin(), order.end(), [](const Group* a, const Group* b) { return a->count > b->count; });
  base::json::array groups;
  for (const Group* group : order) {
    groups.push_back({{"count", group->count},
                      {"reason", group->reason},
                      {"kind", group->kind},
                      {"message", group->message},
                      {"suggestion", SuggestionFor(group->reason)},
                      {"first", base::FormatTime(group->first)},
                      {"last", base::FormatTime(group->last)},
                      {"examples", base::json::array(group->examples.begin(), group->examples.end())}});
  }
  return {{"total", total_},
          {"ungrouped", ungrouped_},
          {"groups", std::move(groups)},
          {"by_reason", Sorted(by_reason_, "reason", true)},
          {"by_kind", Sorted(by_kind_, "kind", true)},
          {"by_source", Sorted(by_source_, "source", true)},
          {"by_hour", Sorted(by_hour_, "hour", false)}};
}

}  // namespace millrace::http
