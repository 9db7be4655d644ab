// Sends API requests to the process that owns a database, through its unix socket.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "http/message.h"
#include "millrace/job.h"

namespace millrace::http {

// Keeps its connection between calls. Not thread-safe.
class UnixClient {
 public:
  struct Options {
    Duration connect_timeout = std::chrono::seconds(2);
    Duration timeout = std::chrono::seconds(60);  // of one whole call
    std::size_t max_response = 64 << 20;
    // Called once in a call that has been going on for so long, on the caller's thread.
    Duration notice_after = std::chrono::seconds(2);
    std::function<void()> notice;
  };
  explicit UnixClient(std::string socket_path) : UnixClient(std::move(socket_path), Options()) {}
  UnixClient(std::string socket_path, Options options);
  ~UnixClient();
  UnixClient(UnixClient&&) noexcept;
  UnixClient& operator=(UnixClient&&) noexcept;

  // Any answer, also one that reports an error, is a value. kNotFound: nobody listens there (any more); kPermission;
  // kTimeout; kLimitExceeded; kIo.
  Result<ApiResponse> Call(const ApiRequest& request);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::http
