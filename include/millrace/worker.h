// Running jobs: a Worker claims them, runs their handlers on its threads and reports the outcomes.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "millrace/client.h"
#include "millrace/handler.h"

namespace millrace {

// Work of this process beside its jobs, such as a request that is being answered: a worker on its way down waits for it
// as it does for a running job. It ends when this is destroyed, on any thread; it may outlive the worker.
class Operation {
 public:
  Operation(Operation&&) noexcept = default;
  Operation& operator=(Operation&&) noexcept = default;
  ~Operation() = default;
  // Stops when the shutdown's time is nearly up: end now, or be left behind.
  [[nodiscard]] std::stop_token stop_token() const;

  struct Impl;
  explicit Operation(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}  // Worker::operation makes them

 private:
  std::shared_ptr<Impl> impl_;
};

// How far a worker is on its way down.
struct ShutdownStatus {
  enum class Phase {
    kRunning,     // it has not begun
    kDraining,    // no new jobs; running ones and operations may finish, for up to `timeout`
    kCleaningUp,  // their outcomes are reported; the cleanup tasks run
    kStopped,     // run() is about to return, or has
  };
  enum class TaskState {
    kPending,
    kRunning,
    kDone,
    kFailed,    // it threw
    kTimedOut,  // it was left behind
  };
  struct Task {
    std::string name;
    TaskState state = TaskState::kPending;
  };
  Phase phase = Phase::kRunning;
  Duration elapsed{0};  // since it began, 0 before
  Duration timeout{0};  // WorkerOptions::shutdown_timeout
  int running_jobs = 0;
  std::vector<std::string> operations;  // names of those under way, oldest first
  std::vector<Task> cleanup_tasks;      // in the order they run
};

// One worker of this process. Register handlers, then run().
//
//   struct Greeting { std::string name; };
//   void read_args(millrace::ArgsReader& args, Greeting& out) { args.required("name", out.name); }
//
//   worker.handle<Greeting>("greet", [](const Greeting& g, millrace::Context&) {
//     std::puts(("hello, " + g.name).c_str());
//     return millrace::Outcome::done();
//   });
//
// An exception that leaves a handler is a failed attempt with its what() as the error. A job of a kind without a
// handler here is put off, for a second at first and a minute in the end, and no attempt is counted: a worker that has
// the handler may come.
class Worker {
 public:
  Worker(Client client, WorkerOptions options);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Registers the handler of `kind`. Args are decoded by a free function
  // `void read_args(ArgsReader&, Args&)` found beside Args; args that do not decode make the job
  // dead with an error that names the member. Call before run().
  template <class Args, class Function>
  void handle(const std::string& kind, Function function, HandlerOptions options = {}) {
    handle_raw(
        kind,
        [function = std::move(function)](Context& context) -> Outcome {
          Args args{};
          ArgsReader reader(context.job().args);
          read_args(reader, args);
          if (reader.error()) return Outcome::fatal(*reader.error());
          return function(static_cast<const Args&>(args), context);
        },
        options);
  }
  // The same without decoding: the handler reads context.job().args itself.
  void handle_raw(std::string kind, HandlerFunction function, HandlerOptions options = {});

  // Works until stop() (or a signal, or max_jobs), then drains. Returns the exit status: 0 when
  // everything that was running finished, 3 when work had to be released. Fails as Client::open
  // does if the database goes away for good; kDiskFull, kReadOnly and kCorrupt are told within
  // seconds. Call once.
  Result<int> run();

  // Asks run() to drain and return; a second call skips the wait. From any thread.
  void stop();

  // Begins an operation that the way down waits for. Nothing once that has begun: refuse the work then. From any
  // thread.
  [[nodiscard]] std::optional<Operation> operation(std::string name);

  // Adds a task of the way down, such as closing what handlers share. However run() ends, it calls each once, the last
  // one added first: after the last handler and operation, when outcomes are reported, and before another worker is
  // told that this one is gone. Each runs on a thread of its own. After `limit` (1 s, if a second signal or stop() says
  // to hurry) its stop token stops, and a second later it is left behind. What it throws is logged. Call before run().
  void on_shutdown(std::string name, std::function<void(std::stop_token)> task,
                   Duration limit = std::chrono::seconds(5));

  // A question for health probes: how far run() is on its way down. May be asked from any thread, and when the worker
  // is gone.
  [[nodiscard]] std::function<ShutdownStatus()> shutdown_status() const;

  // A question for liveness probes: which of run()'s own loops has made no progress for more than `limit`, or nothing.
  // A handler that runs long is none of them. May be asked from any thread, and when the worker is gone.
  [[nodiscard]] std::function<std::string()> stuck_loop(Duration limit = std::chrono::seconds(60)) const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace
