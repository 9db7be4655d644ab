// What a process needs to work documents jobs: the parser children and the handlers.
#pragma once

#include <memory>

#include "cli/owner.h"
#include "millrace/worker.h"
#include "pipelines/documents/handlers.h"
#include "pipelines/documents/parser_pool.h"

namespace millrace::cli {

// The limits the configuration sets for parsing: documents.max_bytes, and memory and timeout of the parse stage.
documents::ParseLimits LimitsOf(const runtime::Config& config);

class DocumentsWorker {
 public:
  DocumentsWorker(Owner& owner, const runtime::Config& config);
  // Adds the pipeline's handlers; this object must outlive the worker.
  void Register(Worker& worker) { documents::RegisterDocuments(worker, context_); }

 private:
  std::unique_ptr<documents::ParserPool> pool_;
  documents::DocumentsContext context_;
};

}  // namespace millrace::cli
