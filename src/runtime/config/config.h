// The effective configuration: file, environment and flags put together, each value with where it came from.
//
// Precedence is flag > environment > file > default. Everything wrong is reported at once, as problems that name file,
// line, column and key. A key or value of a feature this version does not have is a problem that begins with
// "unsupported: "; it is never ignored.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/log.h"
#include "base/yaml.h"
#include "millrace/options.h"

namespace millrace::runtime {

// The process's environment, or a test's.
using Environment = std::map<std::string, std::string>;
Environment ProcessEnvironment();

enum class OriginKind { kDefault, kFile, kEnvironment, kFlag };

// Where a value came from: "default", "file ./millrace.yaml:12", "environment DATABASE_URL", "flag --db".
struct Origin {
  OriginKind kind = OriginKind::kDefault;
  std::string where;  // the file, the variable or the flag
  int line = 0;       // of the file
  [[nodiscard]] std::string Text() const;
};

// One scalar key with its effective value.
struct Setting {
  std::string key;    // "work_queue.claim_timeout"
  std::string value;  // canonical text; lists joined by commas
  Origin origin;
  bool secret = false;
  // What `value` means, by the key's type: durations in microseconds, sizes in bytes, booleans as 0 and 1.
  std::int64_t number = 0;
  double real = 0;
  bool word = false;  // a word in place of a number, such as "auto"
  std::vector<std::string> list;
};

// A source of documents of type file.
struct FileSourceConfig {
  std::string name;
  std::string base_path;
  std::vector<std::string> include, exclude;  // globs; empty: everything, nothing
  std::vector<std::string> extensions;        // without dot; empty: all
  bool recursive = true;
};

struct StageConfig {
  std::string name, handler, from, after, partition;
  std::string worker_type = "all";
  bool leader = false;
  bool final_stage = false;
  bool browser = false;
  Duration timeout{0};      // 0: work_queue.claim_timeout
  std::int64_t memory = 0;  // bytes; 0: the handler's own limit
  Duration every{0};
};

struct PipelineConfig {
  std::string name;
  std::vector<std::string> sources;  // names in `sources` of Config
  std::vector<StageConfig> stages;
};

// A kind that a C++ handler works: known to `enqueue`, with what a job of it gets that does not say itself.
struct HandlerConfig {
  std::string kind;
  std::string queue;  // empty: not said
  std::optional<Priority> priority;
  Duration timeout{0};   // 0: not said
  int max_attempts = 0;  // 0: not said
};

// A structured section as it stands in the file, for showing it.
struct RawSection {
  std::string key;
  base::YamlNode node;
};

// A value given on the command line, for a key: {"storage.url", "--db", "./jobs.db"}.
struct FlagValue {
  std::string key, flag, value;
};

struct ConfigInputs {
  std::optional<std::string>
      file;  // --config; else MILLRACE_CONFIG, GO_DOC_GO_CONFIG_PATH, ./millrace.yaml if it exists
  std::vector<FlagValue> flags;
  Environment environment;
};

class Config {
 public:
  // Puts everything together. Problems are empty exactly when the configuration can be used.
  static Config Load(const ConfigInputs& inputs);

  [[nodiscard]] const std::vector<base::YamlProblem>& problems() const { return problems_; }
  // What is accepted but does nothing here, for people.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
  // The first problem as an error, all others counted; or nothing. kUnsupported when all of them are that,
  // kInvalidArgument when all are of flags, else kConfig.
  [[nodiscard]] Result<void> Check() const;
  // The file read, or empty.
  [[nodiscard]] const std::string& file() const { return file_; }

  // A setting by its full key. Asking for a key that does not exist is a bug, and throws std::logic_error.
  [[nodiscard]] const Setting& Get(std::string_view key) const;
  [[nodiscard]] const std::vector<Setting>& settings() const { return settings_; }

  // The database, for people and for a command line: a path, or a PostgreSQL URL without user and password.
  [[nodiscard]] const std::string& database() const { return database_; }
  // Whether it is a PostgreSQL, which any number of processes may use at once, rather than a file with one owner.
  [[nodiscard]] bool IsPostgres() const { return !postgres_url_.empty(); }
  [[nodiscard]] StorageOptions storage() const;
  [[nodiscard]] WorkerOptions worker() const;
  // `terminal`: whether standard error is one, which decides log.structured: auto.
  [[nodiscard]] base::LogOptions log(bool terminal) const;

  [[nodiscard]] const std::vector<QueueOptions>& queues() const { return queues_; }
  [[nodiscard]] const std::vector<FileSourceConfig>& sources() const { return sources_; }
  [[nodiscard]] const std::vector<PipelineConfig>& pipelines() const { return pipelines_; }
  [[nodiscard]] const std::vector<HandlerConfig>& handlers() const { return handlers_; }
  [[nodiscard]] const PipelineConfig* FindPipeline(std::string_view name) const;
  [[nodiscard]] const FileSourceConfig* FindSource(std::string_view name) const;

  // The effective configuration with secrets redacted and each value's origin: YAML with comments, and JSON.
  [[nodiscard]] std::string ShowYaml() const;
  [[nodiscard]] base::json::object ShowJson() const;

 private:
  friend class ConfigLoader;
  std::string file_;
  std::vector<base::YamlProblem> problems_;
  std::vector<std::string> warnings_;
  std::string database_;
  std::string postgres_url_;  // empty: SQLite
  std::string password_;
  std::vector<Setting> settings_;
  std::vector<RawSection> sections_;
  std::vector<QueueOptions> queues_;
  std::vector<FileSourceConfig> sources_;
  std::vector<PipelineConfig> pipelines_;
  std::vector<HandlerConfig> handlers_;
};

}  // namespace millrace::runtime
