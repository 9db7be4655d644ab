#include "cli/documents_worker.h"

#include <climits>
#include <filesystem>

namespace millrace::cli {
namespace {

// The PDF helper is installed beside this program.
std::string PdfHelper() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "millrace-pdf" : (self.parent_path() / "millrace-pdf").string();
}

documents::DocumentsContext::Options OptionsOf(const runtime::Config& config) {
  documents::DocumentsContext::Options options;
  options.max_bytes = config.Get("documents.max_bytes").number;
  return options;
}

}  // namespace

documents::ParseLimits LimitsOf(const runtime::Config& config) {
  documents::ParseLimits limits;
  limits.max_bytes = config.Get("documents.max_bytes").number;
  for (const runtime::PipelineConfig& pipeline : config.pipelines()) {
    for (const runtime::StageConfig& stage : pipeline.stages) {
      if (stage.handler != documents::kParseKind) continue;
      if (stage.memory > 0) limits.memory = stage.memory;
      if (stage.timeout.count() > 0) limits.wall = limits.cpu = stage.timeout;
    }
  }
  return limits;
}

DocumentsWorker::DocumentsWorker(Owner& owner, const runtime::Config& config)
    : pool_(documents::ParserPool::Create("/proc/self/exe", PdfHelper(), LimitsOf(config))),
      context_(owner.storage(), *pool_, OptionsOf(config)) {}

}  // namespace millrace::cli
