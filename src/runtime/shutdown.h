// The way down: one deadline budget from the first request to stop to the end.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace millrace::runtime {

// What was asked. Thread-safe.
class ShutdownRequest {
 public:
  // The first call asks for a drain, the second to skip the wait.
  void Ask();
  // Called, from the thread that asks, at every Ask.
  void OnAsk(std::function<void()> callback);
  [[nodiscard]] bool draining() const;
  [[nodiscard]] bool at_once() const;
  // Waits until asked to skip the wait, `done` returns true, or `until`. `done` is looked at whenever Changed is
  // called.
  void WaitUntil(std::chrono::steady_clock::time_point until, const std::function<bool()>& done);
  void Changed();

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int asked_ = 0;
  std::function<void()> callback_;
};

// While it lives, the first SIGTERM or SIGINT is kept for the SignalWatch to come, instead of ending the process while
// it still starts; a second one ends it. Whoever is destroyed with one kept sends it again, as the process would have
// had it. One per process, made before any other thread.
class HeldSignals {
 public:
  HeldSignals();
  ~HeldSignals();
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// While it lives, SIGTERM and SIGINT ask, one that was held included; the handlers that were there before come back
// afterwards. One at a time per process.
class SignalWatch {
 public:
  explicit SignalWatch(ShutdownRequest& request);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::runtime
