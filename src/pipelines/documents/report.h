// What became of the documents: counted over the sources of a run, for people and programs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "millrace/client.h"
#include "pipelines/documents/store.h"
#include "storage/storage.h"

namespace millrace::documents {

struct DocumentCount {
  std::int64_t documents = 0, elements = 0, bytes = 0;
};

// A document worth naming.
struct NamedDocument {
  std::string source, path, status, reason, message;
  std::int64_t bytes = 0;
  std::int64_t parse_us = 0;
};

struct DocumentsReport {
  RunId run_id = 0;
  std::int64_t generation = 0;
  Time at{};  // when it was counted
  std::vector<std::string> sources;
  // Of everything the sources hold now.
  DocumentCount total;
  std::map<std::string, DocumentCount> by_status, by_source;
  std::map<std::string, DocumentCount> by_media_type, by_language;  // parsed documents; "" when unknown
  std::map<std::string, std::int64_t> by_reason;                    // of all that were not parsed
  // Of this run alone.
  DocumentCount written;       // documents this run parsed or tried to, as they are now
  std::int64_t reread = 0;     // files touched but with the bytes they had: read again, not parsed
  std::int64_t unchanged = 0;  // documents it left as they were without reading their files: same size and time
  double seconds = 0;          // from its start until it finished, or until now
  double documents_per_second = 0, megabytes_per_second = 0;  // megabytes are 1,000,000 bytes
  std::int64_t dead = 0;                                      // its jobs that are dead letters
  std::vector<NamedDocument> slowest;                         // at most 10, slowest first, of those parsed in this run
  std::vector<NamedDocument> failed;                          // at most 100, in order of source and path
  std::int64_t failed_left_out = 0;                           // failed ones beyond those
};

// Counts now. kNotFound if there is no such run, kInvalidArgument if it is none of documents.
Result<DocumentsReport> RunReport(storage::Storage& storage, RunId run);

// Counts a file of this run that was read again and had the bytes it had. Belongs in the transaction that completes its
// job.
Result<void> CountReread(const StoreSession& session, RunId run);

// Keeps a report for later readers, in place of an earlier one of its run.
Result<void> KeepReport(const StoreSession& session, const DocumentsReport& report, std::string_view json);

// On one line, members in a fixed order.
std::string ReportToJson(const DocumentsReport& report);

// Some lines for people, each ended; without colours.
std::string ReportToText(const DocumentsReport& report);

// How far a run is, from its counters alone: cheap enough to be asked several times a second.
struct DocumentsProgress {
  bool listed = false;          // discovery has seen every file
  std::int64_t discovered = 0;  // documents to parse that discovery has found so far
  std::int64_t done = 0;        // of these, finished well (or recorded as a warning)
  std::int64_t failed = 0;      // of these, dead letters
  std::int64_t open = 0;        // of these, not finished
  bool finished = false;        // the run is over
};

// kNotFound if there is no such run.
Result<DocumentsProgress> ProgressOfRun(storage::Storage& storage, RunId run);

}  // namespace millrace::documents
