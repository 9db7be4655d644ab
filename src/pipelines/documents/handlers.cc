#include "pipelines/documents/handlers.h"

#include <chrono>
#include <utility>

#include "base/try.h"
#include "pipelines/documents/known_sources.h"
#include "pipelines/documents/record_job.h"
#include "pipelines/documents/report.h"
#include "pipelines/documents/store.h"

namespace millrace::documents {
namespace {

// An error that says nothing about the document: the job is put off or tried again.
Outcome NotNow(const Error& error) {
  if (error.code == ErrorCode::kCancelled) return Outcome::snooze(Duration(0));
  if (error.code == ErrorCode::kDiskFull || error.code == ErrorCode::kDatabaseUnavailable) {
    return Outcome::snooze(std::chrono::seconds(5));
  }
  return Outcome::retry(error.message);
}

// Completes the job with what `body` writes; its outcome if that fails.
Outcome CompleteIn(Context& context, DocumentsContext& documents,
                   const std::function<Result<void>(const StoreSession&)>& body, Outcome outcome = Outcome::done()) {
  auto done = context.complete_in(
      [&](Transaction& transaction) {
        return body({documents.storage(), transaction.sql()});
      },
      outcome);
  return done ? std::move(outcome) : NotNow(done.error());
}

// One attempt at one document.
class Parsing {
 public:
  Parsing(const ParseArgs& args, const FileSource& source, Context& context, DocumentsContext& documents)
      : source_(source), context_(context), documents_(documents) {
    record_.source = args.source;
    record_.path = args.path;
    record_.run_id = context.job().run_id;
  }

  Outcome Run() {
    auto file = OpenEntry(source_, record_.path);
    if (!file) return NotOpened(file.error());
    auto stamp = StampOf(*file);
    if (!stamp) return Failed("unreadable", stamp.error().message);
    record_.stamp = *stamp;
    if (stamp->size > documents_.options().max_bytes) {
      return Failed("too_large", "the file has " + std::to_string(stamp->size) + " bytes, more than the limit of " +
                                     std::to_string(documents_.options().max_bytes));
    }
    auto hash = HashFile(*file, context_.stop_token());
    if (!hash && hash.error().code == ErrorCode::kCancelled) return NotNow(hash.error());
    if (!hash) return Failed("unreadable", hash.error().message);
    record_.content_hash = *hash;
    auto unchanged = Unchanged();
    if (!unchanged) return NotNow(unchanged.error());
    if (*unchanged) {
      return CompleteIn(context_, documents_, [&](const StoreSession& session) -> Result<void> {
        MILLRACE_TRY(RefreshDocument(session, record_.source, record_.path, record_.stamp));
        return CountReread(session, record_.run_id);
      });
    }
    return Parse(*file);
  }

 private:
  Outcome NotOpened(const Error& error) {
    if (error.code == ErrorCode::kNotFound) {  // deleted since it was listed
      return CompleteIn(context_, documents_, [&](const StoreSession& session) {
        return RemoveDocument(session, record_.source, record_.path);
      });
    }
    // As discovery sees it, so that the same failure is not tried again in every run.
    if (auto stamp = StampOfEntry(source_, record_.path)) record_.stamp = *stamp;
    if (error.code == ErrorCode::kPermission) return Failed("unreadable", error.message);
    return MachineFailed(error);
  }

  // Whether the store has what these bytes give. A failure that may not come again is tried again, as is a document
  // whose job somebody started again by hand.
  Result<bool> Unchanged() {
    std::optional<KnownDocument> known;
    MILLRACE_TRY(documents_.storage().Read([&](SqlSession& sql) -> Result<void> {
      MILLRACE_ASSIGN(known, FindKnown({documents_.storage(), sql}, record_.source, record_.path));
      return {};
    }));
    if (!known || known->parser_version != kParserVersion || known->content_hash != record_.content_hash) return false;
    if (known->status == DocumentStatus::kParsed || known->status == DocumentStatus::kUnsupported) return true;
    const bool lasting = known->reason == "encrypted" || known->reason == "broken";
    return lasting && known->stamp != record_.stamp;
  }

  Outcome Parse(const OpenFile& file) {
    const auto start = std::chrono::steady_clock::now();
    const std::string name = record_.path.substr(record_.path.rfind('/') + 1);
    auto outcome = documents_.pool().Parse({file.fd(), name}, context_.stop_token());
    if (!outcome) return MachineFailed(outcome.error());
    const auto took = std::chrono::steady_clock::now() - start;
    record_.parse_us = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
    // Written to meanwhile: what was parsed is kept, but nothing may later take its hash for that of the file.
    auto stamp = StampOf(file);
    if (!stamp || *stamp != record_.stamp) record_.content_hash.clear();
    if (outcome->document == nullptr) return Refused(outcome->failure);
    if (outcome->document->element_count() > kMaxElements) {
      return Failed("too_large", "the document has more than 16,777,216 elements");
    }
    return Write(outcome->document.get(), Outcome::done());
  }

  Outcome Refused(const ParseFailure& failure) {
    if (failure.reason != "unsupported_format") return Failed(failure.reason, failure.message);
    record_.status = DocumentStatus::kUnsupported;
    record_.reason = failure.reason;
    record_.message = failure.message;
    return Write(nullptr, Outcome::done());
  }

