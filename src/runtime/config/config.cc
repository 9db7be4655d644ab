#include "runtime/config/config.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "runtime/config/loader.h"

namespace millrace::runtime {

Environment ProcessEnvironment() {
  Environment out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

std::string Origin::Text() const {
  switch (kind) {
    case OriginKind::kFile:
      return fmt::format("file {}:{}", where, line);
    case OriginKind::kEnvironment:
      return "environment " + where;
    case OriginKind::kFlag:
      return "flag " + where;
    case OriginKind::kDefault:
      break;
  }
  return "default";
}

Config Config::Load(const ConfigInputs& inputs) { return ConfigLoader(inputs).Load(); }

Result<void> Config::Check() const {
  if (problems_.empty()) return {};
  const bool all_unsupported = std::all_of(problems_.begin(), problems_.end(), [](const base::YamlProblem& problem) {
    return problem.message.starts_with("unsupported: ");
  });
  const bool all_flags = std::all_of(problems_.begin(), problems_.end(), [](const base::YamlProblem& problem) {
    return problem.line == 0 && problem.file.starts_with("flag --");
  });
  std::string message = base::FormatProblem(problems_.front());
  if (problems_.size() > 1) {
    message += fmt::format(" (and {} more)", problems_.size() - 1);
  }
  const ErrorCode code = all_unsupported ? ErrorCode::kUnsupported
                         : all_flags     ? ErrorCode::kInvalidArgument
                                         : ErrorCode::kConfig;
  return fail(code, std::move(message));
}

const Setting& Config::Get(std::string_view key) const {
  for (const Setting& setting : settings_) {
    if (setting.key == key) return setting;
  }
  throw std::logic_error("no configuration key " + std::string(key));
}

StorageOptions Config::storage() const {
  StorageOptions options;
  options.url = IsPostgres() ? postgres_url_ : database();
  options.password = password_;
  options.schema = Get("storage.schema").value;
  options.listen_url = Get("storage.listen_url").value;
  options.pool_size = static_cast<int>(Get("storage.pool_size").number);
  options.max_overflow = static_cast<int>(Get("storage.max_overflow").number);
  options.pool_timeout = Duration(Get("storage.pool_timeout").number);
  options.pool_recycle = Duration(Get("storage.pool_recycle").number);
  options.queues = queues_;
  options.max_crashes = static_cast<int>(Get("work_queue.max_crashes").number);
  options.claim_timeout = Duration(Get("work_queue.claim_timeout").number);
  const Setting& retries = Get("work_queue.max_retries");
  if (!retries.word) options.max_attempts = static_cast<int>(retries.number) + 1;
  for (int i = 0; i < kPriorityCount; ++i) {
    const std::string name(priority_name(static_cast<Priority>(i)));
    const auto index = static_cast<std::size_t>(i);
    const Setting& capacity = Get("work_queue.capacity." + name);
    if (!capacity.word) options.capacity[index] = capacity.number;
    const Setting& own = Get("work_queue.retries." + name);
    if (own.origin.kind != OriginKind::kDefault) {
      options.max_attempts_by_priority[index] = static_cast<int>(own.number) + 1;
    }
  }
  return options;
}

WorkerOptions Config::worker() const {
  WorkerOptions options;
  options.id = Get("worker.id").value;
  options.type = Get("worker.type").value;
  options.queues = Get("worker.queues").list;
  for (const std::string& name : Get("worker.priorities").list) {
    if (auto priority = parse_priority(name)) options.priorities.push_back(*priority);
  }
  options.concurrency = static_cast<int>(Get("worker.concurrency").number);
  const Setting& prefetch = Get("work_queue.prefetch_count");
  options.prefetch = prefetch.word ? -1 : static_cast<int>(prefetch.number);
  options.batch_size = static_cast<int>(Get("work_queue.batch_size").number);
  options.heartbeat_interval = Duration(Get("work_queue.heartbeat_interval").number);
  options.stale_threshold = Duration(Get("work_queue.stale_threshold").number);
  options.shutdown_timeout = Duration(Get("worker.shutdown_timeout").number);
  options.scheduler_enabled = Get("worker.scheduler_enabled").number != 0;
  return options;
}

base::LogOptions Config::log(bool terminal) const {
  base::LogOptions options;
  const std::string& level = Get("log.level").value;
  if (auto parsed = base::ParseLevel(level == "auto" ? "info" : level)) options.level = *parsed;
  const std::string& structured = Get("log.structured").value;
  options.structured = structured == "auto" ? !terminal : structured == "true";
  return options;
}

const PipelineConfig* Config::FindPipeline(std::string_view name) const {
  for (const PipelineConfig& pipeline : pipelines_) {
    if (pipeline.name == name) return &pipeline;
  }
  return nullptr;
}

const FileSourceConfig* Config::FindSource(std::string_view name) const {
  for (const FileSourceConfig& source : sources_) {
    if (source.name == name) return &source;
  }
  return nullptr;
}

}  // namespace millrace::runtime
