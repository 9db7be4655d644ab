// Jobs of kind documents.record: what discovery found that needs no parsing, in batches.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "millrace/job.h"
#include "pipelines/documents/sources/file_source.h"

namespace millrace::documents {

// Collects what is to be recorded of one source and makes jobs of it, each well below the limit on a job's args.
class RecordBatch {
 public:
  RecordBatch(RunId run, std::string source) : run_(run), source_(std::move(source)) {}
  // The document of this path is to go.
  void Remove(std::string path);
  // This entry could not be read, for its `reason`.
  void Note(FileEntry entry);
  // What was collected, as jobs; afterwards there is nothing.
  std::vector<NewJob> Take();

 private:
  void Grow(std::size_t bytes);
  void Close();
  RunId run_;
  std::string source_;
  std::vector<std::string> removed_;
  std::vector<FileEntry> noted_;
  std::size_t bytes_ = 0;
  std::vector<NewJob> jobs_;
};

struct RecordArgs {
  std::string source;
  std::vector<std::string> removed;
  std::vector<FileEntry> noted;
};

// Reads a job's args. kBadArgs, naming the member.
Result<RecordArgs> ReadRecordArgs(std::string_view json);

}  // namespace millrace::documents
