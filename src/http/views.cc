#include "http/views.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/clock.h"
#include "base/try.h"

namespace millrace::http {
namespace {

namespace json = base::json;

constexpr int kMostPerPage = 1000;

json::value TimeOrNull(const std::optional<Time>& time) {
  return time ? json::value(base::FormatTime(*time)) : json::value(nullptr);
}

// Whole numbers as integers: the library writes 0.0 as 0E0.
json::value Number(double value) {
  const auto whole = static_cast<std::int64_t>(value);
  return static_cast<double>(whole) == value ? json::value(whole) : json::value(value);
}

json::value Seconds(Duration duration) { return Number(static_cast<double>(duration.count()) / 1e6); }

Error Bad(const std::string& path, std::string what) {
  return {ErrorCode::kInvalidArgument, fmt::format("{}: {}", path, what)};
}

// Reads the members of one job.
class JobReader {
 public:
  JobReader(const json::object& object, std::string path) : object_(object), path_(std::move(path)) {}

  Result<NewJob> Read() {
    NewJob job;
    for (const auto& member : object_) {
      MILLRACE_TRY(ReadMember(std::string(member.key()), member.value(), job));
    }
    if (job.kind.empty()) return fail(Bad(path_ + "kind", "is missing"));
    return job;
  }

 private:
  Result<void> ReadMember(const std::string& name, const json::value& value, NewJob& job) {
    if (value.is_null()) return {};
    if (name == "kind") return Text(name, value, job.kind);
    if (name == "queue") return Text(name, value, job.queue);
    if (name == "partition_key") return Text(name, value, job.partition_key);
    if (name == "unique_key") return Text(name, value, job.unique_key);
    if (name == "max_attempts") return Number(name, value, job.max_attempts);
    if (name == "max_crashes") return Number(name, value, job.max_crashes);
    if (name == "args") return Args(value, job);
    if (name == "priority") return PriorityOf(name, value, job);
    if (name == "tags") return Tags(name, value, job);
    if (name == "run_at") return RunAt(name, value, job);
    if (name == "after") return After(value, job);
    if (name == "after_in_batch") return AfterInBatch(value, job);
    if (name == "when") return When(value, job);
    if (name == "delay" || name == "timeout") {
      MILLRACE_ASSIGN(const Duration duration, Time(name, value));
      if (name == "delay") {
        job.delay = duration;
      } else {
        job.timeout = duration;
      }
      return {};
    }
    return fail(
        Bad(path_ + name,
            "unknown member; known: kind, args, queue, priority, run_at, delay, max_attempts, max_crashes, timeout, "
            "partition_key, unique_key, tags, after, after_in_batch, when"));
  }

  Result<void> Text(const std::string& name, const json::value& value, std::string& out) {
    if (!value.is_string()) return fail(Bad(path_ + name, "must be a string"));
    out = std::string(value.get_string());
    return {};
  }
  Result<void> Number(const std::string& name, const json::value& value, int& out) {
    const bool good = value.is_int64() && value.get_int64() >= 1 && value.get_int64() <= 1'000'000;
    if (!good) return fail(Bad(path_ + name, "must be an integer from 1 to 1000000"));
    out = static_cast<int>(value.get_int64());
    return {};
  }
  Result<void> Args(const json::value& value, NewJob& job) {
    if (!value.is_object()) return fail(Bad(path_ + "args", "must be a JSON object"));
    job.args = base::ToJson(value);
    return {};
  }
  Result<void> PriorityOf(const std::string& name, const json::value& value, NewJob& job) {
    std::string text;
    MILLRACE_TRY(Text(name, value, text));
    const auto priority = parse_priority(text);
    if (!priority) return fail(Bad(path_ + name, priority.error().message));
    job.priority = *priority;
    return {};
  }
  Result<void> Tags(const std::string& name, const json::value& value, NewJob& job) {
    if (!value.is_array()) return fail(Bad(path_ + name, "must be a list of strings"));
    for (const json::value& tag : value.get_array()) MILLRACE_TRY(Text(name, tag, job.tags.emplace_back()));
    return {};
  }
  Result<void> After(const json::value& value, NewJob& job) {
    if (!value.is_array()) return fail(Bad(path_ + "after", "must be a list of job ids"));
    for (const json::value& id : value.get_array()) {
      if (!id.is_int64() || id.get_int64() <= 0) return fail(Bad(path_ + "after", "must be a list of job ids"));
      job.after.push_back(id.get_int64());
    }
    return {};
  }
  Result<void> AfterInBatch(const json::value& value, NewJob& job) {
    constexpr std::string_view kWhat = "must be a list of places of earlier jobs of the batch, from 0";
    if (!value.is_array()) return fail(Bad(path_ + "after_in_batch", std::string(kWhat)));
    for (const json::value& place : value.get_array()) {
      if (!place.is_int64() || place.get_int64() < 0) return fail(Bad(path_ + "after_in_batch", std::string(kWhat)));
      job.after_in_batch.push_back(static_cast<std::size_t>(place.get_int64()));
    }
    return {};
  }
  Result<void> When(const json::value& value, NewJob& job) {
    std::string text;
    MILLRACE_TRY(Text("when", value, text));
    const auto policy = parse_dependency_policy(text);
    if (!policy) return fail(Bad(path_ + "when", policy.error().message));
    job.when = *policy;
    return {};
  }
  Result<void> RunAt(const std::string& name, const json::value& value, NewJob& job) {
    std::string text;
    MILLRACE_TRY(Text(name, value, text));
    const auto time = base::ParseTime(text);
    if (!time) return fail(Bad(path_ + name, time.error().message));
    job.run_at = *time;
    return {};
  }
  Result<Duration> Time(const std::string& name, const json::value& value) {
    const std::string text = value.is_string() ? std::string(value.get_string()) : base::ToJson(value);
    auto duration = base::ParseDuration(text);
    if (!duration) return fail(Bad(path_ + name, duration.error().message));
    return *duration;
  }

