#include "cli/document_routes.h"

#include <fmt/format.h>

#include <charconv>

#include "base/clock.h"
#include "base/try.h"
#include "http/views.h"
#include "pipelines/documents/known_sources.h"
#include "pipelines/documents/report.h"
#include "pipelines/documents/search.h"
#include "pipelines/documents/sources/path_text.h"

namespace millrace::cli {
namespace {

namespace json = base::json;

Result<int> ReadNumber(const std::string& name, const std::string& text) {
  int value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("{}: '{}' is not a number", name, text));
  }
  return value;
}

Result<documents::SearchRequest> ReadSearch(const http::ApiRequest& request) {
  documents::SearchRequest search;
  for (const auto& [name, value] : request.query) {
    if (name == "q") {
      search.query = value;
    } else if (name == "type") {
      search.type = value;
    } else if (name == "source") {
      search.source = value;
    } else if (name == "media_type") {
      search.media_type = value;
    } else if (name == "mark_begin") {
      search.mark_begin = value;
    } else if (name == "mark_end") {
      search.mark_end = value;
    } else if (name == "limit" || name == "offset") {
      MILLRACE_ASSIGN(const int number, ReadNumber(name, value));
      (name == "limit" ? search.limit : search.offset) = number;
    } else {
      return fail(
          ErrorCode::kInvalidArgument,
          fmt::format("{}: unknown parameter; known: q, limit, offset, type, source, media_type, mark_begin, mark_end",
                      name));
    }
  }
  return search;
}

http::ApiResponse Search(storage::Storage& storage, const http::ApiRequest& request) {
  const auto search = ReadSearch(request);
  if (!search) return http::ProblemResponse(search.error());
  const auto answer = documents::Search(storage, *search);
  if (!answer) return http::ProblemResponse(answer.error());
  json::array hits;
  for (const documents::SearchHit& hit : answer->hits) {
    hits.push_back({{"document_id", hit.document_id},
                    {"source", hit.source},
                    {"path", hit.path},
                    {"title", hit.title},
                    {"media_type", hit.media_type},
                    {"element_id", hit.element_id},
                    {"element_index", hit.element_index},
                    {"type", hit.type},
                    {"location", hit.location},
                    {"snippet", hit.snippet},
                    {"score", hit.score}});
  }
  json::object body{{"hits", std::move(hits)}, {"more", answer->more}};
  if (answer->more) body["next_offset"] = search->offset + static_cast<int>(answer->hits.size());
  return http::JsonResponse(body);
}

// Where a source reads, as text; empty when no run knows it any more.
std::string PathText(const documents::FileSource& source) {
  std::string path = source.base_path;
  if (!source.only.empty()) path += (path.ends_with('/') ? "" : "/") + source.only;
  return documents::EncodePath(path);
}

http::ApiResponse Sources(storage::Storage& storage) {
  const auto summaries = documents::SummarizeSources(storage);
  if (!summaries) return http::ProblemResponse(summaries.error());
  json::array sources;
  for (const documents::SourceSummary& summary : *summaries) {
    json::object by_status;
    for (const auto& [status, count] : summary.by_status) by_status[status] = count;
    json::object source{{"name", summary.source.name},
                        {"type", "file"},
                        {"path", PathText(summary.source)},
                        {"documents", summary.documents},
                        {"elements", summary.elements},
                        {"bytes", summary.bytes},
                        {"by_status", std::move(by_status)},
                        {"last_run", summary.last_run},
                        {"last_written", base::FormatTime(summary.last_written)}};
    source["active_run"] = summary.active_run == 0 ? json::value() : json::value(summary.active_run);
    sources.push_back(std::move(source));
  }
  return http::JsonResponse(json::object{{"sources", std::move(sources)}});
}

http::ApiResponse ForgetSource(storage::Storage& storage, const http::ApiRequest& request) {
  const auto body = http::ReadBody(request, {"source"});
  if (!body) return http::ProblemResponse(body.error());
  const auto* name = body->if_contains("source");
  if (name == nullptr || !name->is_string()) {
    return http::ProblemResponse({ErrorCode::kInvalidArgument, "source: the name of a source is needed"});
  }
  const auto forgotten = documents::ForgetSome(storage, std::string_view(name->get_string()));
  if (!forgotten) return http::ProblemResponse(forgotten.error());
  return http::JsonResponse(
      json::object{{"documents", forgotten->documents}, {"elements", forgotten->elements}, {"more", forgotten->more}});
}

// Starts a run over the spec's sources, or joins the one at work on them.
http::ApiResponse StartRun(storage::Storage& storage, const http::ApiRequest& request) {
  const auto body = http::ReadBody(request, {"spec"});
  if (!body) return http::ProblemResponse(body.error());
  const auto* given = body->if_contains("spec");
  const auto spec = documents::SpecFromJson(given == nullptr ? "{}" : base::ToJson(*given));
  if (!spec) return http::ProblemResponse(spec.error());
  const auto merged = documents::MergeWithKnown(storage, *spec);
  if (!merged) return http::ProblemResponse(merged.error());
  const auto run = documents::StartDocumentsRun(storage, merged->spec);
  if (!run) return http::ProblemResponse(run.error());
  return http::JsonResponse(json::object{{"run_id", run->id},
                                         {"generation", run->generation},
                                         {"joined", run->joined},
                                         {"notes", json::array(merged->notes.begin(), merged->notes.end())}});
}

http::ApiResponse Report(storage::Storage& storage, const http::PathValues& path) {
  const auto id = http::ReadId(path.at("id"), "run id");
  if (!id) return http::ProblemResponse(id.error());
  const auto report = documents::RunReport(storage, *id);
  if (!report) return http::ProblemResponse(report.error());
  return {200, "application/json", documents::ReportToJson(*report), {}};
}

}  // namespace

void AddDocumentRoutes(http::Router& router, storage::Storage& storage) {
  router.Add("GET", "/api/v1/documents/search",
             [&storage](const http::ApiRequest& request, const auto&) { return Search(storage, request); });
  router.Add("GET", "/api/v1/documents/sources", [&storage](const auto&, const auto&) { return Sources(storage); });
  router.Add("POST", "/api/v1/documents/sources/forget",
             [&storage](const http::ApiRequest& request, const auto&) { return ForgetSource(storage, request); });
  router.Add("POST", "/api/v1/documents/runs",
             [&storage](const http::ApiRequest& request, const auto&) { return StartRun(storage, request); });
  router.Add("GET", "/api/v1/runs/{id}/report",
             [&storage](const auto&, const http::PathValues& path) { return Report(storage, path); });
}

}  // namespace millrace::cli
