// /api/v1/jobs
#include <fmt/format.h>

#include "base/try.h"
#include "http/api.h"
#include "http/views.h"

namespace millrace::http {
namespace {

namespace json = base::json;
using storage::Storage;

constexpr std::size_t kMostJobs = 10'000;  // in one request

// Jobs of an enqueue request: the body itself, or its "jobs".
struct EnqueueRequest {
  std::vector<NewJob> jobs;
  bool any_kind = false;
};

Result<EnqueueRequest> ReadEnqueue(const ApiRequest& request) {
  EnqueueRequest out;
  auto parsed = base::ParseJson(request.body);
  if (!parsed) return fail(ErrorCode::kInvalidArgument, "the body: " + parsed.error().message);
  if (!parsed->is_object()) return fail(ErrorCode::kInvalidArgument, "the body: must be a JSON object");
  json::object& body = parsed->get_object();
  if (const auto* any = body.if_contains("any_kind")) {
    if (!any->is_bool()) return fail(ErrorCode::kInvalidArgument, "any_kind: must be true or false");
    out.any_kind = any->get_bool();
    body.erase("any_kind");
  }
  const auto* jobs = body.if_contains("jobs");
  if (jobs == nullptr) {
    MILLRACE_ASSIGN(NewJob job, ReadNewJob(*parsed, ""));
    out.jobs.push_back(std::move(job));
    return out;
  }
  if (!jobs->is_array() || body.size() != 1) {
    return fail(ErrorCode::kInvalidArgument, "jobs: must be a list, with nothing beside it but any_kind");
  }
  if (jobs->get_array().size() > kMostJobs) {
    return fail(ErrorCode::kLimitExceeded, fmt::format("jobs: at most {} in one request; send several", kMostJobs));
  }
  for (std::size_t i = 0; i < jobs->get_array().size(); ++i) {
    MILLRACE_ASSIGN(NewJob job, ReadNewJob(jobs->get_array()[i], fmt::format("jobs[{}]", i)));
    out.jobs.push_back(std::move(job));
  }
  return out;
}

// The first job whose kind nobody handles, as a problem that lists the kinds; nullopt when all are known.
std::optional<ApiResponse> UnknownKind(Storage& storage, const EnqueueRequest& request,
                                       const std::set<std::string>& built_in) {
  if (request.any_kind) return std::nullopt;
  auto known = storage.KnownKinds();
  if (!known) return ProblemResponse(known.error());
  known->insert(built_in.begin(), built_in.end());
  for (std::size_t i = 0; i < request.jobs.size(); ++i) {
    const std::string& kind = request.jobs[i].kind;
    if (known->contains(kind)) continue;
    const std::string list = known->empty() ? "none yet" : fmt::format("{}", fmt::join(*known, ", "));
    return ProblemResponse(
        422, ErrorCode::kUnknownKind,
        fmt::format("no handler is known for the kind '{}'; known: {}; any_kind (--any-kind) enqueues it anyway", kind,
                    list),
        {{"kind", kind}, {"job", i}, {"known", json::array(known->begin(), known->end())}});
  }
  return std::nullopt;
}

ApiResponse Enqueue(Storage& storage, const ApiRequest& request, const std::set<std::string>& kinds) {
  const auto wanted = ReadEnqueue(request);
  if (!wanted) return ProblemResponse(wanted.error());
  if (auto problem = UnknownKind(storage, *wanted, kinds)) return *problem;
  const auto enqueued = storage.Enqueue(wanted->jobs);
  if (!enqueued) return ProblemResponse(enqueued.error());
  json::array jobs;
  for (const Enqueued& job : *enqueued) jobs.push_back({{"id", job.id}, {"duplicate", job.duplicate}});
  return JsonResponse(json::object{{"jobs", std::move(jobs)}}, 201);
}

ApiResponse List(Storage& storage, const ApiRequest& request) {
  const auto filter = ReadFilter(request);
  if (!filter) return ProblemResponse(filter.error());
  const auto jobs = storage.ListJobs(*filter);
  if (!jobs) return ProblemResponse(jobs.error());
  json::array list;
  for (const Job& job : *jobs) list.push_back(JobJson(job));
  const bool more = static_cast<int>(jobs->size()) == filter->limit;
  json::value cursor = more ? json::value(std::to_string(jobs->back().id)) : json::value(nullptr);
  return JsonResponse(json::object{{"jobs", std::move(list)}, {"next_cursor", std::move(cursor)}});
}

Result<Job> Find(Storage& storage, const PathValues& path) {
  MILLRACE_ASSIGN(const JobId id, ReadId(path.at("id"), "job id"));
  MILLRACE_ASSIGN(auto job, storage.GetJob(id));
  if (!job) return fail(ErrorCode::kNotFound, fmt::format("there is no job {}", id));
  return std::move(*job);
}

ApiResponse Show(Storage& storage, const PathValues& path) {
  const auto job = Find(storage, path);
  if (!job) return ProblemResponse(job.error());
  const auto attempts = storage.Attempts(job->id);
  if (!attempts) return ProblemResponse(attempts.error());
  json::object body = JobJson(*job);
  json::array list;
  for (const Attempt& attempt : *attempts) list.push_back(AttemptJson(attempt));
  body["attempts"] = std::move(list);
  return JsonResponse(body);
}

storage::JobFilter Only(JobId id) {
  storage::JobFilter filter;
  filter.ids = {id};
  return filter;
}

ApiResponse Cancel(Storage& storage, const PathValues& path) {
  const auto job = Find(storage, path);
  if (!job) return ProblemResponse(job.error());
  const auto cancelled = storage.Cancel(Only(job->id));
  if (!cancelled) return ProblemResponse(cancelled.error());
  if (cancelled->empty()) {
    return ProblemResponse({ErrorCode::kConflict, fmt::format("job {} is {} already; it cannot be cancelled", job->id,
                                                              job_state_name(job->state))});
  }
  const auto now = storage.GetJob(job->id);
  if (!now) return ProblemResponse(now.error());
  return JsonResponse(JobJson(now->value_or(*job)));
}

ApiResponse Retry(Storage& storage, const PathValues& path) {
  const auto job = Find(storage, path);
  if (!job) return ProblemResponse(job.error());
  const auto retried = storage.RetryDead(Only(job->id));
  if (!retried) return ProblemResponse(retried.error());
  if (retried->empty()) {
    const std::string why = job->state == JobState::kDead
                                ? fmt::format("another unfinished job has its unique key '{}'", job->unique_key)
                                : fmt::format("it is {}; only dead jobs are started again", job_state_name(job->state));
    return ProblemResponse({ErrorCode::kConflict, fmt::format("job {} was not started again: {}", job->id, why)});
  }
  const auto now = storage.GetJob(job->id);
  if (!now) return ProblemResponse(now.error());
  return JsonResponse(JobJson(now->value_or(*job)));
}

}  // namespace

void AddJobRoutes(Router& router, Storage& storage, const ApiOptions& options) {
  router.Add("POST", "/api/v1/jobs", [&storage, kinds = options.kinds](const ApiRequest& request, const PathValues&) {
    return Enqueue(storage, request, kinds);
  });
  router.Add("GET", "/api/v1/jobs",
             [&storage](const ApiRequest& request, const PathValues&) { return List(storage, request); });
  router.Add("GET", "/api/v1/jobs/{id}",
             [&storage](const auto&, const PathValues& path) { return Show(storage, path); });
  router.Add("POST", "/api/v1/jobs/{id}/cancel",
             [&storage](const auto&, const PathValues& path) { return Cancel(storage, path); });
  router.Add("POST", "/api/v1/jobs/{id}/retry",
             [&storage](const auto&, const PathValues& path) { return Retry(storage, path); });
}

}  // namespace millrace::http
