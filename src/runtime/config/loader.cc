#include "runtime/config/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <tuple>

#include "base/utf8.h"
#include "engine/run_identity.h"
#include "runtime/config/sections.h"

namespace millrace::runtime {
namespace {

constexpr std::string_view kDefaultFile = "./millrace.yaml";

std::string Upper(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::toupper(c); });
  return out;
}

base::YamlNode ScalarNode(std::string text, bool secret) {
  base::YamlNode node;
  node.kind = base::YamlNode::Kind::kScalar;
  node.plain = true;
  node.expanded = secret;  // so that problems do not repeat it
  node.text = std::move(text);
  return node;
}

// The feature a key belongs to when this version does not have it; empty when it does.
std::string_view LaterFeature(std::string_view key) {
  if (key == "storage.read_url") return "reading from replicas";
  if (key.starts_with("http.") && key != "http.health_check_interval") return "TCP server";
  if (key.starts_with("embeddings.")) return "embeddings";
  if (key.starts_with("sites.")) return "sites pipeline";
  return "";
}

}  // namespace

Config ConfigLoader::Load() {
  SetDefaults();
  ReadFile();
  ReadEnvironment();
  ReadFlags();
  ResolveDatabase();
  CheckLater();
  CheckWorker();
  // In the file's order, whatever order they were found in.
  const auto place = [this](const base::YamlProblem& problem) {
    return std::tuple(problem.file != config_.file_, problem.line, problem.column);
  };
  std::stable_sort(config_.problems_.begin(), config_.problems_.end(),
                   [&](const auto& a, const auto& b) { return place(a) < place(b); });
  return std::move(config_);
}

std::optional<std::string> ConfigLoader::Variable(const std::string& name) const {
  const auto found = inputs_.environment.find(name);
  if (found == inputs_.environment.end() || found->second.empty()) return std::nullopt;
  return found->second;
}

Setting& ConfigLoader::Find(std::string_view key) { return const_cast<Setting&>(config_.Get(key)); }

void ConfigLoader::Problem(const Setting& setting, std::string message) {
  const OriginKind kind = setting.origin.kind;
  const std::string place = (kind == OriginKind::kEnvironment ? "environment variable "
                             : kind == OriginKind::kFlag      ? "flag "
                                                              : "") +
                            setting.origin.where;
  config_.problems_.push_back({place, setting.origin.line, 0, setting.key, std::move(message)});
}

void ConfigLoader::SetDefaults() {
  for (const KeySpec& spec : KeySpecs()) {
    Setting setting;
    setting.key = spec.key;
    setting.secret = spec.secret;
    config_.settings_.push_back(std::move(setting));
    SetText(spec, std::string(spec.fallback), "default", {});
    defaults_.emplace(spec.key, config_.settings_.back().value);
  }
}

void ConfigLoader::SetText(const KeySpec& spec, const std::string& text, const std::string& place, Origin origin) {
  const base::YamlNode node = ScalarNode(text, spec.secret || spec.key.ends_with("url"));
  Assign(spec, base::YamlReader(node, std::string(spec.key), place, config_.problems_), std::move(origin));
}

void ConfigLoader::Assign(const KeySpec& spec, const base::YamlReader& reader, Origin origin) {
  Setting& target = Find(spec.key);
  Setting read;
  read.key = target.key;
  read.secret = target.secret;
  read.origin = std::move(origin);
  if (ReadSetting(spec, reader, read.origin.kind == OriginKind::kFile, read)) target = std::move(read);
}

void ConfigLoader::ReadFile() {
  std::string place = "flag --config";
  std::optional<std::string> path = inputs_.file;
  for (const char* name : {"MILLRACE_CONFIG", "GO_DOC_GO_CONFIG_PATH"}) {
    if (path) break;
    path = Variable(name);
    place = fmt::format("environment variable {}", name);
  }
  std::error_code ignored;
  if (!path && std::filesystem::exists(kDefaultFile, ignored)) path = kDefaultFile;
  if (!path) return;
  config_.file_ = *path;
  std::ifstream stream(*path, std::ios::binary);
  const bool folder = std::filesystem::is_directory(*path, ignored);
  if (!stream || folder) {
    const std::string why = folder ? "is a folder" : std::strerror(errno);
    config_.problems_.push_back({*path, 0, 0, "", fmt::format("cannot be read: {} (named by {})", why, place)});
    return;
  }
  std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  const base::YamlNode root = base::ParseYaml(
      text, *path, [this](const std::string& name) { return Variable(name); }, config_.problems_);
  if (root.kind == base::YamlNode::Kind::kNull) return;
  base::YamlMap map(base::YamlReader(root, "", config_.file_, config_.problems_));
  ReadSections(map);
  ReadGroup(map, "");
}

// Reads the keys that begin with `prefix` from `map`, and what nests below them.
void ConfigLoader::ReadGroup(base::YamlMap& map, const std::string& prefix) {
  std::set<std::string> groups;
  for (const KeySpec& spec : KeySpecs()) {
    if (!spec.key.starts_with(prefix)) continue;
    const std::string_view rest = spec.key.substr(prefix.size());
    const std::size_t dot = rest.find('.');
    if (dot == std::string_view::npos) {
      if (auto value = map.Get(rest)) {
        Assign(spec, *value, {OriginKind::kFile, config_.file_, value->node().line});
      }
    } else if (groups.emplace(rest.substr(0, dot)).second) {
      auto value = map.Get(rest.substr(0, dot));
      if (!value) continue;
      base::YamlMap inner(*value);
      ReadGroup(inner, prefix + std::string(rest.substr(0, dot)) + ".");
    }
  }
  map.Finish();
}

