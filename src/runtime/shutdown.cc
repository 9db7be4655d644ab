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

std::atomic<int> g_pipe = -1;         // where signals are written to
std::atomic<int> g_held = 0;          // signals in it that nobody has read
std::atomic<bool> g_watched = false;  // somebody reads

// Whether a handler runs on this thread or another: it only touches the atomics above.
void WriteSignal(int signal) {
  const int saved = errno;
  if (!g_watched && g_held.fetch_add(1) > 0) {
    struct sigaction usual {};
    usual.sa_handler = SIG_DFL;
    sigaction(signal, &usual, nullptr);
    raise(signal);  // delivered when this handler returns
  }
  const char byte = static_cast<char>(signal);
  const int fd = g_pipe.load();
  if (fd >= 0 && write(fd, &byte, 1) < 0) errno = saved;
  errno = saved;
}

// SIGTERM and SIGINT go into a pipe until this is destroyed, which puts back the handlers that were there before.
class SignalPipe {
 public:
  SignalPipe() {
    if (pipe2(pipe_.data(), O_CLOEXEC) != 0) {
      base::Log(base::Level::kError, "No pipe for signals; SIGTERM ends the process at once");
      return;
    }
    g_pipe = pipe_[1];
    struct sigaction action {};
    action.sa_handler = WriteSignal;
    action.sa_flags = SA_RESTART;
    sigaction(SIGTERM, &action, &old_term_);
    sigaction(SIGINT, &action, &old_int_);
  }
  ~SignalPipe() {
    if (!valid()) return;
    sigaction(SIGTERM, &old_term_, nullptr);
    sigaction(SIGINT, &old_int_, nullptr);
    g_pipe = -1;
    close(pipe_[0]);
    close(pipe_[1]);
  }
  SignalPipe(const SignalPipe&) = delete;
  SignalPipe& operator=(const SignalPipe&) = delete;

  [[nodiscard]] bool valid() const { return pipe_[0] >= 0; }
  // The next byte: a signal, or what Write wrote.
  [[nodiscard]] char Read() const {
    char byte = 0;
    while (read(pipe_[0], &byte, 1) < 0 && errno == EINTR) {
    }
    return byte;
  }
  void Write(char byte) const {
    while (write(pipe_[1], &byte, 1) < 0 && errno == EINTR) {
    }
  }

 private:
  std::array<int, 2> pipe_{-1, -1};
  struct sigaction old_term_ {};
  struct sigaction old_int_ {};
};

std::shared_ptr<SignalPipe> g_held_pipe;  // of the HeldSignals alive

}  // namespace

struct HeldSignals::Impl {
  std::shared_ptr<SignalPipe> pipe = std::make_shared<SignalPipe>();
};

HeldSignals::HeldSignals() : impl_(std::make_unique<Impl>()) {
  g_held = 0;
  g_held_pipe = impl_->pipe;
}

HeldSignals::~HeldSignals() {
  const char kept = g_held.exchange(0) > 0 ? impl_->pipe->Read() : '\0';
  g_held_pipe.reset();
  impl_->pipe.reset();
  if (kept != '\0') raise(kept);
}

struct SignalWatch::Impl {
  std::shared_ptr<SignalPipe> pipe = g_held_pipe ? g_held_pipe : std::make_shared<SignalPipe>();
  std::thread thread;
};

SignalWatch::SignalWatch(ShutdownRequest& request) : impl_(std::make_unique<Impl>()) {
  if (!impl_->pipe->valid()) return;
  g_watched = true;
  g_held = 0;
  impl_->thread = std::thread([&request, pipe = impl_->pipe] {
    base::NameThread("mr-signals");
    while (const char byte = pipe->Read()) {
      base::Log(base::Level::kInfo, request.draining() ? "Second signal: stopping without waiting" : "Shutting down",
                {{"signal", byte == SIGTERM ? "SIGTERM" : "SIGINT"}});
      request.Ask();
    }
  });
}

SignalWatch::~SignalWatch() {
  if (!impl_->pipe->valid()) return;
  g_watched = false;
  impl_->pipe->Write(0);
  impl_->thread.join();
}

}  // namespace millrace::runtime
