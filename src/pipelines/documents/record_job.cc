#include "pipelines/documents/record_job.h"

#include <chrono>
#include <utility>

#include "base/json.h"
#include "base/try.h"
#include "pipelines/documents/elements.h"
#include "pipelines/documents/pipeline.h"

namespace millrace::documents {
namespace {

constexpr std::size_t kMaxItems = 1024;
constexpr std::size_t kMaxBytes = 128 << 10;

Result<FileEntry> NoteOf(const base::json::value& item) {
  const auto* fields = item.if_array();
  const bool right = fields != nullptr && fields->size() == 5 && fields->at(0).is_string() &&
                     fields->at(1).is_string() && fields->at(2).is_string() && fields->at(3).is_int64() &&
                     fields->at(4).is_int64();
  if (!right) return fail(ErrorCode::kBadArgs, "args.note: expected lists of path, reason, message, size and time");
  FileEntry entry;
  entry.path = std::string_view(fields->at(0).get_string());
  entry.reason = std::string_view(fields->at(1).get_string());
  entry.message = std::string_view(fields->at(2).get_string());
  entry.size = fields->at(3).get_int64();
  entry.mtime_ns = fields->at(4).get_int64();
  return entry;
}

}  // namespace

void RecordBatch::Grow(std::size_t bytes) {
  bytes_ += bytes;
  if (bytes_ >= kMaxBytes || removed_.size() + noted_.size() >= kMaxItems) Close();
}

void RecordBatch::Remove(std::string path) {
  const std::size_t bytes = path.size();
  removed_.push_back(std::move(path));
  Grow(bytes);
}

void RecordBatch::Note(FileEntry entry) {
  const std::size_t bytes = entry.path.size() + entry.message.size() + 64;
  noted_.push_back(std::move(entry));
  Grow(bytes);
}

void RecordBatch::Close() {
  if (removed_.empty() && noted_.empty()) return;
  base::json::array removed, noted;
  for (std::string& path : removed_) removed.emplace_back(std::move(path));
  for (const FileEntry& e : noted_) noted.push_back(base::json::array{e.path, e.reason, e.message, e.size, e.mtime_ns});
  NewJob job;
  job.kind = kRecordKind;
  job.queue = kParseKind;  // the same lane as parsing: little work, and no worker type of its own
  job.args = base::ToJson(base::json::object{{"source", source_}, {"remove", removed}, {"note", noted}});
  job.unique_key = std::string(kRecordKind) + ":" + std::to_string(run_) + ":" + ContentHash(job.args);
  job.run_id = run_;
  job.max_attempts = 10;
  job.max_crashes = 1'000'000'000;
  jobs_.push_back(std::move(job));
  removed_.clear();
  noted_.clear();
  bytes_ = 0;
}

std::vector<NewJob> RecordBatch::Take() {
  Close();
  return std::exchange(jobs_, {});
}

Result<RecordArgs> ReadRecordArgs(std::string_view json) {
  auto value = base::ParseJson(json);
  if (!value || !value->is_object()) return fail(ErrorCode::kBadArgs, "args: expected an object");
  const auto& object = value->get_object();
  const auto* source = object.if_contains("source");
  const auto* removed = object.if_contains("remove");
  const auto* noted = object.if_contains("note");
  if (source == nullptr || !source->is_string()) return fail(ErrorCode::kBadArgs, "args.source: expected a string");
  if (removed == nullptr || !removed->is_array()) return fail(ErrorCode::kBadArgs, "args.remove: expected a list");
  if (noted == nullptr || !noted->is_array()) return fail(ErrorCode::kBadArgs, "args.note: expected a list");
  RecordArgs args;
  args.source = std::string_view(source->get_string());
  for (const auto& path : removed->get_array()) {
    if (!path.is_string()) return fail(ErrorCode::kBadArgs, "args.remove: expected strings");
    args.removed.emplace_back(std::string_view(path.get_string()));
  }
  for (const auto& item : noted->get_array()) {
    MILLRACE_ASSIGN(FileEntry entry, NoteOf(item));
    args.noted.push_back(std::move(entry));
  }
  return args;
}

}  // namespace millrace::documents
