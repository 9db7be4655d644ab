// A request and a response of the API as plain values, whatever carries them: the unix socket, or a call in this
// process.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "millrace/error.h"

namespace millrace::http {

struct ApiRequest {
  std::string method = "GET";
  std::string path;                          // as on the wire: percent-encoded, without query
  std::map<std::string, std::string> query;  // decoded; of parameters given twice the last one counts
  std::string body;                          // JSON, or empty
};

struct ApiResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::map<std::string, std::string> headers;  // further ones, such as Retry-After
};

// Percent-encodes everything but unreserved characters, so that the text can stand as one path segment or query value.
std::string PercentEncode(std::string_view text);
// kInvalidArgument for a bad escape. `plus_is_space`: in queries.
Result<std::string> PercentDecode(std::string_view text, bool plus_is_space);

// "/a/b?x=1&y=2" into path and query. kInvalidArgument for a bad escape, or when it does not begin with '/'.
Result<void> ParseTarget(std::string_view target, ApiRequest& request);
// And back.
std::string FormatTarget(const ApiRequest& request);

// A 200 with a JSON body, or the status given.
ApiResponse JsonResponse(const base::json::value& body, int status = 200);

// An error as RFC 9457 problem+json: type, title, status, detail and the error's stable name as `code`.
ApiResponse ProblemResponse(const Error& error);
ApiResponse ProblemResponse(int status, ErrorCode code, std::string detail, base::json::object extra = {});
// The status an error is answered with, such as 404 for kNotFound.
int HttpStatus(ErrorCode code);

// The error a response stands for; nullopt for a success (2xx).
std::optional<Error> ErrorOf(const ApiResponse& response);

}  // namespace millrace::http
