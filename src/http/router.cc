#include "http/router.h"

#include <fmt/format.h>

#include <exception>
#include <optional>
#include <set>

namespace millrace::http {
namespace {

std::vector<std::string> Segments(std::string_view path) {
  std::vector<std::string> out;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    if (slash != 0) out.emplace_back(path.substr(0, slash));
    path = slash == std::string_view::npos ? "" : path.substr(slash + 1);
  }
  return out;
}

std::optional<PathValues> Match(const std::vector<std::string>& pattern, const std::vector<std::string>& path) {
  if (pattern.size() != path.size()) return std::nullopt;
  PathValues values;
  for (std::size_t i = 0; i < path.size(); ++i) {
    auto decoded = PercentDecode(path[i], false);
    if (!decoded) return std::nullopt;
    if (pattern[i].starts_with('{')) {
      values[pattern[i].substr(1, pattern[i].size() - 2)] = std::move(*decoded);
    } else if (pattern[i] != *decoded) {
      return std::nullopt;
    }
  }
  return values;
}

}  // namespace

void Router::Add(std::string method, std::string pattern, Endpoint endpoint) {
  routes_.push_back({std::move(method), Segments(pattern), std::move(endpoint)});
}

ApiResponse Router::Handle(const ApiRequest& request) const {
  const std::vector<std::string> path = Segments(request.path);
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  std::set<std::string> allowed;
  for (const Route& route : routes_) {
    auto values = Match(route.segments, path);
    if (!values) continue;
    allowed.insert(route.method);
    if (route.method != method) continue;
    try {
      return route.endpoint(request, *values);
    } catch (const std::exception& error) {
      return ProblemResponse(500, ErrorCode::kInternal, error.what());
    }
  }
  if (allowed.empty())
    return ProblemResponse(404, ErrorCode::kNotFound, fmt::format("no such resource: {}", request.path));
  ApiResponse response = ProblemResponse(
      405, ErrorCode::kInvalidArgument,
      fmt::format("{} does not take {}; it takes {}", request.path, request.method, fmt::join(allowed, ", ")));
  response.headers["Allow"] = fmt::format("{}", fmt::join(allowed, ", "));
  return response;
}

}  // namespace millrace::http
