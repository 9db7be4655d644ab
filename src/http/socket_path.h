// A unix socket's path may be 107 bytes long; folders are not so short. A path that is too long is reached through its
// folder's descriptor: /proc/self/fd/N/name.
#pragma once

#include <string>

#include "millrace/error.h"

namespace millrace::http {

class SocketPath {
 public:
  // kNotFound or kPermission when the folder cannot be opened, kInvalidArgument when the file name itself is too long.
  static Result<SocketPath> Of(const std::string& path);
  SocketPath(SocketPath&& other) noexcept;
  SocketPath& operator=(SocketPath&& other) noexcept;
  ~SocketPath();

  // Short enough; valid as long as this object.
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  SocketPath() = default;
  std::string text_;
  int folder_ = -1;
};

}  // namespace millrace::http
