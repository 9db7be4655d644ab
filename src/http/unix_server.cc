// The only file that includes Beast: it costs seconds and hundreds of megabytes to compile.
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wtsan"  // Asio's fences, of which this sanitizer knows nothing
#endif
#include "http/unix_server.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <climits>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "http/socket_path.h"

namespace millrace::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using Protocol = asio::local::stream_protocol;
using Socket = Protocol::socket;
using Stream = beast::basic_stream<Protocol, asio::any_io_executor>;
using boost::system::error_code;

constexpr std::chrono::milliseconds kDrain{1000};

bhttp::response<bhttp::string_body> ToWire(ApiResponse response, unsigned version, bool keep_alive, bool head) {
  bhttp::response<bhttp::string_body> out(static_cast<bhttp::status>(response.status), version);
  out.set(bhttp::field::content_type, response.content_type);
  out.set(bhttp::field::cache_control, "no-store");
  for (const auto& [name, value] : response.headers) out.set(name, value);
  const std::size_t size = response.body.size();
  if (!head) out.body() = std::move(response.body);
  out.keep_alive(keep_alive);
  out.content_length(size);
  return out;
}

// Counts what is under way, and lets one wait until nothing is.
class Gauge {
 public:
  bool Enter(int most) {
    const std::lock_guard lock(mutex_);
    if (count_ >= most) return false;
    ++count_;
    return true;
  }
  void Leave() {
    const std::lock_guard lock(mutex_);
    --count_;
    changed_.notify_all();
  }
  void WaitUntilEmpty(std::chrono::milliseconds most) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, most, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

struct Shared {
  RequestHandler handler;
  ServerLimits limits;
  Gauge connections;
  Gauge requests;  // read, and not yet answered
  std::atomic<bool> stopping = false;
};

// One connection: reads a request, answers it, reads the next. Lives as long as an operation on it is under way; all of
// them run on the stream's strand.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Socket socket, std::shared_ptr<Shared> shared, bool counted)
      : stream_(std::move(socket)),
        shared_(std::move(shared)),
        counted_(counted),
        buffer_(shared_->limits.header_bytes * 2) {}
  ~Session() {
    SetBusy(false);
    if (counted_) shared_->connections.Leave();
  }

  void Read() {
    SetBusy(false);
    if (shared_->stopping) return;
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(shared_->limits.header_bytes));
    parser_->body_limit(shared_->limits.body_bytes);
    stream_.expires_after(std::chrono::duration_cast<std::chrono::nanoseconds>(shared_->limits.read_timeout));
    bhttp::async_read(stream_, buffer_, *parser_,
                      [self = shared_from_this()](error_code error, std::size_t) { self->OnRead(error); });
  }

  // Answers without reading.
  void Refuse(ApiResponse response) { Write(ToWire(std::move(response), 11, false, false)); }

 private:
  void OnRead(error_code error) {
    if (error == bhttp::error::body_limit) {
      return Refuse(ProblemResponse(
          {ErrorCode::kLimitExceeded, fmt::format("the body is larger than {} bytes", shared_->limits.body_bytes)}));
    }
    if (error == bhttp::error::header_limit || error == bhttp::error::buffer_overflow) {
      return Refuse(ProblemResponse(431, ErrorCode::kLimitExceeded,
                                    fmt::format("the header is larger than {} bytes", shared_->limits.header_bytes)));
    }
    if (error == beast::error::timeout || error == bhttp::error::end_of_stream) return;
    if (error.category() == bhttp::make_error_code(bhttp::error::bad_method).category() &&
        error != bhttp::error::partial_message) {
      return Refuse(ProblemResponse({ErrorCode::kInvalidArgument, "not an HTTP request: " + error.message()}));
    }
    if (!error) Answer();
  }

  void SetBusy(bool busy) {
    if (busy && !busy_) (void)shared_->requests.Enter(INT_MAX);
    if (!busy && busy_) shared_->requests.Leave();
    busy_ = busy;
  }

  void Answer() {
    SetBusy(true);
    auto& message = parser_->get();
    const bool head = message.method() == bhttp::verb::head;
    ApiRequest request;
    request.method = std::string(message.method_string());
    request.body = std::move(message.body());
    const std::string target(message.target());
    auto parsed = ParseTarget(target, request);
    ApiResponse response = parsed ? shared_->handler(request) : ProblemResponse(parsed.error());
    Write(ToWire(std::move(response), message.version(), message.keep_alive() && !shared_->stopping, head));
  }

  void Write(bhttp::response<bhttp::string_body> response) {
    response_ = std::move(response);
    stream_.expires_after(std::chrono::duration_cast<std::chrono::nanoseconds>(shared_->limits.write_timeout));
    serializer_.emplace(response_);
    bhttp::async_write(stream_, *serializer_, [self = shared_from_this()](error_code error, std::size_t) {
      self->SetBusy(false);
      if (error) return;
      if (self->response_.keep_alive()) return self->Read();
      error_code ignored;
      self->stream_.socket().shutdown(Socket::shutdown_send, ignored);
    });
  }

  Stream stream_;
  std::shared_ptr<Shared> shared_;
  const bool counted_;
  bool busy_ = false;
  beast::flat_buffer buffer_;
  std::optional<bhttp::request_parser<bhttp::string_body>> parser_;
  bhttp::response<bhttp::string_body> response_;
  std::optional<bhttp::response_serializer<bhttp::string_body>> serializer_;
};

