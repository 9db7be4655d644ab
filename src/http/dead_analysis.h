// What dead letters have in common: grouped by what went wrong, where and when, with what to do about it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "millrace/job.h"

namespace millrace::http {

// An error with what differs from job to job replaced: quoted text, paths, addresses, hex ids, numbers. Equal for
// errors that have one cause.
std::string NormaliseMessage(std::string_view message);

// The word before the first colon when it looks like a reason ("encrypted: the file ..."), "timeout", "worker_lost", or
// "other".
std::string ReasonOf(std::string_view error);

// What an operator can do about a reason; never empty.
std::string_view SuggestionFor(std::string_view reason);

// Where a job's work comes from: args.source, else the part of args.path before the last '/', else its queue.
std::string SourceOf(const Job& job);

// Collects jobs one by one; memory grows with the number of groups (at most kMostGroups, the rest is counted together).
class DeadAnalysis {
 public:
  static constexpr std::size_t kMostGroups = 1000;
  void Add(const Job& job);
  // total, groups (largest first, with count, reason, kind, message, suggestion, first and last time, examples), and
  // counts by reason, kind, source and hour.
  [[nodiscard]] base::json::object Json() const;

 private:
  struct Group {
    std::string reason, kind, message;
    std::int64_t count = 0;
    Time first{}, last{};
    std::vector<JobId> examples;
  };
  std::int64_t total_ = 0;
  std::int64_t ungrouped_ = 0;
  std::map<std::string, Group> groups_;
  std::map<std::string, std::int64_t> by_reason_, by_kind_, by_source_, by_hour_;
};

}  // namespace millrace::http
