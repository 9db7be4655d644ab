// /api/v1/queues and /api/v1/workers
#include <fmt/format.h>

#include <algorithm>

#include "http/api.h"
#include "http/views.h"

namespace millrace::http {
namespace {

namespace json = base::json;
using storage::Storage;

ApiResponse List(Storage& storage) {
  const auto queues = storage.Queues();
  if (!queues) return ProblemResponse(queues.error());
  json::array list;
  for (const storage::QueueRow& queue : *queues) list.push_back(QueueJson(queue));
  return JsonResponse(json::object{{"queues", std::move(list)}});
}

ApiResponse Pause(Storage& storage, const std::string& name, bool paused) {
  const auto before = storage.Queues();
  if (!before) return ProblemResponse(before.error());
  const bool known = std::any_of(before->begin(), before->end(), [&](const auto& queue) { return queue.name == name; });
  if (auto done = storage.PauseQueue(name, paused); !done) return ProblemResponse(done.error());
  // A queue nobody has used yet is paused all the same, but a slip of the pen should show.
  return JsonResponse(json::object{{"name", name}, {"paused", paused}, {"created", !known}});
}

}  // namespace

void AddQueueRoutes(Router& router, Storage& storage) {
  router.Add("GET", "/api/v1/queues", [&storage](const auto&, const auto&) { return List(storage); });
  router.Add("POST", "/api/v1/queues/{name}/pause",
             [&storage](const auto&, const PathValues& path) { return Pause(storage, path.at("name"), true); });
  router.Add("POST", "/api/v1/queues/{name}/resume",
             [&storage](const auto&, const PathValues& path) { return Pause(storage, path.at("name"), false); });
}

void AddWorkerRoutes(Router& router, Storage& storage) {
  router.Add("GET", "/api/v1/workers", [&storage](const auto&, const auto&) {
    const auto workers = storage.Workers();
    if (!workers) return ProblemResponse(workers.error());
    const auto leaders = storage.Leaders();
    if (!leaders) return ProblemResponse(leaders.error());
    json::array list;
    for (const storage::WorkerRow& worker : *workers) list.push_back(WorkerJson(worker, *leaders));
    return JsonResponse(json::object{{"workers", std::move(list)}});
  });
}

}  // namespace millrace::http
