#include "http/metrics_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <set>

#include "base/try.h"

namespace millrace::http {
namespace {

namespace json = base::json;
using base::GaugeSample;
using storage::WorkerState;

constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::array<std::string_view, 4> kWorkerStates = {"active", "draining", "stopped", "lost"};
constexpr std::size_t kMostTypes = 50;

double Age(Time now, Time then) { return std::max(std::chrono::duration<double>(now - then).count(), 0.0); }

std::int64_t CountOf(const storage::QueueRow& queue, int priority, JobState state) {
  return queue.counts[priority][static_cast<int>(state)];
}

bool Present(const storage::WorkerRow& worker) {
  return worker.state == WorkerState::kActive || worker.state == WorkerState::kDraining;
}

// ---- /metrics -----------------------------------------------------------------------------------

struct Lane {
  double depth = 0;
  double oldest = 0;
};

void AddQueues(const runtime::FleetLook& look, base::Metrics& metrics, std::vector<GaugeSample>& samples) {
  // By label: queues beyond those that have one of their own are added up.
  std::map<std::pair<std::string, int>, Lane> lanes;
  std::map<std::string, double> dead;
  for (const storage::QueueRow& queue : look.queues) {
    const std::string label = metrics.QueueLabel(queue.name);
    for (int p = 0; p < kPriorityCount; ++p) {
      dead[label] += static_cast<double>(CountOf(queue, p, JobState::kDead));
      // A lane that has had jobs stays, with 0: an alert on it must not lose its series.
      if (std::all_of(std::begin(queue.counts[p]), std::end(queue.counts[p]), [](auto n) { return n == 0; })) continue;
      Lane& lane = lanes[{label, p}];
      lane.depth += static_cast<double>(CountOf(queue, p, JobState::kAvailable));
      if (queue.oldest_of[p]) lane.oldest = std::max(lane.oldest, Age(look.now, *queue.oldest_of[p]));
    }
  }
  for (const auto& [key, lane] : lanes) {
    const std::string priority(priority_name(static_cast<Priority>(key.second)));
    samples.push_back({"millrace_queue_depth", {key.first, priority}, lane.depth});
    samples.push_back({"millrace_queue_oldest_job_age_seconds", {key.first, priority}, lane.oldest});
  }
  for (const auto& [label, count] : dead) samples.push_back({"millrace_dead_letter_depth", {label}, count});
}

struct OfType {
  std::array<double, kWorkerStates.size()> workers{};
  double busy = 0, free = 0;
};

void AddWorkers(const runtime::FleetLook& look, std::vector<GaugeSample>& samples) {
  std::map<std::string, OfType> types;
  for (const storage::WorkerRow& worker : look.workers) {
    const bool known = types.contains(worker.info.type) || types.size() < kMostTypes;
    OfType& type = types[known ? worker.info.type : std::string(base::kOtherLabel)];
    ++type.workers[static_cast<std::size_t>(worker.state)];
    if (!Present(worker)) continue;
    // A worker may hold more jobs than it has slots: those wait in it.
    const auto busy = std::min<std::int64_t>(worker.running, worker.info.slots);
    type.busy += static_cast<double>(busy);
    type.free += static_cast<double>(worker.info.slots - busy);
  }
  for (const auto& [name, type] : types) {
    for (std::size_t state = 0; state < kWorkerStates.size(); ++state)
      samples.push_back({"millrace_workers", {name, std::string(kWorkerStates[state])}, type.workers[state]});
    samples.push_back({"millrace_worker_slots", {name, "busy"}, type.busy});
    samples.push_back({"millrace_worker_slots", {name, "free"}, type.free});
  }
}

ApiResponse Scrape(const base::Metrics& metrics, std::vector<GaugeSample> samples) {
  ApiResponse response;
  response.content_type = kContentType;
  response.body = metrics.Text(samples);
  return response;
}

// ---- /scale -------------------------------------------------------------------------------------

struct Load {
  std::int64_t depth = 0, running = 0, workers = 0, slots = 0;
  double oldest = 0;
};

// `type`: empty for the whole.
Load LoadOf(const runtime::FleetLook& look, const std::string& type, const QueuesOfTypes& queues_of_types) {
  Load load;
  const auto own = queues_of_types.find(type);
  for (const storage::QueueRow& queue : look.queues) {
    if (own != queues_of_types.end() &&
        std::find(own->second.begin(), own->second.end(), queue.name) == own->second.end())
      continue;
    if (queue.paused) continue;  // nobody may take its jobs, however many workers there are
    for (int p = 0; p < kPriorityCount; ++p) load.depth += CountOf(queue, p, JobState::kAvailable);
    if (queue.oldest_available) load.oldest = std::max(load.oldest, Age(look.now, *queue.oldest_available));
  }
  for (const storage::WorkerRow& worker : look.workers) {
    if (!Present(worker) || (!type.empty() && worker.info.type != type)) continue;
    load.running += worker.running;
    load.slots += worker.info.slots;
    ++load.workers;
  }
  return load;
}

// As many as have a slot for each job there is to do, or a share of `per_replica` jobs.
json::object LoadJson(const Load& load, std::optional<std::int64_t> jobs_per_replica) {
  // Until there is a worker nobody knows what one can do: then one is to come.
  const std::int64_t open = load.depth + load.running;
  const std::int64_t slots =
      load.workers > 0 ? std::max<std::int64_t>(load.slots / load.workers, 1) : std::max<std::int64_t>(open, 1);
  const std::int64_t each = jobs_per_replica.value_or(slots);
  return {{"queue_depth", load.depth},
          {"oldest_job_age_seconds", load.oldest},
          {"running", load.running},
          {"workers", load.workers},
          {"slots", load.slots},
          {"jobs_per_replica", each},
          {"recommended_replicas", open / each + (open % each != 0 ? 1 : 0)}};
}

std::set<std::string> Types(const runtime::FleetLook& look, const QueuesOfTypes& queues_of_types) {
  std::set<std::string> types;
  for (const auto& [type, queues] : queues_of_types) types.insert(type);
  for (const storage::WorkerRow& worker : look.workers) {
    if (Present(worker)) types.insert(worker.info.type);
  }
  return types;
}

Result<std::optional<std::int64_t>> JobsPerReplica(const ApiRequest& request) {
  const auto given = request.query.find("jobs_per_replica");
  if (given == request.query.end()) return std::nullopt;
  const std::string& text = given->second;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value > 0) return value;
  return fail(ErrorCode::kInvalidArgument, fmt::format("jobs_per_replica: '{}' is no whole number above 0", text));
}

Result<json::object> Scale(const runtime::FleetLook& look, const QueuesOfTypes& queues_of_types,
                           const ApiRequest& request) {
  for (const auto& [name, value] : request.query) {
    if (name != "type" && name != "jobs_per_replica")
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("unknown parameter '{}'; there are type, jobs_per_replica", name));
  }
  MILLRACE_ASSIGN(const auto jobs_per_replica, JobsPerReplica(request));
  const std::set<std::string> types = Types(look, queues_of_types);
  const auto wanted = request.query.find("type");
  const std::string type = wanted == request.query.end() ? "" : wanted->second;
  if (!type.empty() && !types.contains(type)) {
    return fail(ErrorCode::kNotFound, fmt::format("no worker of type '{}' is here or configured; there are: {}", type,
                                                  fmt::join(types, ", ")));
  }
  json::object out = LoadJson(LoadOf(look, type, queues_of_types), jobs_per_replica);
  if (!type.empty()) {
    out["type"] = type;
    return out;
  }
  json::object each;
  for (const std::string& name : types) each[name] = LoadJson(LoadOf(look, name, queues_of_types), jobs_per_replica);
  out["types"] = std::move(each);
  return out;
}

}  // namespace

