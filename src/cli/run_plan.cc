#include "cli/run_plan.h"

#include <fmt/format.h>

#include <filesystem>

namespace millrace::cli {
namespace {

bool IsUrl(const std::string& text) { return text.find("://") != std::string::npos; }

documents::FileSource ToSource(const runtime::FileSourceConfig& config) {
  documents::FileSource source;
  source.name = config.name;
  source.base_path = config.base_path;
  source.include = config.include;
  source.exclude = config.exclude;
  source.extensions = config.extensions;
  source.recursive = config.recursive;
  return source;
}

}  // namespace

Result<RunPlan> ReadRunPlan(const runtime::Config& config, std::vector<std::string> words) {
  RunPlan plan;
  if (!words.empty()) {
    std::error_code ignored;
    const bool named = config.FindPipeline(words[0]) != nullptr || words[0] == documents::kPipelineName;
    if (named) {
      plan.pipeline = words[0];
      words.erase(words.begin());
    } else if (!IsUrl(words[0]) && !std::filesystem::exists(words[0], ignored)) {
      std::string known(documents::kPipelineName);
      for (const auto& pipeline : config.pipelines()) {
        if (pipeline.name != known) known += ", " + pipeline.name;
      }
      return fail(ErrorCode::kNotFound,
                  fmt::format("'{}' is neither a pipeline (known: {}) nor a folder or file", words[0], known));
    }
  }
  for (const std::string& word : words) {
    if (IsUrl(word))
      return fail(ErrorCode::kUnsupported,
                  fmt::format("{}: this version reads folders and files, not addresses", word));
  }
  plan.inputs = std::move(words);
  const runtime::PipelineConfig* pipeline = config.FindPipeline(plan.pipeline);
  if (plan.inputs.empty() && (pipeline == nullptr || pipeline->sources.empty())) {
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("what should the pipeline '{}' read? Name folders, or sources in the config", plan.pipeline));
  }
  return plan;
}

Result<documents::DocumentsSpec> SpecOfPlan(const runtime::Config& config, const RunPlan& plan) {
  if (!plan.inputs.empty()) return documents::SpecOfInputs(plan.inputs);
  documents::DocumentsSpec spec;
  for (const std::string& name : config.FindPipeline(plan.pipeline)->sources) {
    if (const auto* source = config.FindSource(name)) spec.sources.push_back(ToSource(*source));
  }
  return documents::ResolveSpec(std::move(spec));
}

}  // namespace millrace::cli
