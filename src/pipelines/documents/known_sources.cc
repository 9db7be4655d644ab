#include "pipelines/documents/known_sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/json.h"
#include "base/try.h"
#include "pipelines/documents/sources/overlap.h"
#include "pipelines/documents/store.h"

namespace millrace::documents {
namespace {

constexpr int kPage = 256;
constexpr int kRuns = 1000;                       // looked through for active ones, newest first
constexpr std::int64_t kForgetElements = 20'000;  // about a tenth of a second
constexpr int kForgetDocuments = 200;

struct SizedDocument {
  std::string path;
  std::int64_t elements = 0;
};

// The first documents of a source, one more than are forgotten at a time.
Result<std::vector<SizedDocument>> ReadSizes(const StoreSession& session, std::string_view source) {
  std::vector<SizedDocument> page;
  const SqlValue values[] = {source, std::int64_t{kForgetDocuments + 1}};
  MILLRACE_TRY(session.sql.query(session.dialect.queries().document_sizes, values, [&](const SqlRow& row) {
    page.push_back({std::string(row.text(0)), row.integer(1)});
    return true;
  }));
  return page;
}

// The spec of a run of documents, if it is known.
std::optional<DocumentsSpec> SpecOfRun(storage::Storage& storage, RunId run) {
  const auto row = storage.GetRun(run);
  if (!row || !*row) return std::nullopt;
  auto spec = SpecFromJson((*row)->spec);
  if (!spec) return std::nullopt;
  return std::move(*spec);
}

// As one of a run's sources, if that run and it are known.
std::optional<FileSource> SourceOfRun(storage::Storage& storage, RunId run, const std::string& name) {
  const auto spec = SpecOfRun(storage, run);
  if (!spec) return std::nullopt;
  for (const FileSource& source : spec->sources) {
    if (source.name == name) return source;
  }
  return std::nullopt;
}

// Sources that have documents, as some run read them.
Result<std::vector<FileSource>> KnownSources(storage::Storage& storage) {
  std::vector<std::pair<std::string, RunId>> names;
  MILLRACE_TRY(storage.Read([&](SqlSession& sql) -> Result<void> {
    std::string after;
    for (bool more = true; more;) {
      more = false;
      const SqlValue key[] = {after};
      MILLRACE_TRY(sql.query(DialectOf(storage).queries().next_source, key, [&](const SqlRow& row) {
        names.emplace_back(row.text(0), row.integer(1));
        more = true;
        return false;
      }));
      if (more) after = names.back().first;
    }
    return {};
  }));
  std::vector<FileSource> known;
  for (const auto& [name, run] : names) {
    if (auto source = SourceOfRun(storage, run, name)) known.push_back(std::move(*source));
  }
  return known;
}

bool Names(const DocumentsSpec& spec, std::string_view name) {
  return std::any_of(spec.sources.begin(), spec.sources.end(), [&](const auto& source) { return source.name == name; });
}

// The source of the spec that takes over from `known`, or null.
const FileSource* Successor(const DocumentsSpec& spec, const FileSource& known) {
  if (!IsNamedByPath(known) || Names(spec, known.name)) return nullptr;
  for (const FileSource& source : spec.sources) {
    if (Covers(source, known)) return &source;
  }
  return nullptr;
}

// By source name, an active run with open jobs over it.
Result<std::map<std::string, RunId>> ActiveRuns(storage::Storage& storage) {
  MILLRACE_ASSIGN(const auto runs, storage.ListRuns(kRuns));
  std::map<std::string, RunId> active;
  for (const storage::RunRow& run : runs) {
    if (run.state != storage::RunState::kActive || run.open == 0 || run.pipeline != kPipelineName) continue;
    const auto spec = SpecFromJson(run.spec);
    if (!spec) continue;
    for (const FileSource& source : spec->sources) active.emplace(source.name, run.id);
  }
  return active;
}

// Tells which unfinished jobs of other runs may write documents of a spec's sources.
class Writers {
 public:
  Writers(storage::Storage& storage, const DocumentsSpec& spec) : storage_(storage), spec_(spec) {}

  bool Include(const Job& job) {
    auto found = touched_.find(job.run_id);
    if (found == touched_.end()) found = touched_.emplace(job.run_id, TouchedBy(job.run_id)).first;
    if (job.kind == kDiscoverKind) return !found->second.empty();
    const auto args = base::ParseJson(job.args);
    const auto* source = args && args->is_object() ? args->get_object().if_contains("source") : nullptr;
    return source != nullptr && source->is_string() && found->second.contains(std::string(source->get_string()));
  }

 private:
  std::set<std::string> TouchedBy(RunId run) {
    std::set<std::string> names;
    const auto other = SpecOfRun(storage_, run);
    if (!other) return names;
    for (const FileSource& source : other->sources) {
      if (Names(spec_, source.name) || Successor(spec_, source) != nullptr) names.insert(source.name);
    }
    return names;
  }