  const json::object& object_;
  const std::string path_;
};

Result<void> ReadStates(const std::string& text, storage::JobFilter& filter) {
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    auto state = parse_job_state(std::string_view{text}.substr(at, comma - at));
    if (!state) return fail(Bad("state", state.error().message));
    filter.states.push_back(*state);
    at = comma + 1;
  }
  return {};
}

Result<void> ReadIds(const std::string& text, storage::JobFilter& filter) {
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    MILLRACE_ASSIGN(const std::int64_t id, ReadId(std::string_view(text).substr(at, comma - at), "ids"));
    filter.ids.push_back(id);
    at = comma + 1;
  }
  return {};
}

Result<void> ReadParameter(const std::string& name, const std::string& value, storage::JobFilter& filter) {
  if (value.empty()) return {};
  if (name == "state") return ReadStates(value, filter);
  if (name == "ids") return ReadIds(value, filter);
  if (name == "queue") filter.queue = value;
  if (name == "kind") filter.kind = value;
  if (name == "tag") filter.tag = value;
  if (name == "priority") {
    const auto priority = parse_priority(value);
    if (!priority) return fail(Bad(name, priority.error().message));
    filter.priority = *priority;
  }
  if (name == "run") {
    MILLRACE_ASSIGN(filter.run_id, ReadId(value, name));
  }
  if (name == "cursor") {
    MILLRACE_ASSIGN(filter.after_id, ReadId(value, name));
  }
  if (name == "limit") {
    MILLRACE_ASSIGN(const std::int64_t limit, ReadId(value, name));
    if (limit > kMostPerPage) return fail(Bad(name, fmt::format("must be from 1 to {}", kMostPerPage)));
    filter.limit = static_cast<int>(limit);
  }
  return {};
}

}  // namespace

json::value ParsedOrText(const std::string& text) {
  if (text.empty()) return nullptr;
  auto parsed = base::ParseJson(text);
  return parsed ? std::move(*parsed) : json::value(text);
}

json::object JobJson(const Job& job) {
  json::array tags(job.tags.begin(), job.tags.end());
  json::array after(job.after.begin(), job.after.end());
  const bool waits = job.state == JobState::kWaiting;
  return {{"id", job.id},
          {"kind", job.kind},
          {"state", job_state_name(job.state)},
          {"queue", job.queue},
          {"priority", priority_name(job.priority)},
          {"args", ParsedOrText(job.args)},
          {"attempt", job.attempt},
          {"max_attempts", job.max_attempts},
          {"crashes", job.crashes},
          {"timeout_seconds", Seconds(job.timeout)},
          {"created_at", base::FormatTime(job.created_at)},
          {"run_at", base::FormatTime(job.run_at)},
          {"started_at", TimeOrNull(job.started_at)},
          {"finished_at", TimeOrNull(job.finished_at)},
          {"partition_key", job.partition_key},
          {"unique_key", job.unique_key},
          {"run_id", job.run_id},
          {"tags", std::move(tags)},
          {"after", std::move(after)},
          {"when", waits ? json::value(dependency_policy_name(job.when)) : json::value(nullptr)},
          {"worker", job.worker},
          {"result", ParsedOrText(job.result)},
          {"error", job.error},
          {"progress", Number(job.progress)},
          {"progress_message", job.progress_message},
          {"cancel_requested", job.cancel_requested}};
}

json::object AttemptJson(const Attempt& attempt) {
  return {{"attempt", attempt.attempt},
          {"outcome", attempt.outcome},
          {"error", attempt.error},
          {"worker", attempt.worker},
          {"started_at", base::FormatTime(attempt.started_at)},
          {"finished_at", base::FormatTime(attempt.finished_at)}};
}

