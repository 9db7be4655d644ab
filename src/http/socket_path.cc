#include "http/socket_path.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace millrace::http {
namespace {

constexpr std::size_t kMost = sizeof(sockaddr_un::sun_path) - 1;

}  // namespace

Result<SocketPath> SocketPath::Of(const std::string& path) {
  SocketPath out;
  if (path.size() <= kMost) {
    out.text_ = path;
    return out;
  }
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const std::string name = path.substr(slash == std::string::npos ? 0 : slash + 1);
  out.folder_ = open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (out.folder_ < 0) {
    return fail(errno == EACCES ? ErrorCode::kPermission : ErrorCode::kNotFound,
                fmt::format("{}: cannot open the folder: {}", folder, std::strerror(errno)));
  }
  out.text_ = fmt::format("/proc/self/fd/{}/{}", out.folder_, name);
  if (out.text_.size() > kMost) {
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: the file name is too long for a socket; give the database a name of at most 70 bytes", path));
  }
  return out;
}

SocketPath::SocketPath(SocketPath&& other) noexcept
    : text_(std::move(other.text_)), folder_(std::exchange(other.folder_, -1)) {}

SocketPath& SocketPath::operator=(SocketPath&& other) noexcept {
  std::swap(text_, other.text_);
  std::swap(folder_, other.folder_);
  return *this;
}

SocketPath::~SocketPath() {
  if (folder_ >= 0) close(folder_);
}

}  // namespace millrace::http
