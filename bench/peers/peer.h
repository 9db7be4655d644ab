// What the peers written in C++ share: their jobs, the record of what ran, and the harness's side of the conversation
// (README.md, "A peer's program").
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "millrace/error.h"

namespace millrace::bench {

// Seconds since the Unix epoch. The wall clock, since times of several processes are compared.
double WallSeconds();

// A job's args, about 60 bytes, and the job's number in them. IndexOf throws std::runtime_error for other args.
std::string ArgsOf(std::int64_t index);
std::int64_t IndexOf(std::string_view args);

// The value, or the error thrown as std::runtime_error: a measurement cannot go on without it.
template <class T>
T Must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// Which job's handler ran when. Record may be called from any thread; the others when no Record is running.
class Timeline {
 public:
  // Keeps room for `jobs` and some that should not have run. What comes after those is counted only.
  explicit Timeline(std::int64_t jobs) : entries_(static_cast<std::size_t>(jobs) + 1000) {}
  void Record(std::int64_t index, double at);
  [[nodiscard]] std::int64_t count() const { return count_.load(std::memory_order_relaxed); }
  // Pairs of doubles: number, time. Throws std::runtime_error when the file cannot be written.
  void Write(const std::string& file) const;

 private:
  struct Entry {
    double index, at;
  };
  std::vector<Entry> entries_;
  std::atomic<std::int64_t> count_{0};
};

// A peer's program. What a function throws ends the program with status 1.
struct Peer {
  std::function<std::string()> version;
  std::function<void(const std::string& url, std::int64_t jobs)> enqueue;       // all of them, from number 0
  std::function<void(const std::string& url, std::int64_t index)> enqueue_one;  // empty: cannot measure latency
  // Opens what a worker needs and returns how to run it, until `stop` is set and the function that came with it called.
  struct Work {
    std::function<void()> run;   // on a thread of its own
    std::function<void()> stop;  // makes run() finish what it holds and return
  };
  std::function<Work(const std::string& url, Timeline& timeline)> work;
};

// main() of such a program: DATABASE_URL names the database.
int PeerMain(int argc, char** argv, const Peer& peer);

}  // namespace millrace::bench
