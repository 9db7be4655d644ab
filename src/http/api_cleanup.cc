// /api/v1/cleanup: what has ended long ago, counted and deleted.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/clock.h"
#include "base/try.h"
#include "http/api.h"
#include "http/views.h"

namespace millrace::http {
namespace {

namespace json = base::json;
using storage::Old;
using storage::Storage;

// In the order of storage::Old.
constexpr std::array<std::string_view, 4> kCategories = {"finished_jobs", "dead_letters", "runs", "workers"};
constexpr std::int64_t kMostAtOnce = 10'000;

Result<Old> ReadCategory(std::string_view name) {
  const auto* found = std::find(kCategories.begin(), kCategories.end(), name);
  if (found != kCategories.end()) return static_cast<Old>(found - kCategories.begin());
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("category: unknown category '{}'; known: {}", name, fmt::join(kCategories, ", ")));
}

// A category and a moment, as text.
struct Ask {
  Old what;
  Time before;
};

Result<Ask> ReadAsk(const std::string& category, const std::string& before) {
  MILLRACE_ASSIGN(const Old what, ReadCategory(category));
  auto time = base::ParseTime(before);
  if (!time) return fail(ErrorCode::kInvalidArgument, "before: " + time.error().message);
  return Ask{what, *time};
}

// "older_than" is from the database's now, which no caller knows.
Result<json::object> Count(Storage& storage, const ApiRequest& request) {
  std::map<std::string, std::string> query = request.query;
  const std::string category = std::exchange(query["category"], "");
  const std::string age = std::exchange(query["older_than"], "");
  for (const auto& [name, value] : query) {
    if (name != "category" && name != "older_than")
      return fail(ErrorCode::kInvalidArgument, name + ": unknown parameter; known: category, older_than");
  }
  auto older_than = base::ParseDuration(age);
  if (!older_than) return fail(ErrorCode::kInvalidArgument, "older_than: " + older_than.error().message);
  MILLRACE_ASSIGN(const Old what, ReadCategory(category));
  MILLRACE_ASSIGN(const Time now, storage.Now());
  // In milliseconds, as the answer says it and the request to delete will repeat it.
  const Time before = std::chrono::floor<std::chrono::milliseconds>(now - *older_than);
  MILLRACE_ASSIGN(const std::int64_t count, storage.CountOld(what, before));
  return json::object{{"category", category}, {"before", base::FormatTime(before)}, {"count", count}};
}

Result<json::object> Delete(Storage& storage, const ApiRequest& request) {
  MILLRACE_ASSIGN(const json::object body, ReadBody(request, {"category", "before", "limit"}));
  const auto text = [&](std::string_view name) {
    const auto* value = body.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
  };
  MILLRACE_ASSIGN(const Ask ask, ReadAsk(text("category"), text("before")));
  std::int64_t limit = kMostAtOnce;
  if (const auto* value = body.if_contains("limit")) {
    limit = value->is_int64() ? value->get_int64() : 0;
    if (limit < 1 || limit > kMostAtOnce)
      return fail(ErrorCode::kInvalidArgument, fmt::format("limit: must be an integer from 1 to {}", kMostAtOnce));
  }
  MILLRACE_ASSIGN(const std::int64_t deleted, storage.DeleteOld(ask.what, ask.before, static_cast<int>(limit)));
  return json::object{{"deleted", deleted}, {"more", deleted == limit}};
}

ApiResponse Answer(Result<json::object> result) {
  return result ? JsonResponse(std::move(*result)) : ProblemResponse(result.error());
}

}  // namespace

void AddCleanupRoutes(Router& router, Storage& storage) {
  router.Add("GET", "/api/v1/cleanup",
             [&storage](const ApiRequest& request, const auto&) { return Answer(Count(storage, request)); });
  router.Add("POST", "/api/v1/cleanup",
             [&storage](const ApiRequest& request, const auto&) { return Answer(Delete(storage, request)); });
}

}  // namespace millrace::http
