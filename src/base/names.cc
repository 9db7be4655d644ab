// Stable names of the public enums. Order follows the numbers in the headers.
#include <algorithm>
#include <array>
#include <cctype>

#include "millrace/error.h"
#include "millrace/job.h"

namespace millrace {
namespace {

constexpr std::array<std::string_view, kPriorityCount> kPriorities = {"critical", "high", "default", "low", "bulk"};
constexpr std::array<std::string_view, kJobStateCount> kStates = {"waiting",   "scheduled", "available", "running",
                                                                  "retryable", "completed", "cancelled", "dead"};
constexpr std::array<std::string_view, kDependencyPolicyCount> kPolicies = {"succeeded", "failed", "finished"};
constexpr std::array<std::string_view, 21> kErrors = {
    "invalid_argument", "config",     "not_found",      "unknown_kind", "bad_args",       "queue_full",  "lease_lost",
    "conflict",         "owned",      "not_a_database", "read_only",    "disk_full",      "unavailable", "schema_old",
    "schema_new",       "permission", "timeout",        "cancelled",    "limit_exceeded", "unsupported", "corrupt"};

bool EqualIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// The index of `name` in `names`, or an error that lists them.
template <std::size_t N>
Result<std::size_t> IndexOf(const std::array<std::string_view, N>& names, std::string_view what,
                            std::string_view name) {
  std::string known;
  for (std::size_t i = 0; i < N; ++i) {
    if (EqualIgnoringCase(names[i], name)) return i;
    known += (i == 0 ? "" : ", ") + std::string(names[i]);
  }
  return fail(ErrorCode::kInvalidArgument,
              "unknown " + std::string(what) + " '" + std::string(name) + "'; known: " + known);
}

}  // namespace

std::string_view error_code_name(ErrorCode code) {
  const auto index = static_cast<std::size_t>(code);
  if (index < kErrors.size()) return kErrors[index];
  return code == ErrorCode::kIo ? "io" : "internal";
}

std::string_view priority_name(Priority priority) { return kPriorities[static_cast<std::size_t>(priority)]; }

Result<Priority> parse_priority(std::string_view name) {
  auto index = IndexOf(kPriorities, "priority", name);
  if (!index) return fail(index.error());
  return static_cast<Priority>(*index);
}

std::string_view job_state_name(JobState state) { return kStates[static_cast<std::size_t>(state)]; }

Result<JobState> parse_job_state(std::string_view name) {
  auto index = IndexOf(kStates, "state", name);
  if (!index) return fail(index.error());
  return static_cast<JobState>(*index);
}

std::string_view dependency_policy_name(DependencyPolicy policy) { return kPolicies[static_cast<std::size_t>(policy)]; }

Result<DependencyPolicy> parse_dependency_policy(std::string_view name) {
  auto index = IndexOf(kPolicies, "dependency policy", name);
  if (!index) return fail(index.error());
  return static_cast<DependencyPolicy>(*index);
}

}  // namespace millrace