  // The document's own fault: no further attempt helps.
  Outcome Failed(std::string reason, std::string message) {
    record_.status = DocumentStatus::kFailed;
    record_.reason = std::move(reason);
    record_.message = std::move(message);
    return Write(nullptr, Outcome::fatal(record_.reason + ": " + record_.message));
  }

  // Not the document's fault; but in the end it is accounted for all the same.
  Outcome MachineFailed(const Error& error) {
    const bool waits = error.code == ErrorCode::kCancelled || error.code == ErrorCode::kLeaseLost ||
                       error.code == ErrorCode::kDiskFull || error.code == ErrorCode::kDatabaseUnavailable;
    const Job& job = context_.job();
    if (waits || job.max_attempts == 0 || job.attempt < job.max_attempts) return NotNow(error);
    return Failed("internal", error.message);
  }

  Outcome Write(ParsedDocument* parsed, Outcome outcome) {
    auto now = documents_.storage().Now();
    if (!now) return NotNow(now.error());
    record_.now = *now;
    auto done = context_.complete_in(
        [&](Transaction& transaction) {
          return ReplaceDocument({documents_.storage(), transaction.sql()}, record_, parsed);
        },
        outcome);
    if (done) return outcome;
    return parsed != nullptr ? MachineFailed(done.error()) : NotNow(done.error());
  }

  const FileSource& source_;
  Context& context_;
  DocumentsContext& documents_;
  DocumentRecord record_;
};

DocumentRecord RecordOf(const RecordArgs& args, const FileEntry& entry, RunId run, Time now) {
  DocumentRecord record;
  record.source = args.source;
  record.path = entry.path;
  record.stamp = {entry.size, entry.mtime_ns};
  record.status = entry.reason == "unreadable" ? DocumentStatus::kFailed : DocumentStatus::kSkipped;
  record.reason = entry.reason;
  record.message = entry.message;
  record.run_id = run;
  record.now = now;
  return record;
}

}  // namespace

Result<std::shared_ptr<const DocumentsSpec>> DocumentsContext::SpecOf(RunId run) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = specs_.find(run); found != specs_.end()) return found->second;
  }
  MILLRACE_ASSIGN(const auto row, storage_.GetRun(run));
  if (!row)
    return fail(ErrorCode::kNotFound, "there is no run " + std::to_string(run) + "; documents jobs belong to one");
  MILLRACE_ASSIGN(DocumentsSpec spec, SpecFromJson(row->spec));
  auto shared = std::make_shared<const DocumentsSpec>(std::move(spec));
  const std::lock_guard lock(mutex_);
  if (specs_.size() >= 64) specs_.erase(specs_.begin());
  specs_.insert_or_assign(run, shared);
  return std::shared_ptr<const DocumentsSpec>(std::move(shared));
}

void read_args(ArgsReader& reader, ParseArgs& args) {
  reader.required("source", args.source).required("path", args.path);
}

Outcome ParseDocument(const ParseArgs& args, Context& context, DocumentsContext& documents) {
  const auto spec = documents.SpecOf(context.job().run_id);
  if (!spec) {
    const ErrorCode code = spec.error().code;
    const bool never = code == ErrorCode::kNotFound || code == ErrorCode::kInvalidArgument;
    return never ? Outcome::fatal(spec.error().message) : NotNow(spec.error());
  }
  for (const FileSource& source : (*spec)->sources) {
    if (source.name == args.source) return Parsing(args, source, context, documents).Run();
  }
  return Outcome::fatal("args.source: the run has no source named '" + args.source + "'");
}

Outcome RecordDocuments(Context& context, DocumentsContext& documents) {
  const auto args = ReadRecordArgs(context.job().args);
  if (!args) return Outcome::fatal(args.error().message);
  const auto now = documents.storage().Now();
  if (!now) return NotNow(now.error());
  const RunId run = context.job().run_id;
  return CompleteIn(context, documents, [&](const StoreSession& session) -> Result<void> {
    for (const std::string& path : args->removed) MILLRACE_TRY(RemoveDocument(session, args->source, path, run));
    for (const FileEntry& entry : args->noted) {
      MILLRACE_TRY(ReplaceDocument(session, RecordOf(*args, entry, run, *now), nullptr));
    }
    return {};
  });
}

Outcome ReportDocuments(Context& context, DocumentsContext& documents) {
  const auto spec = documents.SpecOf(context.job().run_id);
  if (!spec) return NotNow(spec.error());
  const auto removed = RemoveTakenOver(documents.storage(), **spec, context.stop_token());
  if (!removed) return NotNow(removed.error());
  const auto report = RunReport(documents.storage(), context.job().run_id);
  if (!report) return NotNow(report.error());
  const std::string json = ReportToJson(*report);
  return CompleteIn(
      context, documents, [&](const StoreSession& session) { return KeepReport(session, *report, json); },
      Outcome::done(json));
}

void RegisterDocuments(Worker& worker, DocumentsContext& documents) {
  worker.handle_raw(std::string(kDiscoverKind),
                    [&](Context& context) { return DiscoverDocuments(context, documents); });
  worker.handle<ParseArgs>(std::string(kParseKind), [&](const ParseArgs& args, Context& context) {
    return ParseDocument(args, context, documents);
  });
  worker.handle_raw(std::string(kRecordKind), [&](Context& context) { return RecordDocuments(context, documents); });
  worker.handle_raw(std::string(kReportKind), [&](Context& context) { return ReportDocuments(context, documents); });
}

}  // namespace millrace::documents
