// The documents pipeline: discover -> parse -> report, over one or more sources, as a run of the engine.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/documents/sources/file_source.h"
#include "storage/storage.h"

namespace millrace::documents {

inline constexpr std::string_view kPipelineName = "documents";

// Kinds of its jobs. Each is also the name of the queue its jobs go through, so that worker types can serve stages.
inline constexpr std::string_view kDiscoverKind = "documents.discover";
inline constexpr std::string_view kParseKind = "documents.parse";
inline constexpr std::string_view kRecordKind = "documents.record";  // writes what discovery found without parsing
inline constexpr std::string_view kReportKind = "documents.report";

// What a run reads.
struct DocumentsSpec {
  std::vector<FileSource> sources;
};

// Sources of what a person typed: folders and files. A path named twice, in whatever spelling, counts once, and one
// that lies in another is read as a part of it. Version control folders (.git, .hg, .svn) in folders are left out.
// Fails as FileSourceOf, on the first that cannot be read; kInvalidArgument without inputs.
Result<DocumentsSpec> SpecOfInputs(std::span<const std::string> inputs);

// Resolves and checks configured sources: each needs its own name. Fails as ResolveFileSource, and with
// kInvalidArgument.
Result<DocumentsSpec> ResolveSpec(DocumentsSpec spec);

// A spec as JSON, with paths as EncodePath's text, and back (kInvalidArgument).
std::string SpecToJson(const DocumentsSpec& spec);
Result<DocumentsSpec> SpecFromJson(std::string_view json);

// The engine's run for a resolved spec. Its identity is that of its sources.
storage::RunSpec DocumentsRun(const DocumentsSpec& spec);

// Starts a run, or joins the active one over the same sources. Fails as ResolveSpec and Storage::StartRun.
Result<storage::StartedRun> StartDocumentsRun(storage::Storage& storage, const DocumentsSpec& spec);

// A job that parses one document of a source. At most one such job is unfinished at a time.
NewJob ParseJob(RunId run, std::string_view source, std::string_view path);

}  // namespace millrace::documents
