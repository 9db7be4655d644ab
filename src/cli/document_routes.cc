#include "cli/document_routes.h"

#include <fmt/format.h>

#include <charconv>

#include "base/try.h"
#include "http/views.h"
#include "pipelines/documents/report.h"
#include "pipelines/documents/search.h"

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
  router.Add("GET", "/api/v1/runs/{id}/report",
             [&storage](const auto&, const http::PathValues& path) { return Report(storage, path); });
}

}  // namespace millrace::cli
