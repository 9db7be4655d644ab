#include "http/message.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace millrace::http {
namespace {

constexpr std::array<std::pair<ErrorCode, int>, 16> kStatuses = {{{ErrorCode::kInvalidArgument, 400},
                                                                  {ErrorCode::kNotFound, 404},
                                                                  {ErrorCode::kUnknownKind, 422},
                                                                  {ErrorCode::kBadArgs, 422},
                                                                  {ErrorCode::kQueueFull, 429},
                                                                  {ErrorCode::kLeaseLost, 409},
                                                                  {ErrorCode::kConflict, 409},
                                                                  {ErrorCode::kOwned, 409},
                                                                  {ErrorCode::kReadOnly, 503},
                                                                  {ErrorCode::kDiskFull, 507},
                                                                  {ErrorCode::kDatabaseUnavailable, 503},
                                                                  {ErrorCode::kPermission, 403},
                                                                  {ErrorCode::kTimeout, 504},
                                                                  {ErrorCode::kCancelled, 503},
                                                                  {ErrorCode::kLimitExceeded, 413},
                                                                  {ErrorCode::kUnsupported, 501}}};

constexpr int kLastCode = static_cast<int>(ErrorCode::kInternal);

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// "queue_full" as "Queue full".
std::string Title(ErrorCode code) {
  std::string text(error_code_name(code));
  for (char& c : text) {
    if (c == '_') c = ' ';
  }
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

}  // namespace

std::string PercentEncode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

Result<std::string> PercentDecode(std::string_view text, bool plus_is_space) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const int high = i + 1 < text.size() ? HexDigit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
      if (high < 0 || low < 0)
        return fail(ErrorCode::kInvalidArgument, "a '%' in the address is not followed by two hex digits");
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

Result<void> ParseTarget(std::string_view target, ApiRequest& request) {
  if (!target.starts_with('/')) return fail(ErrorCode::kInvalidArgument, "the address does not begin with '/'");
  const std::size_t mark = target.find('?');
  request.path = std::string(target.substr(0, mark));
  if (mark == std::string_view::npos) return {};
  std::string_view rest = target.substr(mark + 1);
  while (!rest.empty()) {
    const std::size_t amp = rest.find('&');
    const std::string_view pair = rest.substr(0, amp);
    rest = amp == std::string_view::npos ? "" : rest.substr(amp + 1);
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    auto name = PercentDecode(pair.substr(0, equals), true);
    auto value = PercentDecode(equals == std::string_view::npos ? "" : pair.substr(equals + 1), true);
    if (!name) return fail(name.error());
    if (!value) return fail(value.error());
    request.query[std::move(*name)] = std::move(*value);
  }
  return {};
}

std::string FormatTarget(const ApiRequest& request) {
  std::string target = request.path;
  char separator = '?';
  for (const auto& [name, value] : request.query) {
    target += separator + PercentEncode(name) + "=" + PercentEncode(value);
    separator = '&';
  }
  return target;
}

ApiResponse JsonResponse(const base::json::value& body, int status) {
  return {status, "application/json", base::ToJson(body), {}};
}

int HttpStatus(ErrorCode code) {
  for (const auto& [known, status] : kStatuses) {
    if (known == code) return status;
  }
  return 500;
}

ApiResponse ProblemResponse(const Error& error) {
  return ProblemResponse(HttpStatus(error.code), error.code, error.message);
}

ApiResponse ProblemResponse(int status, ErrorCode code, std::string detail, base::json::object extra) {
  base::json::object body{{"type", fmt::format("urn:millrace:error:{}", error_code_name(code))},
                          {"title", Title(code)},
                          {"status", status},
                          {"detail", std::move(detail)},
                          {"code", error_code_name(code)}};
  for (auto& member : extra) body[member.key()] = std::move(member.value());
  ApiResponse response{status, "application/problem+json", base::ToJson(body), {}};
  if (status == 429) response.headers["Retry-After"] = "1";
  return response;
}

std::optional<Error> ErrorOf(const ApiResponse& response) {
  if (response.status >= 200 && response.status < 300) return std::nullopt;
  Error error{ErrorCode::kInternal, fmt::format("the answer has status {}", response.status)};
  const auto body = base::ParseJson(response.body);
  if (!body || !body->is_object()) return error;
  const auto* code = body->get_object().if_contains("code");
  const auto* detail = body->get_object().if_contains("detail");
  if (detail != nullptr && detail->is_string()) error.message = std::string(detail->get_string());
  if (code == nullptr || !code->is_string()) return error;
  for (int i = 0; i <= kLastCode; ++i) {
    if (error_code_name(static_cast<ErrorCode>(i)) == std::string_view{code->get_string()})
      error.code = static_cast<ErrorCode>(i);
  }
  return error;
}

}  // namespace millrace::http
