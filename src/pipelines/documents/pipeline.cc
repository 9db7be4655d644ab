#include "pipelines/documents/pipeline.h"

#include <chrono>
#include <set>

#include "base/json.h"
#include "base/try.h"
#include "engine/run_identity.h"
#include "pipelines/documents/elements.h"
#include "pipelines/documents/sources/overlap.h"
#include "pipelines/documents/sources/path_text.h"

namespace millrace::documents {
namespace {

// Parsing happens in children and discovery starts over where it was, so that a worker's death is never the job's
// fault.
constexpr int kAnyNumberOfCrashes = 1'000'000'000;

base::json::array TextsToJson(const std::vector<std::string>& texts) {
  base::json::array array;
  for (const std::string& text : texts) array.emplace_back(EncodePath(text));
  return array;
}

base::json::object SourceToJson(const FileSource& source) {
  base::json::object object;
  object["type"] = "file";
  object["name"] = source.name;
  object["base_path"] = EncodePath(source.base_path);
  if (!source.only.empty()) object["only"] = EncodePath(source.only);
  object["include"] = TextsToJson(source.include);
  object["exclude"] = TextsToJson(source.exclude);
  object["extensions"] = TextsToJson(source.extensions);
  object["recursive"] = source.recursive;
  return object;
}

std::string TextOf(const base::json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::vector<std::string> TextsOf(const base::json::object& object, std::string_view name) {
  std::vector<std::string> texts;
  const auto* value = object.if_contains(name);
  if (value == nullptr || !value->is_array()) return texts;
  for (const auto& item : value->get_array()) {
    if (item.is_string()) texts.push_back(DecodePath(std::string_view(item.get_string())));
  }
  return texts;
}

NewJob StageJob(std::string_view kind) {
  NewJob job;
  job.kind = kind;
  job.queue = kind;
  job.max_crashes = kAnyNumberOfCrashes;
  return job;
}

}  // namespace

Result<DocumentsSpec> SpecOfInputs(std::span<const std::string> inputs) {
  if (inputs.empty()) return fail(ErrorCode::kInvalidArgument, "no folder or file to read was named");
  DocumentsSpec spec;
  std::set<std::string> names;
  for (const std::string& input : inputs) {
    MILLRACE_ASSIGN(FileSource source, FileSourceOf(input));
    if (source.only.empty()) source.exclude = {".git", ".hg", ".svn"};
    if (names.insert(source.name).second) spec.sources.push_back(std::move(source));
  }
  spec.sources = WithoutCovered(std::move(spec.sources));
  return spec;
}

Result<DocumentsSpec> ResolveSpec(DocumentsSpec spec) {
  if (spec.sources.empty()) return fail(ErrorCode::kInvalidArgument, "a documents run needs at least one source");
  std::set<std::string> names;
  for (FileSource& source : spec.sources) {
    MILLRACE_ASSIGN(source, ResolveFileSource(std::move(source)));
    if (!names.insert(source.name).second) {
      return fail(ErrorCode::kInvalidArgument, "two sources are named '" + source.name + "'; give each its own name");
    }
  }
  return spec;
}

std::string SpecToJson(const DocumentsSpec& spec) {
  base::json::array sources;
  for (const FileSource& source : spec.sources) sources.push_back(SourceToJson(source));
  return base::ToJson(base::json::object{{"sources", std::move(sources)}});
}

Result<DocumentsSpec> SpecFromJson(std::string_view json) {
  MILLRACE_ASSIGN(const base::json::value value, base::ParseJson(json));
  const auto* object = value.if_object();
  const auto* sources = object == nullptr ? nullptr : object->if_contains("sources");
  if (sources == nullptr || !sources->is_array()) {
    return fail(ErrorCode::kInvalidArgument, "a documents run's spec has no list of sources");
  }
  DocumentsSpec spec;
  for (const auto& item : sources->get_array()) {
    if (!item.is_object() || TextOf(item.get_object(), "type") != "file") {
      return fail(ErrorCode::kInvalidArgument, "a documents run's spec has a source that is not of type 'file'");
    }
    const auto& fields = item.get_object();
    FileSource source;
    source.name = TextOf(fields, "name");
    source.base_path = DecodePath(TextOf(fields, "base_path"));
    source.only = DecodePath(TextOf(fields, "only"));
    source.include = TextsOf(fields, "include");
    source.exclude = TextsOf(fields, "exclude");
    source.extensions = TextsOf(fields, "extensions");
    const auto* recursive = fields.if_contains("recursive");
    source.recursive = recursive == nullptr || !recursive->is_bool() || recursive->get_bool();
    if (source.name.empty() || source.base_path.empty()) {
      return fail(ErrorCode::kInvalidArgument, "a documents run's spec has a source without name or base_path");
    }
    spec.sources.push_back(std::move(source));
  }
  return spec;
}

storage::RunSpec DocumentsRun(const DocumentsSpec& spec) {
  std::vector<engine::SourceFields> identity;
  for (const FileSource& source : spec.sources) {
    identity.push_back({{"source", base::ToJson(SourceToJson(source))}});
  }
  storage::RunSpec run;
  run.pipeline = kPipelineName;
  run.identity = engine::RunIdentity(kPipelineName, identity);
  run.spec = SpecToJson(spec);
  run.discovery = StageJob(kDiscoverKind);
  run.discovery.priority = Priority::kHigh;
  run.discovery.timeout = std::chrono::hours(24);
  run.finals.push_back(StageJob(kReportKind));
  run.finals.back().timeout = std::chrono::minutes(10);
  return run;
}

Result<storage::StartedRun> StartDocumentsRun(storage::Storage& storage, const DocumentsSpec& spec) {
  MILLRACE_ASSIGN(const DocumentsSpec resolved, ResolveSpec(spec));
  return storage.StartRun(DocumentsRun(resolved));
}

NewJob ParseJob(RunId run, std::string_view source, std::string_view path) {
  NewJob job = StageJob(kParseKind);
  job.args = "{\"source\":" + base::JsonQuote(source) + ",\"path\":" + base::JsonQuote(path) + "}";
  job.unique_key = std::string(kParseKind) + ":" + DocumentId(source, path);
  job.run_id = run;
  job.max_attempts = 4;
  job.timeout = std::chrono::minutes(10);
  return job;
}

}  // namespace millrace::documents