Error SystemError(int number, const std::string& path, std::string_view doing) {
  const ErrorCode code = number == EACCES || number == EPERM ? ErrorCode::kPermission
                         : number == EROFS                   ? ErrorCode::kReadOnly
                         : number == ENOSPC                  ? ErrorCode::kDiskFull
                                                             : ErrorCode::kIo;
  return {code, fmt::format("{}: {}: {}", path, doing, std::strerror(number))};
}

}  // namespace

struct UnixServer::Impl {
  explicit Impl(std::string where, SocketPath short_path, int threads)
      : path(std::move(where)),
        socket_path(std::move(short_path)),
        context(threads),
        acceptor(asio::make_strand(context)) {}

  Result<void> Listen() {
    // Bound under another name with the right mode, then moved: nobody ever connects to a half-made socket.
    const std::string draft = socket_path.text() + "~";
    unlink(draft.c_str());
    error_code error;
    acceptor.open(Protocol(), error);
    if (error) return fail(SystemError(error.value(), path, "cannot make a socket"));
    const mode_t before = umask(0177);
    acceptor.bind(Protocol::endpoint(draft), error);
    umask(before);
    if (error) return fail(SystemError(error.value(), path, "cannot bind the socket"));
    acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return fail(SystemError(error.value(), path, "cannot listen"));
    struct stat status {};
    if (stat(draft.c_str(), &status) == 0) inode = status.st_ino;
    if (rename(draft.c_str(), socket_path.text().c_str()) != 0) {
      const int number = errno;
      unlink(draft.c_str());
      return fail(SystemError(number, path, "cannot put the socket in place"));
    }
    return {};
  }

  void Accept() {
    acceptor.async_accept(asio::make_strand(context), [this](error_code error, Socket socket) {
      if (error == asio::error::operation_aborted || shared->stopping) return;
      if (!error) {
        const bool room = shared->connections.Enter(shared->limits.connections);
        auto session = std::make_shared<Session>(std::move(socket), shared, room);
        if (room) {
          session->Read();
        } else {
          session->Refuse(
              ProblemResponse({ErrorCode::kDatabaseUnavailable, "too many connections at once; try again"}));
        }
      }
      Accept();
    });
  }

  ~Impl() {
    shared->stopping = true;
    struct stat status {};
    if (stat(socket_path.text().c_str(), &status) == 0 && status.st_ino == inode) unlink(socket_path.text().c_str());
    shared->requests.WaitUntilEmpty(kDrain);
    context.stop();
    for (std::thread& thread : threads) thread.join();
  }

  const std::string path;
  SocketPath socket_path;
  ino_t inode = 0;
  std::shared_ptr<Shared> shared = std::make_shared<Shared>();
  asio::io_context context;
  asio::basic_socket_acceptor<Protocol, asio::strand<asio::io_context::executor_type>> acceptor;
  std::vector<std::thread> threads;
};

UnixServer::UnixServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
UnixServer::~UnixServer() = default;

Result<std::unique_ptr<UnixServer>> UnixServer::Start(const std::string& path, RequestHandler handler,
                                                      ServerLimits limits) {
  auto socket = SocketPath::Of(path + "~");
  if (!socket) return fail(socket.error());
  socket = SocketPath::Of(path);
  if (!socket) return fail(socket.error());
  auto impl = std::make_unique<Impl>(path, std::move(*socket), limits.threads);
  impl->shared->handler = std::move(handler);
  impl->shared->limits = limits;
  if (auto listening = impl->Listen(); !listening) return fail(listening.error());
  impl->Accept();
  for (int i = 0; i < limits.threads; ++i)
    impl->threads.emplace_back([&context = impl->context] {
      pthread_setname_np(pthread_self(), "unix-server");
      context.run();
    });
  return std::unique_ptr<UnixServer>(new UnixServer(std::move(impl)));
}

}  // namespace millrace::http
