#include "http/unix_client.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include "http/socket_path.h"

namespace millrace::http {
namespace {

void InitialiseCurl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_ALL); });
}

// What a transfer collects.
struct Transfer {
  ApiResponse response;
  std::size_t limit = 0;
  bool too_large = false;
  std::function<void()> notice;  // to call at `notice_at`; empty when it was
  std::chrono::steady_clock::time_point notice_at;
};

std::size_t OnBody(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t bytes = size * count;
  if (transfer.response.body.size() + bytes > transfer.limit) {
    transfer.too_large = true;
    return 0;
  }
  transfer.response.body.append(data, bytes);
  return bytes;
}

// libcurl calls it about once a second, and whenever something moves.
int OnProgress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (transfer.notice && std::chrono::steady_clock::now() >= transfer.notice_at)
    std::exchange(transfer.notice, nullptr)();
  return 0;
}

std::size_t OnHeader(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  std::string_view line(data, size * count);
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  const std::size_t colon = line.find(':');
  if (colon != std::string_view::npos && transfer.response.headers.size() < 100) {
    std::string_view value = line.substr(colon + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    transfer.response.headers[std::string(line.substr(0, colon))] = std::string(value);
  }
  return size * count;
}

}  // namespace

struct UnixClient::Impl {
  std::string path;
  Options options;
  CURL* curl = nullptr;
  ~Impl() {
    if (curl != nullptr) curl_easy_cleanup(curl);
  }
};

UnixClient::UnixClient(std::string socket_path, Options options) : impl_(std::make_unique<Impl>()) {
  impl_->path = std::move(socket_path);
  impl_->options = std::move(options);
}
UnixClient::~UnixClient() = default;
UnixClient::UnixClient(UnixClient&&) noexcept = default;
UnixClient& UnixClient::operator=(UnixClient&&) noexcept = default;

namespace {

Error CurlError(CURLcode code, const Transfer& transfer, const std::string& path) {
  if (transfer.too_large)
    return {ErrorCode::kLimitExceeded, fmt::format("the answer is larger than {} bytes", transfer.limit)};
  if (code == CURLE_OPERATION_TIMEDOUT) return {ErrorCode::kTimeout, fmt::format("{}: no answer in time", path)};
  if (code == CURLE_COULDNT_CONNECT) {
    if (access(path.c_str(), F_OK) == 0 && access(path.c_str(), R_OK | W_OK) != 0) {
      return {ErrorCode::kPermission, fmt::format("{}: belongs to another user", path)};
    }
    return {ErrorCode::kNotFound, fmt::format("{}: nobody listens there", path)};
  }
  return {ErrorCode::kIo, fmt::format("{}: {}", path, curl_easy_strerror(code))};
}

long Milliseconds(Duration duration) {
  return static_cast<long>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

}  // namespace

Result<ApiResponse> UnixClient::Call(const ApiRequest& request) {
  InitialiseCurl();
  if (impl_->curl == nullptr) impl_->curl = curl_easy_init();
  if (impl_->curl == nullptr) return fail(ErrorCode::kIo, "libcurl does not start");
  CURL* curl = impl_->curl;
  auto socket = SocketPath::Of(impl_->path);
  if (!socket) return fail(socket.error());
  Transfer transfer;
  transfer.limit = impl_->options.max_response;
  transfer.notice = impl_->options.notice;
  transfer.notice_at = std::chrono::steady_clock::now() + impl_->options.notice_after;
  const std::string url = "http://millrace" + FormatTarget(request);
  curl_slist* headers = curl_slist_append(nullptr, "Content-Type: application/json");
  headers = curl_slist_append(headers, "Expect:");
  curl_easy_reset(curl);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket->text().c_str());
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, Milliseconds(impl_->options.connect_timeout));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, Milliseconds(impl_->options.timeout));
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, OnProgress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, OnBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, OnHeader);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  if (request.method == "POST") {
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  } else if (request.method != "GET") {
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  const CURLcode code = curl_easy_perform(curl);
  curl_slist_free_all(headers);
  if (code != CURLE_OK) return fail(CurlError(code, transfer, impl_->path));
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  const char* type = nullptr;
  curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
  transfer.response.status = static_cast<int>(status);
  transfer.response.content_type = type == nullptr ? "" : type;
  return std::move(transfer.response);
}

}  // namespace millrace::http
