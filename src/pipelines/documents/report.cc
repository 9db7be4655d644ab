#include "pipelines/documents/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/json.h"
#include "base/try.h"
#include "pipelines/documents/pipeline.h"

namespace millrace::documents {
namespace {

constexpr std::int64_t kMostFailed = 100;

void Add(DocumentCount& count, const DocumentCount& more) {
  count.documents += more.documents;
  count.elements += more.elements;
  count.bytes += more.bytes;
}

NamedDocument NamedOf(const SqlRow& row) {
  return {std::string(row.text(0)),
          std::string(row.text(1)),
          std::string(row.text(2)),
          std::string(row.text(3)),
          std::string(row.text(4)),
          row.integer(5),
          row.integer(6)};
}

Result<std::int64_t> CountedReread(const StoreSession& session, RunId run) {
  std::int64_t count = 0;
  const SqlValue key[] = {run};
  MILLRACE_TRY(session.sql.query(session.dialect.queries().reread, key, [&](const SqlRow& row) {
    count = row.integer(0);
    return false;
  }));
  return count;
}

// Adds a source's documents to the report.
Result<void> CountSource(const StoreSession& session, const std::string& source, DocumentsReport& report) {
  const Queries& queries = session.dialect.queries();
  const SqlValue of_source[] = {report.run_id, source};
  MILLRACE_TRY(session.sql.query(queries.count_source, of_source, [&](const SqlRow& row) {
    const std::string status(row.text(0)), reason(row.text(3));
    const DocumentCount count{row.integer(5), row.integer(6), row.integer(7)};
    Add(report.total, count);
    Add(report.by_status[status], count);
    Add(report.by_source[source], count);
    const bool of_run = row.integer(4) != 0;
    if (of_run && status != "skipped") Add(report.written, count);
    if (!of_run) report.unchanged += count.documents;
    if (status == "parsed") {
      Add(report.by_media_type[std::string(row.text(1))], count);
      Add(report.by_language[std::string(row.text(2))], count);
    } else {
      report.by_reason[reason] += count.documents;
    }
    return true;
  }));
  const SqlValue key[] = {source, report.run_id};
  MILLRACE_TRY(session.sql.query(queries.slowest_documents, key, [&](const SqlRow& row) {
    report.slowest.push_back(NamedOf(row));
    return true;
  }));
  const SqlValue some[] = {source, kMostFailed - static_cast<std::int64_t>(report.failed.size())};
  return session.sql.query(queries.failed_documents, some, [&](const SqlRow& row) {
    report.failed.push_back(NamedOf(row));
    return true;
  });
}

base::json::object CountToJson(const DocumentCount& count) {
  return {{"documents", count.documents}, {"elements", count.elements}, {"bytes", count.bytes}};
}

base::json::object CountsToJson(const std::map<std::string, DocumentCount>& counts) {
  base::json::object object;
  for (const auto& [name, count] : counts) object[name.empty() ? "unknown" : name] = CountToJson(count);
  return object;
}

base::json::array NamedToJson(const std::vector<NamedDocument>& list) {
  base::json::array array;
  for (const NamedDocument& d : list) {
    base::json::object object{{"source", d.source}, {"path", d.path}, {"status", d.status}};
    if (!d.reason.empty()) object["reason"] = d.reason;
    if (!d.message.empty()) object["message"] = d.message;
    object["bytes"] = d.bytes;
    object["parse_ms"] = static_cast<double>(d.parse_us) / 1000.0;
    array.push_back(std::move(object));
  }
  return array;
}

double Round(double value, double parts) { return std::round(value * parts) / parts; }

}  // namespace

Result<DocumentsReport> RunReport(storage::Storage& storage, RunId run) {
  MILLRACE_ASSIGN(const auto row, storage.GetRun(run));
  if (!row) return fail(ErrorCode::kNotFound, "there is no run " + std::to_string(run));
  MILLRACE_ASSIGN(const DocumentsSpec spec, SpecFromJson(row->spec));
  MILLRACE_ASSIGN(const Time now, storage.Now());
  DocumentsReport report;
  report.run_id = run;
  report.generation = row->generation;
  report.at = now;
  report.dead = row->counts[static_cast<int>(JobState::kDead)];
  MILLRACE_TRY(storage.Read([&](SqlSession& sql) -> Result<void> {
    for (const FileSource& source : spec.sources) {
      report.sources.push_back(source.name);
      MILLRACE_TRY(CountSource({storage, sql}, source.name, report));
    }
    MILLRACE_ASSIGN(report.reread, CountedReread({storage, sql}, run));
    // Some may have been parsed or removed after all.
    report.reread = std::min(report.reread, report.unchanged);
    report.unchanged -= report.reread;
    return {};
  }));
  const auto slower = [](const NamedDocument& a, const NamedDocument& b) { return a.parse_us > b.parse_us; };
  std::stable_sort(report.slowest.begin(), report.slowest.end(), slower);
  if (report.slowest.size() > 10) report.slowest.resize(10);
  if (const auto failed = report.by_status.find("failed"); failed != report.by_status.end()) {
    report.failed_left_out = failed->second.documents - static_cast<std::int64_t>(report.failed.size());
  }
  report.seconds = std::chrono::duration<double>(row->finished_at.value_or(now) - row->started_at).count();
  if (report.seconds > 0) {
    report.documents_per_second = static_cast<double>(report.written.documents) / report.seconds;
    report.megabytes_per_second = static_cast<double>(report.written.bytes) / 1e6 / report.seconds;
  }
  return report;
}

Result<void> CountReread(const StoreSession& session, RunId run) {
  const SqlValue key[] = {run};
  return session.sql.execute(session.dialect.queries().count_reread, key);
}

Result<void> KeepReport(const StoreSession& session, const DocumentsReport& report, std::string_view json) {
  const SqlValue values[] = {report.run_id, report.at.time_since_epoch().count(), json};
  return session.sql.execute(session.dialect.queries().keep_report, values);
}

std::string ReportToJson(const DocumentsReport& report) {
  base::json::object reasons;
  for (const auto& [reason, count] : report.by_reason) reasons[reason] = count;
  base::json::array sources;
  for (const std::string& source : report.sources) sources.emplace_back(source);
  base::json::object object{{"run_id", report.run_id},
                            {"generation", report.generation},
                            {"sources", std::move(sources)},
                            {"documents", report.total.documents},
                            {"elements", report.total.elements},
                            {"bytes", report.total.bytes},
                            {"by_status", CountsToJson(report.by_status)},
                            {"by_reason", std::move(reasons)},
                            {"by_source", CountsToJson(report.by_source)},
                            {"by_media_type", CountsToJson(report.by_media_type)},
                            {"by_language", CountsToJson(report.by_language)}};
  object["run"] = base::json::object{{"documents", report.written.documents},
                                     {"elements", report.written.elements},
                                     {"bytes", report.written.bytes},
                                     {"reread", report.reread},
                                     {"unchanged", report.unchanged},
                                     {"dead_letters", report.dead},
                                     {"seconds", Round(report.seconds, 1000)},
                                     {"documents_per_second", Round(report.documents_per_second, 10)},
                                     {"megabytes_per_second", Round(report.megabytes_per_second, 1000)}};
  object["slowest"] = NamedToJson(report.slowest);
  object["failed"] = NamedToJson(report.failed);
  object["failed_left_out"] = report.failed_left_out;
  return base::ToJson(object);
}

std::string ReportToText(const DocumentsReport& report) {
  const auto of_status = [&](const char* name) {
    const auto found = report.by_status.find(name);
    return found == report.by_status.end() ? DocumentCount{} : found->second;
  };
  std::string out =
      fmt::format("documents   {} parsed, {} unsupported, {} failed, {} skipped\n", of_status("parsed").documents,
                  of_status("unsupported").documents, of_status("failed").documents, of_status("skipped").documents);
  out += fmt::format("elements    {}\n", report.total.elements);
  out += fmt::format("this run    {} documents, {:.1f} MB in {:.1f} s: {:.1f} docs/s, {:.2f} MB/s\n",
                     report.written.documents, static_cast<double>(report.written.bytes) / 1e6, report.seconds,
                     report.documents_per_second, report.megabytes_per_second);
  out +=
      fmt::format("            {} unchanged, {} touched but with the same content\n", report.unchanged, report.reread);
  for (const auto& [type, count] : report.by_media_type) {
    out += fmt::format("  {:<56} {:>7} documents {:>9} elements\n", type.empty() ? "unknown type" : type,
                       count.documents, count.elements);
  }
  if (!report.by_reason.empty()) out += "not parsed\n";
  for (const auto& [reason, count] : report.by_reason) out += fmt::format("  {:<56} {:>7}\n", reason, count);
  if (!report.slowest.empty()) {
    const NamedDocument& slowest = report.slowest.front();
    out += fmt::format("slowest     {} ({:.1f} ms)\n", slowest.path, static_cast<double>(slowest.parse_us) / 1000);
  }
  return out;
}

Result<DocumentsProgress> ProgressOfRun(storage::Storage& storage, RunId run) {
  MILLRACE_ASSIGN(const auto row, storage.GetRun(run));
  if (!row) return fail(ErrorCode::kNotFound, "there is no run " + std::to_string(run));
  const auto count = [&](JobState state) { return row->counts[static_cast<int>(state)]; };
  DocumentsProgress progress;
  progress.listed = row->discovery_done;
  progress.finished = row->state != storage::RunState::kActive;
  // Discovery itself is one of the run's jobs, and so are the final stages.
  const std::int64_t discovering = row->discovery_done ? 0 : 1;
  const std::int64_t reporting = row->finals_started > 0 && !progress.finished ? 1 : 0;
  const std::int64_t others_done = 1 - discovering + row->finals_started - reporting;
  progress.open = std::max<std::int64_t>(0, row->open - discovering - reporting);
  progress.done = std::max<std::int64_t>(0, count(JobState::kCompleted) - others_done);
  progress.failed = count(JobState::kDead);
  progress.discovered = progress.open + progress.done + progress.failed + count(JobState::kCancelled);
  return progress;
}

}  // namespace millrace::documents
