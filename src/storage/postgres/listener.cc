#include "storage/postgres/listener.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <stdexcept>
#include <utility>

#include "base/log.h"
#include "base/thread_name.h"
#include "base/try.h"

namespace millrace::storage::postgres {
namespace {

constexpr Duration kFirstPause = std::chrono::milliseconds(100);
constexpr Duration kLongestPause = std::chrono::seconds(10);

// Doubles from the first to the longest; a random half of it, so that a fleet does not come back all at once.
Duration PauseAfter(int failures) {
  static thread_local std::minstd_rand random{std::random_device()()};
  const Duration whole = std::min(kLongestPause, kFirstPause * (1 << std::min(failures - 1, 10)));
  return whole / 2 + Duration(std::uniform_int_distribution<std::int64_t>(0, whole.count() / 2)(random));
}

std::string Quoted(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

Listener::Listener(ConnectOptions options, std::string channel, Callback callback)
    : options_(std::move(options)),
      channel_(std::move(channel)),
      callback_(std::move(callback)),
      stop_fd_(eventfd(0, EFD_CLOEXEC)) {
  if (stop_fd_ < 0) throw std::runtime_error("cannot create an eventfd: out of file descriptors");
  options_.cancel_fd = stop_fd_;
  thread_ = std::thread([this] { Loop(); });
}

Listener::~Listener() {
  eventfd_write(stop_fd_, 1);
  thread_.join();
  close(stop_fd_);
}

void Listener::Loop() {
  base::NameThread("pg-listen");
  while (true) {
    const Error error = Listen().error();
    if (error.code == ErrorCode::kCancelled) return;
    // Once per outage; the attempts that follow only repeat it.
    if (healthy_.exchange(false) || failures_ == 0) {
      base::Log(base::Level::kWarn, "PostgreSQL listener lost its connection; reconnecting",
                {{"channel", channel_}, {"error", error.message}});
    }
    if (!Pause(PauseAfter(++failures_))) return;
  }
}

// Connects and listens until something fails or it is time to stop (kCancelled).
Result<void> Listener::Listen() {
  MILLRACE_ASSIGN(const auto connection, Connection::Open(options_));
  MILLRACE_TRY(connection->Script("LISTEN " + Quoted(channel_)));
  healthy_ = true;
  if (std::exchange(failures_, 0) > 0) {
    base::Log(base::Level::kInfo, "PostgreSQL listener is connected again", {{"channel", channel_}});
  }
  callback_("");
  while (true) {
    MILLRACE_TRY(connection->ReadNotifications(
        [this](std::string_view /*channel*/, std::string_view payload) { callback_(payload); }));
    pollfd fds[2] = {{connection->socket(), POLLIN, 0}, {stop_fd_, POLLIN, 0}};
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return fail(ErrorCode::kIo, "cannot poll the listener's connection");
    if (fds[1].revents != 0) return fail(ErrorCode::kCancelled, "stopped");
  }
}

// False: it is time to stop.
bool Listener::Pause(Duration time) {
  pollfd fd = {stop_fd_, POLLIN, 0};
  const auto until = std::chrono::steady_clock::now() + time;
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    if (left <= 0) return true;
    if (poll(&fd, 1, static_cast<int>(left)) > 0) return false;
  }
}

}  // namespace millrace::storage::postgres
