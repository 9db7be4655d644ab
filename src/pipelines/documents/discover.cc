// The discover handler: a merge of two sorted streams, the files of a source and the documents the store has of it.
#include <chrono>
#include <utility>

#include "base/try.h"
#include "pipelines/documents/handlers.h"
#include "pipelines/documents/known_sources.h"
#include "pipelines/documents/record_job.h"
#include "pipelines/documents/sources/overlap.h"
#include "pipelines/documents/store.h"

namespace millrace::documents {
namespace {

constexpr int kKnownPage = 512;
constexpr auto kPatience = std::chrono::milliseconds(200);  // between looks at another run

// The documents of a source in order of path, a page at a time.
class KnownCursor {
 public:
  KnownCursor(storage::Storage& storage, std::string source) : storage_(storage), source_(std::move(source)) {}

  // The next one, or null at the end. Valid until Pop.
  Result<const KnownDocument*> Peek() {
    if (at_ == page_.size() && !ended_) {
      MILLRACE_TRY(storage_.Read([&](SqlSession& sql) -> Result<void> {
        MILLRACE_ASSIGN(page_, ReadKnown({storage_, sql}, source_, after_, kKnownPage));
        return {};
      }));
      at_ = 0;
      ended_ = page_.empty();
      if (!ended_) after_ = page_.back().path;
    }
    return at_ < page_.size() ? &page_[at_] : nullptr;
  }
  void Pop() { ++at_; }

 private:
  storage::Storage& storage_;
  std::string source_, after_;
  std::vector<KnownDocument> page_;
  std::size_t at_ = 0;
  bool ended_ = false;
};

DocumentStatus StatusOf(const FileEntry& entry) {
  return entry.reason == "unreadable" ? DocumentStatus::kFailed : DocumentStatus::kSkipped;
}

// A readable file against what is known of it.
bool NeedsParsing(const KnownDocument& known, const FileEntry& entry, const FileSource& source) {
  if (known.parser_version != kParserVersion || known.status == DocumentStatus::kSkipped) return true;
  if (known.stamp != FileStamp{entry.size, entry.mtime_ns}) return true;
  if (known.reason == "internal") return true;
  // Written to while it was parsed.
  if (known.content_hash.empty() && known.status != DocumentStatus::kFailed) return true;
  // Permissions change without a trace in size or time.
  return known.reason == "unreadable" && OpenEntry(source, entry.path).has_value();
}

// One source's share of a discovery.
class SourceDiscovery {
 public:
  SourceDiscovery(Context& context, DocumentsContext& documents, const FileSource& source, EarlierSources earlier)
      : context_(context),
        documents_(documents),
        source_(source),
        earlier_(std::move(earlier)),
        run_(context.job().run_id),
        known_(documents.storage(), source.name),
        records_(run_, source.name) {}

  Result<void> Run() {
    auto listing = FileListing::Open(source_);
    if (!listing) return BaseUnreadable(listing.error());
    while (true) {
      MILLRACE_ASSIGN(const auto entries, (*listing)->Next(documents_.options().chunk, context_.stop_token()));
      if (entries.empty()) break;
      for (const FileEntry& entry : entries) MILLRACE_TRY(Visit(entry));
      MILLRACE_TRY(Flush());
      listed_ += entries.size();
      context_.progress(0, "listed " + std::to_string(listed_) + " files of " + source_.name);
    }
    MILLRACE_TRY(RemoveUntil(std::nullopt));
    return Flush();
  }

 private:
  // Its documents stay: not to see them is not to see that they are gone.
  Result<void> BaseUnreadable(const Error& error) {
    FileEntry entry;
    entry.path = "./";
    entry.reason = "unreadable";
    entry.message = error.message;
    context_.log(LogLevel::kError, "source cannot be read: " + error.message);
    records_.Note(std::move(entry));
    return Flush();
  }

  Result<void> Visit(const FileEntry& entry) {
    if (entry.reason == "vanished" || earlier_.Have(entry.path)) return {};
    MILLRACE_TRY(RemoveUntil(entry.path));
    MILLRACE_ASSIGN(const KnownDocument* known, known_.Peek());
    if (known != nullptr && known->path != entry.path) known = nullptr;
    if (!entry.reason.empty()) {
      if (entry.path.ends_with('/')) unread_folder_ = entry.path;
      const bool same = known != nullptr && known->status == StatusOf(entry) && known->reason == entry.reason &&
                        known->message == entry.message && known->stamp == FileStamp{entry.size, entry.mtime_ns};
      if (!same) records_.Note(entry);
    } else if (known == nullptr || NeedsParsing(*known, entry, source_)) {
      jobs_.push_back(ParseJob(run_, source_.name, entry.path));
    }
    if (known != nullptr) known_.Pop();
    return {};
  }

  // Documents before `path` that the listing passed over are deleted files, but for those in folders that could not be
  // listed.
  Result<void> RemoveUntil(const std::optional<std::string>& path) {
    while (true) {
      MILLRACE_ASSIGN(const KnownDocument* known, known_.Peek());
      if (known == nullptr || (path && known->path >= *path)) return {};
      const bool kept =
          !unread_folder_.empty() && known->path != unread_folder_ && known->path.starts_with(unread_folder_);
      if (!kept) records_.Remove(known->path);
      known_.Pop();
    }
  }

  Result<void> Flush() {
    for (NewJob& job : records_.Take()) jobs_.push_back(std::move(job));
    const std::vector<NewJob> jobs = std::exchange(jobs_, {});
    if (jobs.empty()) return {};
    return context_.emit_now(jobs);
  }

  Context& context_;
  DocumentsContext& documents_;
  const FileSource& source_;
  EarlierSources earlier_;
  RunId run_;
  KnownCursor known_;
  RecordBatch records_;
  std::vector<NewJob> jobs_;
  std::string unread_folder_;  // the latest; its path sorts right before all that is in it
  std::size_t listed_ = 0;
};

Outcome NotNow(const Error& error, const std::string& doing) {
  const bool waits = error.code == ErrorCode::kCancelled || error.code == ErrorCode::kDiskFull ||
                     error.code == ErrorCode::kDatabaseUnavailable;
  if (waits) return Outcome::snooze(std::chrono::seconds(error.code == ErrorCode::kCancelled ? 0 : 5));
  return Outcome::retry(doing + ": " + error.message);
}

}  // namespace

Outcome DiscoverDocuments(Context& context, DocumentsContext& documents) {
  const auto spec = documents.SpecOf(context.job().run_id);
  if (!spec) return Outcome::fatal(spec.error().message);
  // Another run's unfinished jobs keep ours from being added, and may end as we cannot know: their documents are looked
  // at when they are done.
  const auto other = RunAtWorkOn(documents.storage(), **spec, context.job().run_id);
  if (!other) return NotNow(other.error(), "looking for other runs");
  if (*other != 0) {
    context.progress(0, "waiting for documents of run " + std::to_string(*other));
    return Outcome::snooze(kPatience);
  }
  const std::vector<FileSource>& sources = (*spec)->sources;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    auto earlier = EarlierSources::Of(sources, i);
    if (!earlier) return Outcome::fatal(earlier.error().message);
    const auto done = SourceDiscovery(context, documents, sources[i], std::move(*earlier)).Run();
    if (!done) return NotNow(done.error(), "discovery of '" + sources[i].name + "'");
  }
  context.discovery_done();
  return Outcome::done();
}

}  // namespace millrace::documents
