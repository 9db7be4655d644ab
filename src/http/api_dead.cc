// /api/v1/dead
#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "base/try.h"
#include "http/api.h"
#include "http/dead_analysis.h"
#include "http/views.h"

namespace millrace::http {
namespace {

namespace json = base::json;
using storage::JobFilter;
using storage::Storage;

constexpr int kPage = 500;

// Calls `each` for every dead job of the filter and reason, in order of id, until it returns false.
Result<void> EachDead(Storage& storage, JobFilter filter, const std::string& reason,
                      const std::function<bool(const Job&)>& each) {
  filter.states = {JobState::kDead};
  filter.limit = kPage;
  while (true) {
    MILLRACE_ASSIGN(const std::vector<Job> jobs, storage.ListJobs(filter));
    for (const Job& job : jobs) {
      if (!reason.empty() && ReasonOf(job.error) != reason) continue;
      if (!each(job)) return {};
    }
    if (static_cast<int>(jobs.size()) < kPage) return {};
    filter.after_id = jobs.back().id;
  }
}

std::string Parameter(const ApiRequest& request, const std::string& name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? "" : found->second;
}

ApiResponse List(Storage& storage, const ApiRequest& request) {
  const auto filter = ReadFilter(request, {"reason", "details"});
  if (!filter) return ProblemResponse(filter.error());
  const bool details = Parameter(request, "details") == "true" || Parameter(request, "details") == "1";
  json::array list;
  json::value cursor = nullptr;
  Result<void> attempts_read;
  auto done = EachDead(storage, *filter, Parameter(request, "reason"), [&](const Job& job) {
    if (static_cast<int>(list.size()) == filter->limit) {
      cursor = json::value(std::to_string(list.back().as_object().at("id").as_int64()));
      return false;
    }
    json::object item = JobJson(job);
    item["reason"] = ReasonOf(job.error);
    if (details) {
      auto attempts = storage.Attempts(job.id);
      if (!attempts) {
        attempts_read = fail(attempts.error());
        return false;
      }
      json::array history;
      for (const Attempt& attempt : *attempts) history.push_back(AttemptJson(attempt));
      item["attempts"] = std::move(history);
    }
    list.push_back(std::move(item));
    return true;
  });
  if (!done) return ProblemResponse(done.error());
  if (!attempts_read) return ProblemResponse(attempts_read.error());
  return JsonResponse(json::object{{"dead", std::move(list)}, {"next_cursor", std::move(cursor)}});
}

ApiResponse Analyze(Storage& storage, const ApiRequest& request) {
  const auto filter = ReadFilter(request, {"reason"});
  if (!filter) return ProblemResponse(filter.error());
  DeadAnalysis analysis;
  auto done = EachDead(storage, *filter, Parameter(request, "reason"), [&](const Job& job) {
    analysis.Add(job);
    return true;
  });
  if (!done) return ProblemResponse(done.error());
  return JsonResponse(analysis.Json());
}

// What a retry request selects. At least one member must be there, so that nothing is retried by an empty body.
struct Selection {
  JobFilter filter;
  std::string reason;
};

Result<void> ReadSelected(const std::string& name, const json::value& value, Selection& out) {
  const auto bad = [&](std::string_view what) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", name, what));
  };
  if (name == "ids") {
    if (!value.is_array() || value.get_array().empty()) return bad("must be a list of job ids");
    for (const json::value& id : value.get_array()) {
      if (!id.is_int64() || id.get_int64() < 1) return bad("must be a list of job ids");
      out.filter.ids.push_back(id.get_int64());
    }
  } else if (name == "run") {
    if (!value.is_int64() || value.get_int64() < 1) return bad("must be a run id");
    out.filter.run_id = value.get_int64();
  } else if (name == "all") {
    if (!value.is_bool() || !value.get_bool()) return bad("must be true");
  } else {
    if (!value.is_string() || value.get_string().empty()) return bad("must be a string");
    std::string text(value.get_string());
    (name == "queue" ? out.filter.queue : name == "kind" ? out.filter.kind : out.reason) = std::move(text);
  }
  return {};
}

Result<Selection> ReadSelection(const ApiRequest& request) {
  MILLRACE_ASSIGN(const json::object body, ReadBody(request, {"ids", "all", "kind", "queue", "reason", "run"}));
  if (body.empty()) return fail(ErrorCode::kInvalidArgument, "say which: ids, all, kind, queue, reason or run");
  Selection out;
  for (const auto& member : body) MILLRACE_TRY(ReadSelected(std::string(member.key()), member.value(), out));
  return out;
}

// Retries in pieces, so that workers get their turns. Jobs somebody else finished or retried meanwhile are skipped.
ApiResponse Retry(Storage& storage, const ApiRequest& request) {
  const auto selection = ReadSelection(request);
  if (!selection) return ProblemResponse(selection.error());
  std::vector<JobId> ids;
  auto found = EachDead(storage, selection->filter, selection->reason, [&](const Job& job) {
    ids.push_back(job.id);
    return true;
  });
  if (!found) return ProblemResponse(found.error());
  std::int64_t count = 0;
  json::array retried;
  for (std::size_t at = 0; at < ids.size(); at += kPage) {
    JobFilter piece;
    piece.limit = kPage;
    piece.ids.assign(ids.begin() + static_cast<std::ptrdiff_t>(at),
                     ids.begin() + static_cast<std::ptrdiff_t>(std::min(at + kPage, ids.size())));
    const auto done = storage.RetryDead(piece);
    if (!done) return ProblemResponse(done.error());
    count += static_cast<std::int64_t>(done->size());
    for (const JobId id : *done) {
      if (retried.size() < 1000) retried.push_back(id);
    }
  }
  json::object body{{"matched", ids.size()}, {"retried", count}, {"ids", std::move(retried)}};
  // Ids asked for by name that are not dead are worth saying.
  if (!selection->filter.ids.empty()) {
    json::array missing;
    for (const JobId id : selection->filter.ids) {
      if (std::find(ids.begin(), ids.end(), id) == ids.end()) missing.push_back(id);
    }
    body["not_dead"] = std::move(missing);
  }
  return JsonResponse(body);
}

ApiResponse Purge(Storage& storage, const ApiRequest& request) {
  const auto body = ReadBody(request, {"days"});
  if (!body) return ProblemResponse(body.error());
  const auto* days = body->if_contains("days");
  if (days == nullptr || !days->is_int64() || days->get_int64() < 0 || days->get_int64() > 36500) {
    return ProblemResponse({ErrorCode::kInvalidArgument, "days: must be an integer from 0 to 36500"});
  }
  const auto now = storage.Now();
  if (!now) return ProblemResponse(now.error());
  const Time before = *now - std::chrono::days(days->get_int64());
  const auto purged = storage.PurgeDead(before);
  if (!purged) return ProblemResponse(purged.error());
  return JsonResponse(json::object{{"purged", *purged}, {"before", base::FormatTime(before)}});
}

}  // namespace

void AddDeadRoutes(Router& router, Storage& storage) {
  router.Add("GET", "/api/v1/dead",
             [&storage](const ApiRequest& request, const auto&) { return List(storage, request); });
  router.Add("GET", "/api/v1/dead/analyze",
             [&storage](const ApiRequest& request, const auto&) { return Analyze(storage, request); });
  router.Add("POST", "/api/v1/dead/retry",
             [&storage](const ApiRequest& request, const auto&) { return Retry(storage, request); });
  router.Add("POST", "/api/v1/dead/purge",
             [&storage](const ApiRequest& request, const auto&) { return Purge(storage, request); });
}

}  // namespace millrace::http