  storage::Storage& storage_;
  const DocumentsSpec& spec_;
  std::map<RunId, std::set<std::string>> touched_;  // by run, names of its sources that matter
};

bool IsGone(const FileSource& source, const std::string& path) {
  const auto stamp = StampOfEntry(source, path);
  return !stamp && stamp.error().code == ErrorCode::kNotFound;
}

// Removes documents of `known` that `successor` has now, or whose file is gone.
Result<void> TakeOver(storage::Storage& storage, const FileSource& known, const FileSource& successor,
                      const std::stop_token& stop) {
  std::string after;
  while (true) {
    if (stop.stop_requested()) return fail(ErrorCode::kCancelled, "asked to stop");
    std::vector<KnownDocument> page;
    MILLRACE_TRY(storage.Read([&](SqlSession& sql) -> Result<void> {
      MILLRACE_ASSIGN(page, ReadKnown({storage, sql}, known.name, after, kPage));
      return {};
    }));
    if (page.empty()) return {};
    after = page.back().path;
    MILLRACE_TRY(storage.Transact([&](storage::Transaction& transaction) -> Result<void> {
      const StoreSession session(storage, transaction.sql());
      for (const KnownDocument& document : page) {
        const auto path = PathIn(successor, known, document.path);
        MILLRACE_ASSIGN(const auto taken, FindKnown(session, successor.name, path.value_or("")));
        const bool gone = !taken && IsGone(known, document.path);
        if (taken || gone) MILLRACE_TRY(RemoveDocument(session, known.name, document.path));
      }
      return {};
    }));
  }
}

}  // namespace

Result<std::vector<SourceSummary>> SummarizeSources(storage::Storage& storage) {
  std::vector<SourceSummary> summaries;
  MILLRACE_TRY(storage.Read([&](SqlSession& sql) {
    return sql.query(DialectOf(storage).queries().summarize_sources, {}, [&](const SqlRow& row) {
      if (summaries.empty() || summaries.back().source.name != row.text(0)) {
        summaries.emplace_back().source.name = row.text(0);
      }
      SourceSummary& summary = summaries.back();
      summary.by_status[std::string(row.text(1))] = row.integer(2);
      summary.documents += row.integer(2);
      summary.elements += row.integer(3);
      summary.bytes += row.integer(4);
      summary.last_run = std::max(summary.last_run, row.integer(5));
      summary.last_written = std::max(summary.last_written, Time(Duration(row.integer(6))));
      return true;
    });
  }));
  MILLRACE_ASSIGN(const auto active, ActiveRuns(storage));
  for (SourceSummary& summary : summaries) {
    if (auto source = SourceOfRun(storage, summary.last_run, summary.source.name)) summary.source = std::move(*source);
    if (const auto found = active.find(summary.source.name); found != active.end()) summary.active_run = found->second;
  }
  return summaries;
}

Result<Forgotten> ForgetSome(storage::Storage& storage, std::string_view source) {
  MILLRACE_ASSIGN(const auto active, ActiveRuns(storage));
  if (const auto found = active.find(std::string(source)); found != active.end()) {
    return fail(ErrorCode::kConflict,
                fmt::format("run {} is at work on the source '{}' and would bring its documents back; let it end, or "
                            "cancel it: millrace runs cancel {}",
                            found->second, source, found->second));
  }
  Forgotten forgotten;
  bool known = false;
  MILLRACE_TRY(storage.Transact([&](storage::Transaction& transaction) -> Result<void> {
    forgotten = {};
    const StoreSession session(storage, transaction.sql());
    MILLRACE_ASSIGN(const auto page, ReadSizes(session, source));
    known = !page.empty();
    for (const SizedDocument& document : page) {
      forgotten.more = forgotten.documents == kForgetDocuments || forgotten.elements >= kForgetElements;
      if (forgotten.more) break;
      MILLRACE_TRY(RemoveDocument(session, source, document.path));
      forgotten.elements += document.elements;
      ++forgotten.documents;
    }
    return {};
  }));
  if (!known) {
    return fail(ErrorCode::kNotFound,
                fmt::format("there are no documents of a source '{}'; 'millrace sources list' shows them", source));
  }
  return forgotten;
}

Result<MergedSpec> MergeWithKnown(storage::Storage& storage, const DocumentsSpec& spec) {
  MILLRACE_ASSIGN(const auto known, KnownSources(storage));
  MergedSpec merged;
  std::set<std::string> names;
  for (const FileSource& source : spec.sources) {
    const FileSource* by = &source;
    for (const FileSource& outer : known) {
      if (IsNamedByPath(source) && outer.name != source.name && Covers(outer, source) && !Covers(*by, outer))
        by = &outer;
    }
    if (by != &source) {
      merged.notes.push_back(
          fmt::format("'{}' is part of the source '{}', which is read in its place", source.name, by->name));
    }
    if (names.insert(by->name).second) merged.spec.sources.push_back(*by);
  }
  merged.spec.sources = WithoutCovered(std::move(merged.spec.sources));
  return merged;
}

Result<void> RemoveTakenOver(storage::Storage& storage, const DocumentsSpec& spec, std::stop_token stop) {
  MILLRACE_ASSIGN(const auto known, KnownSources(storage));
  for (const FileSource& source : known) {
    if (const FileSource* successor = Successor(spec, source)) {
      MILLRACE_TRY(TakeOver(storage, source, *successor, stop));
    }
  }
  return {};
}

Result<RunId> RunAtWorkOn(storage::Storage& storage, const DocumentsSpec& spec, RunId run) {
  Writers writers(storage, spec);
  for (const std::string_view kind : {kDiscoverKind, kParseKind, kRecordKind}) {
    storage::JobFilter filter;
    filter.states = {JobState::kAvailable, JobState::kRunning, JobState::kRetryable, JobState::kScheduled};
    filter.kind = kind;
    filter.limit = kRuns;
    while (true) {
      MILLRACE_ASSIGN(const auto jobs, storage.ListJobs(filter));
      for (const Job& job : jobs) {
        const bool counts = job.run_id != 0 && (kind == kDiscoverKind ? job.run_id < run : job.run_id != run);
        if (counts && writers.Include(job)) return job.run_id;
      }
      if (static_cast<int>(jobs.size()) < filter.limit) break;
      filter.after_id = jobs.back().id;
    }
  }
  return RunId{0};
}

}  // namespace millrace::documents
