// /api/v1/overview: everything that a screen over the whole shows, as of one moment of the database's clock.
#include "base/clock.h"
#include "base/try.h"
#include "http/api.h"
#include "http/views.h"

namespace millrace::http {
namespace {

namespace json = base::json;
using storage::Storage;

Result<std::vector<storage::RunRow>> Runs(Storage& storage, const storage::JobFilter& filter) {
  if (filter.run_id == 0) return storage.ListRuns(filter.limit);
  MILLRACE_ASSIGN(auto run, storage.GetRun(filter.run_id));
  if (!run) return fail(ErrorCode::kNotFound, "there is no run " + std::to_string(filter.run_id));
  return std::vector<storage::RunRow>{std::move(*run)};
}

Result<json::object> Overview(Storage& storage, const ApiRequest& request) {
  MILLRACE_ASSIGN(const storage::JobFilter filter, ReadFilter(request));
  MILLRACE_ASSIGN(const Time now, storage.Now());
  MILLRACE_ASSIGN(const auto queues, storage.Queues());
  MILLRACE_ASSIGN(const auto workers, storage.Workers());
  MILLRACE_ASSIGN(const auto leaders, storage.Leaders());
  MILLRACE_ASSIGN(const auto runs, Runs(storage, filter));
  json::array queue_list;
  json::array worker_list;
  json::array run_list;
  for (const storage::QueueRow& queue : queues) queue_list.push_back(QueueJson(queue));
  for (const storage::WorkerRow& worker : workers) worker_list.push_back(WorkerJson(worker, leaders));
  for (const storage::RunRow& run : runs) run_list.push_back(RunJson(run));
  return json::object{{"now", base::FormatTime(now)},
                      {"queues", std::move(queue_list)},
                      {"workers", std::move(worker_list)},
                      {"runs", std::move(run_list)}};
}

}  // namespace

void AddOverviewRoutes(Router& router, Storage& storage) {
  router.Add("GET", "/api/v1/overview", [&storage](const ApiRequest& request, const auto&) {
    auto overview = Overview(storage, request);
    return overview ? JsonResponse(std::move(*overview)) : ProblemResponse(overview.error());
  });
}

}  // namespace millrace::http