json::object QueueJson(const storage::QueueRow& queue) {
  json::object totals;
  json::object by_priority;
  for (int s = 0; s < kJobStateCount; ++s) {
    std::int64_t total = 0;
    for (const auto& counts : queue.counts) total += counts[s];
    totals[job_state_name(static_cast<JobState>(s))] = total;
  }
  for (int p = 0; p < kPriorityCount; ++p) {
    json::object counts;
    for (int s = 0; s < kJobStateCount; ++s) {
      if (queue.counts[p][s] != 0) counts[job_state_name(static_cast<JobState>(s))] = queue.counts[p][s];
    }
    if (!counts.empty()) by_priority[priority_name(static_cast<Priority>(p))] = std::move(counts);
  }
  const auto number_or_null = [](const auto& value) { return value ? json::value(*value) : json::value(nullptr); };
  return {{"name", queue.name},
          {"paused", queue.paused},
          {"capacity", number_or_null(queue.options.capacity)},
          {"concurrency", number_or_null(queue.options.concurrency)},
          {"rate_limit", number_or_null(queue.options.rate_limit)},
          {"counts", std::move(totals)},
          {"by_priority", std::move(by_priority)},
          {"oldest_available", TimeOrNull(queue.oldest_available)}};
}

json::object WorkerJson(const storage::WorkerRow& worker, std::span<const storage::Leadership> leaders) {
  constexpr std::string_view kStates[] = {"active", "draining", "stopped", "lost"};
  json::array kinds(worker.info.kinds.begin(), worker.info.kinds.end());
  json::array leads;
  for (const storage::Leadership& one : leaders) {
    if (one.holder == worker.info.id && one.incarnation == worker.incarnation)
      leads.push_back(json::object{{"scope", one.scope}, {"epoch", one.epoch}});
  }
  return {{"id", worker.info.id},
          {"state", kStates[static_cast<int>(worker.state)]},
          {"type", worker.info.type},
          {"host", worker.info.host},
          {"pid", worker.info.pid},
          {"slots", worker.info.slots},
          {"running", worker.running},
          {"kinds", std::move(kinds)},
          {"leads", std::move(leads)},
          {"incarnation", worker.incarnation},
          {"started_at", base::FormatTime(worker.started_at)},
          {"last_heartbeat", base::FormatTime(worker.last_heartbeat)}};
}

json::object RunJson(const storage::RunRow& run) {
  constexpr std::string_view kStates[] = {"active", "completed", "cancelled"};
  json::object counts;
  for (int s = 0; s < kJobStateCount; ++s) counts[job_state_name(static_cast<JobState>(s))] = run.counts[s];
  return {{"id", run.id},
          {"pipeline", run.pipeline},
          {"generation", run.generation},
          {"state", kStates[static_cast<int>(run.state)]},
          {"discovery_done", run.discovery_done},
          {"leader", run.leader.empty() ? json::value(nullptr) : json::value(run.leader)},
          {"epoch", run.leader.empty() ? json::value(nullptr) : json::value(run.epoch)},
          {"stage_job", run.stage_job == 0 ? json::value(nullptr) : json::value(run.stage_job)},
          {"finals_started", run.finals_started},
          {"open", run.open},
          {"counts", std::move(counts)},
          {"started_at", base::FormatTime(run.started_at)},
          {"finished_at", TimeOrNull(run.finished_at)},
          {"identity", run.identity},
          {"spec", ParsedOrText(run.spec)}};
}

Result<NewJob> ReadNewJob(const json::value& value, const std::string& path) {
  if (!value.is_object()) return fail(Bad(path.empty() ? "the body" : path, "must be a JSON object"));
  return JobReader(value.get_object(), path.empty() ? "" : path + ".").Read();
}

Result<storage::JobFilter> ReadFilter(const ApiRequest& request, std::initializer_list<std::string_view> also) {
  constexpr std::string_view kKnown[] = {"state", "queue", "kind", "tag", "priority", "run", "ids", "limit", "cursor"};
  storage::JobFilter filter;
  for (const auto& [name, value] : request.query) {
    if (std::find(also.begin(), also.end(), name) != also.end()) continue;
    if (std::find(std::begin(kKnown), std::end(kKnown), name) == std::end(kKnown)) {
      return fail(Bad(name, fmt::format("unknown parameter; known: {}{}{}", fmt::join(kKnown, ", "),
                                        also.size() == 0 ? "" : ", ", fmt::join(also, ", "))));
    }
    MILLRACE_TRY(ReadParameter(name, value, filter));
  }
  return filter;
}

Result<std::int64_t> ReadId(std::string_view text, std::string_view what) {
  std::int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("{}: '{}' is not a positive number", what, text));
  }
  return value;
}

Result<json::object> ReadBody(const ApiRequest& request, std::initializer_list<std::string_view> known) {
  if (request.body.empty()) return json::object();
  auto value = base::ParseJson(request.body);
  if (!value) return fail(Bad("the body", value.error().message));
  if (!value->is_object()) return fail(Bad("the body", "must be a JSON object"));
  for (const auto& member : value->get_object()) {
    if (std::find(known.begin(), known.end(), std::string_view(member.key())) == known.end()) {
      return fail(Bad(std::string(member.key()), fmt::format("unknown member; known: {}", fmt::join(known, ", "))));
    }
  }
  return std::move(value->get_object());
}

}  // namespace millrace::http
