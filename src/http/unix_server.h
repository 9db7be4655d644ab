// Serves the API over HTTP/1.1 on a unix socket beside the database file, for the other commands of this machine.
//
// The socket is the owner's alone (0600). Whoever owns the database's lock may replace a socket that a dead owner left;
// the server does not ask, so start it only with the storage open. Header, body, idle time and the number of
// connections are limited; a client that sends nonsense, or nothing, loses its connection and nothing else.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "http/message.h"
#include "millrace/job.h"

namespace millrace::http {

struct ServerLimits {
  std::size_t header_bytes = 16 << 10;
  std::size_t body_bytes = 16 << 20;
  Duration read_timeout =
      std::chrono::seconds(10);  // for one request to arrive whole, or to begin on a kept connection
  Duration write_timeout = std::chrono::seconds(30);  // for one response to be taken
  int connections = 64;                               // at once; further ones are answered 503
  int threads = 2;
};

// Called on the server's threads, several at once; must not throw.
using RequestHandler = std::function<ApiResponse(const ApiRequest&)>;

class UnixServer {
 public:
  // Binds, listens and serves until destroyed. kInvalidArgument when the path's file name is too long for a socket,
  // kPermission, kReadOnly, kIo; messages name the path.
  static Result<std::unique_ptr<UnixServer>> Start(const std::string& path, RequestHandler handler,
                                                   ServerLimits limits);
  static Result<std::unique_ptr<UnixServer>> Start(const std::string& path, RequestHandler handler) {
    return Start(path, std::move(handler), ServerLimits());
  }
  // Accepts nothing more, lets requests under way finish for up to a second, removes the socket if it is still this
  // server's.
  ~UnixServer();
  UnixServer(const UnixServer&) = delete;
  UnixServer& operator=(const UnixServer&) = delete;

  struct Impl;

 private:
  explicit UnixServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::http