std::vector<GaugeSample> FleetSamples(const runtime::FleetLook& look, base::Metrics& metrics) {
  std::vector<GaugeSample> samples;
  AddQueues(look, metrics, samples);
  AddWorkers(look, samples);
  return samples;
}

std::vector<GaugeSample> PoolSamples(const storage::PoolStats& pool) {
  constexpr std::string_view kName = "millrace_db_pool_connections";
  return {{kName, {"active"}, static_cast<double>(pool.active)},
          {kName, {"idle"}, static_cast<double>(pool.idle)},
          {kName, {"max"}, static_cast<double>(pool.max)},
          {kName, {"waiting"}, static_cast<double>(pool.waiting)}};
}

json::object PoolJson(storage::Storage& storage) {
  if (storage.Name() == "sqlite") return {};
  const storage::PoolStats pool = storage.Connections();
  return {{"size", pool.size},
          {"min_size", pool.min},
          {"max_size", pool.max},
          {"idle_connections", pool.idle},
          {"active_connections", pool.active},
          {"waiting", pool.waiting},
          {"recycled", pool.recycled},
          {"timeouts", pool.timeouts}};
}

void AddMetricsRoutes(Router& router, base::Metrics& metrics, storage::Storage& storage, runtime::FleetWatch& fleet,
                      QueuesOfTypes queues_of_types) {
  const auto scrape = [&metrics, &storage, &fleet](const ApiRequest&, const PathValues&) {
    std::vector<GaugeSample> samples = PoolSamples(storage.Connections());
    if (const auto look = fleet.Latest()) {
      for (GaugeSample& sample : FleetSamples(*look, metrics)) samples.push_back(std::move(sample));
    }
    return Scrape(metrics, std::move(samples));
  };
  router.Add("GET", "/metrics", scrape);
  router.Add("GET", "/q/metrics", scrape);
  router.Add("GET", "/scale", [&fleet, types = std::move(queues_of_types)](const ApiRequest& request, const auto&) {
    const auto look = fleet.Latest();
    if (look == nullptr) {
      return ProblemResponse(
          503, ErrorCode::kDatabaseUnavailable,
          "the database has not been looked at yet, or not lately; try again, and see /health/ready");
    }
    auto scale = Scale(*look, types, request);
    return scale ? JsonResponse(std::move(*scale)) : ProblemResponse(scale.error());
  });
}

}  // namespace millrace::http
