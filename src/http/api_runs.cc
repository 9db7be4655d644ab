// /api/v1/runs
#include <fmt/format.h>

#include <algorithm>

#include "base/try.h"
#include "http/api.h"
#include "http/views.h"

namespace millrace::http {
namespace {

namespace json = base::json;
using storage::Storage;

Result<storage::RunRow> Find(Storage& storage, const PathValues& path) {
  MILLRACE_ASSIGN(const RunId id, ReadId(path.at("id"), "run id"));
  MILLRACE_ASSIGN(auto run, storage.GetRun(id));
  if (!run) return fail(ErrorCode::kNotFound, fmt::format("there is no run {}", id));
  return std::move(*run);
}

ApiResponse List(Storage& storage, const ApiRequest& request) {
  const auto filter = ReadFilter(request);
  if (!filter) return ProblemResponse(filter.error());
  const auto runs = storage.ListRuns(filter->limit);
  if (!runs) return ProblemResponse(runs.error());
  json::array list;
  for (const storage::RunRow& run : *runs) list.push_back(RunJson(run));
  return JsonResponse(json::object{{"runs", std::move(list)}});
}

ApiResponse Cancel(Storage& storage, const PathValues& path) {
  const auto run = Find(storage, path);
  if (!run) return ProblemResponse(run.error());
  const bool cancelled_before = run->state == storage::RunState::kCancelled;
  if (run->state == storage::RunState::kCompleted || (cancelled_before && run->open == 0)) {
    return ProblemResponse({ErrorCode::kConflict, fmt::format("run {} is over already", run->id)});
  }
  if (auto done = storage.CancelRun(run->id); !done) return ProblemResponse(done.error());
  const auto now = Find(storage, path);
  return now ? JsonResponse(RunJson(*now)) : ProblemResponse(now.error());
}

}  // namespace

void AddRunRoutes(Router& router, Storage& storage) {
  router.Add("GET", "/api/v1/runs",
             [&storage](const ApiRequest& request, const auto&) { return List(storage, request); });
  router.Add("GET", "/api/v1/runs/{id}", [&storage](const auto&, const PathValues& path) {
    const auto run = Find(storage, path);
    return run ? JsonResponse(RunJson(*run)) : ProblemResponse(run.error());
  });
  router.Add("POST", "/api/v1/runs/{id}/cancel",
             [&storage](const auto&, const PathValues& path) { return Cancel(storage, path); });
}

}  // namespace millrace::http