void ConfigLoader::ReadSections(base::YamlMap& map) {
  Sections sections;
  const auto read = [&](std::string_view key, const std::function<void(const base::YamlReader&)>& reader) {
    auto value = map.Get(key);
    if (!value) return;
    reader(*value);
    config_.sections_.push_back({std::string(key), value->node()});
  };
  read("queues", [&](const auto& value) { ReadQueues(value, sections); });
  read("content_sources", [&](const auto& value) { ReadSources(value, sections); });
  read("pipelines", [&](const auto& value) { ReadPipelines(value, sections); });
  read("handlers", [&](const auto& value) { ReadHandlers(value, sections); });
  read("schedules", [&](const auto& value) { ReadSchedules(value); });
  config_.queues_ = std::move(sections.queues);
  config_.sources_ = std::move(sections.sources);
  config_.pipelines_ = std::move(sections.pipelines);
  config_.handlers_ = std::move(sections.handlers);
}

void ConfigLoader::ReadEnvironment() {
  for (const KeySpec& spec : KeySpecs()) {
    std::istringstream names{std::string(spec.environment)};
    for (std::string name; names >> name;) {
      const auto value = Variable(name);
      if (!value) continue;
      std::string text = *value;
      if (spec.type == KeyType::kBoolean) {
        std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
      }
      SetText(spec, text, "environment variable " + name, {OriginKind::kEnvironment, name});
      break;
    }
  }
  ReadPoolMaximum();
  for (const auto& [name, value] : inputs_.environment) {
    for (const std::string_view prefix : {"JOBS_QUEUE_CAPACITY_", "JOBS_RETRY_MAX_ATTEMPTS_"}) {
      if (!name.starts_with(prefix) || parse_priority(name.substr(prefix.size()))) continue;
      const std::string suffix = Upper(name.substr(prefix.size()));
      config_.problems_.push_back(
          {"environment variable " + name, 0, 0, "",
           fmt::format("'{}' is no priority; known: CRITICAL, HIGH, DEFAULT, LOW, BULK", suffix)});
    }
  }
}

// DB_POOL_MAX_SIZE is steady and extra connections together.
void ConfigLoader::ReadPoolMaximum() {
  const auto text = Variable("DB_POOL_MAX_SIZE");
  if (!text) return;
  const std::string place = "environment variable DB_POOL_MAX_SIZE";
  const base::YamlNode node = ScalarNode(*text, false);
  const auto most = base::YamlReader(node, "storage.max_overflow", place, config_.problems_).Integer(1, 2000);
  if (!most) return;
  Setting& overflow = Find("storage.max_overflow");
  const std::int64_t steady = Find("storage.pool_size").number;
  overflow.origin = {OriginKind::kEnvironment, "DB_POOL_MAX_SIZE"};
  if (*most < steady)
    return Problem(overflow, fmt::format("DB_POOL_MAX_SIZE {} is below storage.pool_size {}", *most, steady));
  overflow.number = *most - steady;
  overflow.value = fmt::format("{}", overflow.number);
}

void ConfigLoader::ReadFlags() {
  for (const FlagValue& flag : inputs_.flags) {
    for (const KeySpec& spec : KeySpecs()) {
      if (spec.key != flag.key) continue;
      SetText(spec, flag.value, "flag " + flag.flag, {OriginKind::kFlag, flag.flag});
    }
  }
}

// A key of a later version with a value of its own: an error in the file or a flag, a warning from the environment,
// which may be meant for other programs too.
void ConfigLoader::CheckLater() {
  for (const KeySpec& spec : KeySpecs()) {
    const std::string_view feature = LaterFeature(spec.key);
    const Setting& setting = Find(spec.key);
    if (feature.empty() || setting.origin.kind == OriginKind::kDefault || setting.value == defaults_.at(setting.key))
      continue;
    if (setting.origin.kind == OriginKind::kEnvironment) {
      config_.warnings_.push_back(
          fmt::format("{} does nothing: this version has no {}", setting.origin.where, feature));
    } else {
      Problem(setting, fmt::format("unsupported: this version has no {}", feature));
    }
  }
  const Setting& mode = Find("processing.mode");
  if (mode.value == "distributed" && Find("storage.backend").value == "sqlite")
    Problem(mode, "distributed needs PostgreSQL: many processes cannot share a SQLite file; set storage.url");
}

void ConfigLoader::CheckWorker() {
  const Setting& beat = Find("work_queue.heartbeat_interval");
  const Setting& stale = Find("work_queue.stale_threshold");
  if (stale.number <= beat.number) {
    Problem(stale.origin.kind == OriginKind::kDefault ? beat : stale,
            fmt::format("stale_threshold ({}) must be longer than heartbeat_interval ({})", stale.value, beat.value));
  }
  std::set<std::string> types = {"all"};
  for (const PipelineConfig& pipeline : config_.pipelines_) {
    for (const StageConfig& stage : pipeline.stages) types.insert(stage.worker_type);
  }
  const Setting& type = Find("worker.type");
  if (!types.contains(type.value)) {
    Problem(type, fmt::format("no stage of a pipeline in the config has worker_type '{}'; known: {}", type.value,
                              fmt::join(types, ", ")));
  }
  const std::string& id = Find("worker.id").value;
  if (id.size() > 200) Problem(Find("worker.id"), "is longer than 200 bytes");
  if (!base::IsOneLine(id))
    Problem(Find("worker.id"), "holds a newline, another control character or bytes that are no UTF-8");
}

}  // namespace millrace::runtime
