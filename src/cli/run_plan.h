// What `run` and `runs start` are to read, as the command line and the configuration say.
#pragma once

#include <string>
#include <vector>

#include "pipelines/documents/pipeline.h"
#include "runtime/config/config.h"

namespace millrace::cli {

// What to read, and which words of the command line said so (for saying how to resume).
struct RunPlan {
  std::string pipeline = std::string(documents::kPipelineName);
  std::vector<std::string> inputs;
};

// Of the words [PIPELINE] [INPUT...]. kNotFound for a word that is neither a pipeline nor there, kUnsupported for an
// address, kInvalidArgument when nothing says what to read.
Result<RunPlan> ReadRunPlan(const runtime::Config& config, std::vector<std::string> words);

// What the plan names, else what its pipeline's configuration names. Fails as documents::SpecOfInputs and ResolveSpec.
Result<documents::DocumentsSpec> SpecOfPlan(const runtime::Config& config, const RunPlan& plan);

}  // namespace millrace::cli
