// What runs a job: a function that takes its decoded args and a Context, and returns an Outcome.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/client.h"
#include "millrace/job.h"
#include "millrace/options.h"

namespace millrace {

// What a handler says became of its attempt.
struct Outcome {
  enum class Kind { kDone, kRetry, kSnooze, kFatal };
  Kind kind = Kind::kDone;
  std::string text;               // done: the result as JSON, or empty; else the error
  std::optional<Duration> after;  // retry: instead of the policy's delay; snooze: how long

  // The job is completed. A result that is neither empty nor JSON of at most 16 MiB fails the attempt instead.
  static Outcome done(std::string result_json = {});
  // The attempt failed. It is tried again by the retry policy, or after `after`, until the job's
  // attempts are spent; then the job is dead.
  static Outcome retry(std::string error, std::optional<Duration> after = std::nullopt);
  // Not now: the job runs again after `delay`, and this was not an attempt.
  static Outcome snooze(Duration delay);
  // Trying again cannot help: the job is dead at once.
  static Outcome fatal(std::string error);
};

// Reads a job's args, a JSON object, member by member. The first mistake is kept and later reads do
// nothing; error() then names the member: "args.limit: expected an integer, found a string".
// Members that nobody reads are ignored, so that producers may be newer than workers.
class ArgsReader {
 public:
  explicit ArgsReader(std::string_view json);
  ~ArgsReader();
  ArgsReader(const ArgsReader&) = delete;
  ArgsReader& operator=(const ArgsReader&) = delete;

  // A member that must be there. T: bool, int, std::int64_t, double, std::string,
  // std::vector<std::string>, std::vector<std::int64_t>.
  template <class T>
  ArgsReader& required(std::string_view name, T& out) {
    read(name, true, out);
    return *this;
  }
  // A member that may be absent or null: `out` then keeps its value.
  template <class T>
  ArgsReader& optional(std::string_view name, T& out) {
    read(name, false, out);
    return *this;
  }
  [[nodiscard]] const std::optional<std::string>& error() const;

 private:
  void read(std::string_view name, bool required, bool& out);
  void read(std::string_view name, bool required, int& out);
  void read(std::string_view name, bool required, std::int64_t& out);
  void read(std::string_view name, bool required, double& out);
  void read(std::string_view name, bool required, std::string& out);
  void read(std::string_view name, bool required, std::vector<std::string>& out);
  void read(std::string_view name, bool required, std::vector<std::int64_t>& out);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

enum class LogLevel { kDebug, kInfo, kWarn, kError };

// A handler's view of the attempt it runs. Valid until the handler returns; used from its thread,
// but for stop_token().
class Context {
 public:
  virtual ~Context() = default;
  [[nodiscard]] virtual const Job& job() const = 0;
  // Past this the attempt counts as timed out. By the worker's monotonic clock.
  [[nodiscard]] virtual std::chrono::steady_clock::time_point deadline() const = 0;
  // Stops when the job is cancelled, its deadline passes, or the worker's shutdown runs out of time.
  [[nodiscard]] virtual std::stop_token stop_token() const = 0;
  virtual void log(LogLevel level, std::string_view message) = 0;
  // Shown to people with the job. Cheap: kept in memory and written with the next heartbeat.
  virtual void progress(double fraction, std::string_view message) = 0;
  // A job enqueued in the transaction that completes this one; dropped if the attempt does not
  // complete. One that cannot be enqueued fails the attempt. after_in_batch counts those emitted before it, from 0.
  virtual void emit(NewJob job) = 0;
  // Enqueues now, in one transaction that also checks this attempt's lease (kLeaseLost). For
  // handlers that emit more than fits in memory; use unique keys, since the attempt may run again.
  virtual Result<void> emit_now(std::span<const NewJob> jobs) = 0;
  // Runs `body` and reports `outcome` (with what was emitted) in one transaction. kLeaseLost, and
  // nothing written, if the attempt is no longer this worker's; kInvalidArgument, and `body` not run,
  // for a result or emitted job that cannot be. The handler's return value is ignored once this has
  // succeeded. Call it at most once.
  // NOLINTNEXTLINE(google-default-arguments): the default stands here alone, no override has one
  virtual Result<void> complete_in(const std::function<Result<void>(Transaction&)>& body,
                                   Outcome outcome = Outcome::done()) = 0;
  // Marks the run's discovery as done, in the transaction that completes this job.
  virtual void discovery_done() = 0;
};

// Settings of a kind; those a job sets itself win.
struct HandlerOptions {
  Duration timeout{0};               // 0: work_queue.claim_timeout
  std::optional<RetryPolicy> retry;  // unset: by queue, else by priority
};

using HandlerFunction = std::function<Outcome(Context&)>;

}  // namespace millrace
