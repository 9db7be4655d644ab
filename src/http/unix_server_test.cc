// Server and client together, and clients that do not behave.
#include "http/unix_server.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <filesystem>
#include <fstream>
#include <thread>

#include "http/socket_path.h"
#include "http/unix_client.h"

namespace millrace::http {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class UnixServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/millrace-http-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/m.db.sock";
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  void Start(ServerLimits limits = {}, RequestHandler handler = Echo) {
    auto server = UnixServer::Start(path_, std::move(handler), limits);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }
  static ApiResponse Echo(const ApiRequest& request) {
    return {200, "text/plain", request.method + " " + FormatTarget(request) + " " + request.body, {{"X-Test", "yes"}}};
  }
  // A connection of our own, to misbehave on.
  int Connect() const {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }
  static void Write(int fd, const std::string& text) {
    std::size_t at = 0;
    while (at < text.size()) {
      const ssize_t size = send(fd, text.data() + at, text.size() - at, MSG_NOSIGNAL);
      if (size <= 0) return;  // the server has hung up: what the tests look at is its answer
      at += static_cast<std::size_t>(size);
    }
  }
  // Everything until the server closes the connection.
  static std::string ReadAll(int fd) {
    std::string out;
    char buffer[4096];
    ssize_t size = 0;
    while ((size = read(fd, buffer, sizeof(buffer))) > 0) out.append(buffer, static_cast<std::size_t>(size));
    close(fd);
    return out;
  }

  std::string folder_, path_;
  std::unique_ptr<UnixServer> server_;
};

TEST_F(UnixServerTest, AnswersOverOneKeptConnection) {
  Start();
  UnixClient client(path_);
  const auto first = client.Call({"GET", "/a%2Fb", {{"x", "1 2"}}, ""});
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->status, 200);
  EXPECT_EQ(first->body, "GET /a%2Fb?x=1%202 ");
  EXPECT_EQ(first->headers.at("X-Test"), "yes");
  const auto second = client.Call({"POST", "/p", {}, std::string(1 << 20, 'x')});
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->body.size(), (1u << 20) + std::string("POST /p ").size());
}

TEST_F(UnixServerTest, OnlyTheOwnerMayConnect) {
  Start();
  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(UnixServerTest, ReplacesAStaleSocketAndRemovesItsOwn) {
  std::ofstream(path_) << "left by a dead owner";
  Start();
  UnixClient client(path_);
  EXPECT_TRUE(client.Call({"GET", "/", {}, ""}));
  server_.reset();
  EXPECT_FALSE(std::filesystem::exists(path_));
  const auto gone = client.Call({"GET", "/", {}, ""});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::kNotFound);
}

TEST_F(UnixServerTest, LeavesANewerOwnersSocketAlone) {
  Start();
  auto newer = UnixServer::Start(path_, Echo);
  ASSERT_TRUE(newer);
  server_.reset();
  EXPECT_TRUE(UnixClient(path_).Call({"GET", "/", {}, ""}));
}

TEST_F(UnixServerTest, ServesLongPaths) {
  folder_ += "/" + std::string(120, 'd');
  std::filesystem::create_directories(folder_);
  path_ = folder_ + "/m.db.sock";
  Start();
  const auto answer = UnixClient(path_).Call({"GET", "/x", {}, ""});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->body, "GET /x ");
  const auto too_long = UnixServer::Start(folder_ + "/" + std::string(120, 'f'), Echo);
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(UnixServerTest, ServesSeveralAtOnce) {
  // Both requests must be inside the handler together for either to return.
  std::barrier both(2);
  Start({}, [&](const ApiRequest& request) {
    both.arrive_and_wait();
    return Echo(request);
  });
  std::atomic<int> answered = 0;
  std::thread other([&] { answered += UnixClient(path_).Call({"GET", "/1", {}, ""}).has_value() ? 1 : 0; });
  answered += UnixClient(path_).Call({"GET", "/2", {}, ""}).has_value() ? 1 : 0;
  other.join();
  EXPECT_EQ(answered, 2);
}

TEST_F(UnixServerTest, FinishesRequestsUnderWayWhenItStops) {
  std::barrier inside(2), go_on(2);
  Start({}, [&](const ApiRequest& request) {
    inside.arrive_and_wait();
    go_on.arrive_and_wait();
    return Echo(request);
  });
  std::optional<Result<ApiResponse>> answer;
  std::thread client([&] { answer = UnixClient(path_).Call({"GET", "/last", {}, ""}); });
  inside.arrive_and_wait();
  std::thread stopper([&] { server_.reset(); });
  go_on.arrive_and_wait();
  stopper.join();
  client.join();
  ASSERT_TRUE(answer->has_value()) << answer->error().message;
  EXPECT_EQ((*answer)->body, "GET /last ");
}

TEST_F(UnixServerTest, DeliversALargeResponseWholeWhenItStops) {
  const std::size_t size = 8 << 20;  // far more than the sockets hold
  Start({}, [&](const ApiRequest&) { return ApiResponse{200, "text/plain", std::string(size, 'x'), {}}; });
  const int fd = Connect();
  Write(fd, "GET / HTTP/1.1\r\n\r\n");
  std::string begin(100, '\0');
  ASSERT_EQ(recv(fd, begin.data(), begin.size(), MSG_WAITALL), static_cast<ssize_t>(begin.size()));
  std::thread stopper([&] { server_.reset(); });
  while (std::filesystem::exists(path_)) std::this_thread::yield();  // the stop is under way
  const std::string answer = begin + ReadAll(fd);
  stopper.join();
  EXPECT_THAT(begin, StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, size);
}

TEST_F(UnixServerTest, NonsenseIsA400AndTheEnd) {
  Start();
  for (const std::string& text :
       {std::string("\x16\x03\x01\x02garbage\r\n\r\n"), std::string("GET\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\nBad Header\r\n\r\n"), std::string("GET / HTTP/9.9\r\n\r\n"),
        std::string("POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n"),
        std::string("GET nowhere HTTP/1.1\r\nConnection: close\r\n\r\n")}) {
    const int fd = Connect();
    Write(fd, text);
    shutdown(fd, SHUT_WR);
    EXPECT_THAT(ReadAll(fd), StartsWith("HTTP/1.1 400")) << text;
  }
  EXPECT_TRUE(UnixClient(path_).Call({"GET", "/", {}, ""}));
}

TEST_F(UnixServerTest, AHugeHeaderIsRefused) {
  Start();
  const int fd = Connect();
  Write(fd, "GET / HTTP/1.1\r\nX: " + std::string(200'000, 'x') + "\r\n\r\n");
  EXPECT_THAT(ReadAll(fd), StartsWith("HTTP/1.1 431"));
}

TEST_F(UnixServerTest, AHeaderUpToTheLimitIsTaken) {
  Start();
  const auto send = [&](std::size_t block) {
    const int fd = Connect();
    std::string text = "GET /x HTTP/1.1\r\nConnection: close\r\n";
    // In fields of the size that proxies and cookies make.
    for (int i = 0; text.size() < block - 300; ++i) text += fmt::format("X-{}: {}\r\n", i, std::string(200, 'x'));
    Write(fd, text + "\r\n");
    return ReadAll(fd);
  };
  const std::string taken = send(12 << 10);
  EXPECT_THAT(taken, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(taken, HasSubstr("GET /x"));
  const std::string refused = send(20 << 10);
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(refused, HasSubstr("the header is larger than 16384 bytes"));
}

TEST_F(UnixServerTest, AHugeBodyIsRefusedByItsLengthAndAsItComes) {
  ServerLimits limits;
  limits.body_bytes = 1000;
  Start(limits);
  int fd = Connect();
  Write(fd, "POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n");
  EXPECT_THAT(ReadAll(fd), StartsWith("HTTP/1.1 413"));
  fd = Connect();
  Write(fd, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
  Write(fd, "400\r\n" + std::string(1024, 'x') + "\r\n");
  EXPECT_THAT(ReadAll(fd), StartsWith("HTTP/1.1 413"));
}

TEST_F(UnixServerTest, ASlowClientIsCutOffByTheDeadline) {
  ServerLimits limits;
  limits.read_timeout = std::chrono::milliseconds(50);
  Start(limits);
  const int fd = Connect();
  Write(fd, "GET / HTTP/1.1\r\nX: ");
  // Returns only because the server hangs up.
  EXPECT_EQ(ReadAll(fd), "");
  EXPECT_TRUE(UnixClient(path_).Call({"GET", "/", {}, ""}));
}

TEST_F(UnixServerTest, TooManyConnectionsAreToldSo) {
  ServerLimits limits;
  limits.connections = 1;
  Start(limits);
  UnixClient first(path_);
  ASSERT_TRUE(first.Call({"GET", "/", {}, ""}));  // and keeps its connection
  const int fd = Connect();
  EXPECT_THAT(ReadAll(fd), StartsWith("HTTP/1.1 503"));
}

TEST_F(UnixServerTest, IdleConnectionsDoNotKeepItFromStopping) {
  Start();
  const int fd = Connect();
  UnixClient kept(path_);
  ASSERT_TRUE(kept.Call({"GET", "/", {}, ""}));
  server_.reset();
  EXPECT_EQ(ReadAll(fd), "");
}

TEST_F(UnixServerTest, TheClientLimitsWhatItTakes) {
  Start({}, [](const ApiRequest&) { return ApiResponse{200, "text/plain", std::string(100'000, 'x'), {}}; });
  UnixClient::Options options;
  options.max_response = 1000;
  const auto answer = UnixClient(path_, options).Call({"GET", "/", {}, ""});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kLimitExceeded);
}

TEST_F(UnixServerTest, AFolderThatCannotBeWrittenIsAnError) {
  const auto server = UnixServer::Start("/proc/none/m.sock", Echo);
  ASSERT_FALSE(server);
  EXPECT_THAT(server.error().message, HasSubstr("/proc/none/m.sock"));
}

}  // namespace
}  // namespace millrace::http
