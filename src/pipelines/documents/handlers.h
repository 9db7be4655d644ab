// The handlers of the documents pipeline.
//
// discover lists each source and, side by side in the same order, what the store knows of it; so it emits parse jobs
// for new and changed files only, finds deleted ones, and holds one chunk of either in memory. It writes nothing but
// jobs, all fenced; killed at any moment and run again it comes to the same jobs. parse reads one file and replaces its
// document in the transaction that completes the job. record writes what discovery found that needs no parsing: deleted
// documents, and entries that cannot be read. report is the run's final stage: it removes what the run took over from
// sources within its own, then counts.
//
// One file is one document, and at most one job parses it at a time, whatever run the job belongs to. So a discovery
// first waits for the jobs of other runs over its sources (RunAtWorkOn): what these leave, it finds itself.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "millrace/handler.h"
#include "millrace/worker.h"
#include "pipelines/documents/parser_pool.h"
#include "pipelines/documents/pipeline.h"
#include "storage/storage.h"

namespace millrace::documents {

// What the handlers share. Thread-safe. Storage and pool must outlive it.
class DocumentsContext {
 public:
  struct Options {
    std::int64_t max_bytes = 256ll << 20;  // of a document; above it the document fails with "too_large"
    std::size_t chunk = 256;               // entries listed, compared and emitted at a time
  };
  DocumentsContext(storage::Storage& storage, ParserPool& pool) : DocumentsContext(storage, pool, Options()) {}
  DocumentsContext(storage::Storage& storage, ParserPool& pool, Options options)
      : storage_(storage), pool_(pool), options_(options) {}

  [[nodiscard]] storage::Storage& storage() const { return storage_; }
  [[nodiscard]] ParserPool& pool() const { return pool_; }
  [[nodiscard]] const Options& options() const { return options_; }

  // The spec of a run, read once and kept. kNotFound if there is no such run, kInvalidArgument if it is none of
  // documents.
  Result<std::shared_ptr<const DocumentsSpec>> SpecOf(RunId run);

 private:
  storage::Storage& storage_;
  ParserPool& pool_;
  Options options_;
  std::mutex mutex_;
  std::map<RunId, std::shared_ptr<const DocumentsSpec>> specs_;
};

// Registers all of the pipeline's kinds. `documents` must outlive the worker.
void RegisterDocuments(Worker& worker, DocumentsContext& documents);

// The handlers themselves, for RegisterDocuments and tests.
struct ParseArgs {
  std::string source, path;
};
void read_args(ArgsReader& reader, ParseArgs& args);

Outcome DiscoverDocuments(Context& context, DocumentsContext& documents);
Outcome ParseDocument(const ParseArgs& args, Context& context, DocumentsContext& documents);
Outcome RecordDocuments(Context& context, DocumentsContext& documents);
Outcome ReportDocuments(Context& context, DocumentsContext& documents);

}  // namespace millrace::documents
