// The sources a database has documents of: to list them, to forget one, and to keep each file in one source when a
// later run names an outer or an inner folder. Failures are the database's (storage.h) unless said.
#pragma once

#include <cstdint>
#include <map>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/documents/pipeline.h"
#include "storage/storage.h"

namespace millrace::documents {

// A source, and what there is of it.
struct SourceSummary {
  FileSource source;  // as a run read it; only the name when that run is not known any more
  std::map<std::string, std::int64_t> by_status;
  std::int64_t documents = 0, elements = 0, bytes = 0;
  RunId last_run = 0;    // the latest that wrote one of its documents
  Time last_written{};   // when
  RunId active_run = 0;  // a run over it that is not over, else 0
};

// All of them in order of name. Takes time in proportion to the number of documents.
Result<std::vector<SourceSummary>> SummarizeSources(storage::Storage& storage);

// What ForgetSome removed, and whether anything is left.
struct Forgotten {
  std::int64_t documents = 0, elements = 0;
  bool more = false;
};

// Removes some documents of a source, with their elements and index entries, in one transaction that others do not wait
// long for; to be called until nothing is left. kNotFound if there is none of that name; kConflict while a run over it
// has open jobs, which would bring documents back.
Result<Forgotten> ForgetSome(storage::Storage& storage, std::string_view source);

// A spec in which each file belongs to one source.
struct MergedSpec {
  DocumentsSpec spec;
  std::vector<std::string> notes;  // for the person who named the inputs: which source reads them instead
};

// Replaces those sources that are named after their path and lie in one the database knows by that one, so that files
// keep the identity they have; leaves out sources that others of the spec cover.
Result<MergedSpec> MergeWithKnown(storage::Storage& storage, const DocumentsSpec& spec);

// Removes what a run over `spec` took over from known sources named after a path within it: documents whose file now is
// one of the spec's, or is gone. In small transactions; doing it again does no harm. kCancelled.
Result<void> RemoveTakenOver(storage::Storage& storage, const DocumentsSpec& spec, std::stop_token stop);

// A run with unfinished jobs that may still write documents of the spec's sources, or of sources these take over: 0 if
// there is none. Runs that were started after `run` count with their documents only, not with their discovery, so that
// no two discoveries wait for each other.
Result<RunId> RunAtWorkOn(storage::Storage& storage, const DocumentsSpec& spec, RunId run);

}  // namespace millrace::documents
