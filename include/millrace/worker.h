// Running jobs: a Worker claims them, runs their handlers on its threads and reports the outcomes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "millrace/client.h"
#include "millrace/handler.h"

namespace millrace {

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

  // A question for liveness probes: which of run()'s own loops has made no progress for more than `limit`, or nothing.
  // A handler that runs long is none of them. May be asked from any thread, and when the worker is gone.
  [[nodiscard]] std::function<std::string()> stuck_loop(Duration limit = std::chrono::seconds(60)) const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace
