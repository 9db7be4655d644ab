#include "runtime/shutdown.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>

#include "base/log.h"
#include "base/thread_name.h"

namespace millrace::runtime {

void ShutdownRequest::Ask() {
  std::function<void()> callback;
  {
    const std::lock_guard lock(mutex_);
    ++asked_;
    callback = callback_;
  }
  changed_.notify_all();
  if (callback) callback();
}

void ShutdownRequest::OnAsk(std::function<void()> callback) {
  const std::lock_guard lock(mutex_);
  callback_ = std::move(callback);
}

bool ShutdownRequest::draining() const {
  const std::lock_guard lock(mutex_);
  return asked_ > 0;
}

bool ShutdownRequest::at_once() const {
  const std::lock_guard lock(mutex_);
  return asked_ > 1;
}

void ShutdownRequest::WaitUntil(std::chrono::steady_clock::time_point until, const std::function<bool()>& done) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, until, [&] { return asked_ > 1 || done(); });
}

void ShutdownRequest::Changed() { changed_.notify_all(); }

namespace {

std::atomic<int> g_pipe = -1;

void WriteSignal(int signal) {
  const int saved = errno;
  const char byte = static_cast<char>(signal);
  const int fd = g_pipe.load();
  if (fd >= 0 && write(fd, &byte, 1) < 0) errno = saved;
  errno = saved;
}

}  // namespace

struct SignalWatch::Impl {
  std::array<int, 2> pipe{-1, -1};
  struct sigaction old_term {};
  struct sigaction old_int {};
  std::thread thread;
};

SignalWatch::SignalWatch(ShutdownRequest& request) : impl_(std::make_unique<Impl>()) {
  if (pipe2(impl_->pipe.data(), O_CLOEXEC) != 0) {
    base::Log(base::Level::kError, "No pipe for signals; SIGTERM ends the process at once");
    return;
  }
  g_pipe = impl_->pipe[1];
  struct sigaction action {};
  action.sa_handler = WriteSignal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, &impl_->old_term);
  sigaction(SIGINT, &action, &impl_->old_int);
  impl_->thread = std::thread([&request, fd = impl_->pipe[0]] {
    base::NameThread("mr-signals");
    char byte = 0;
    while (true) {
      const ssize_t size = read(fd, &byte, 1);
      if (size < 0 && errno == EINTR) continue;
      if (size != 1 || byte == 0) return;
      base::Log(base::Level::kInfo, request.draining() ? "Second signal: stopping without waiting" : "Shutting down",
                {{"signal", byte == SIGTERM ? "SIGTERM" : "SIGINT"}});
      request.Ask();
    }
  });
}

SignalWatch::~SignalWatch() {
  if (impl_->pipe[0] < 0) return;
  sigaction(SIGTERM, &impl_->old_term, nullptr);
  sigaction(SIGINT, &impl_->old_int, nullptr);
  const char end = 0;
  while (write(impl_->pipe[1], &end, 1) < 0 && errno == EINTR) {
  }
  impl_->thread.join();
  g_pipe = -1;
  close(impl_->pipe[0]);
  close(impl_->pipe[1]);
}

}  // namespace millrace::runtime
