// Where the monitor's figures come from: one look after the other, over one connection that is made again when it
// breaks.
#pragma once

#include <memory>
#include <optional>
#include <thread>

#include "cli/backend.h"
#include "cli/monitor/frame.h"

namespace millrace::cli::monitor {

struct SourceOptions {
  std::int64_t run = 0;  // this run only; 0: the newest
  int runs = 20;
  Patience patience;
};

struct Look {
  base::json::object answer;  // of /api/v1/overview
  Overview overview;
  std::vector<DeadReason> dead;
};

// One thread at a time.
class Source {
 public:
  Source(const runtime::Config& config, SourceOptions options);

  // Fails as Backend::Open and its calls do; the next one begins anew. A file that nobody owns is held only meanwhile,
  // so that a worker can start beside the monitor.
  Result<Look> Take();

 private:
  Result<Look> TakeOnce();
  Result<void> ReadDead(std::int64_t total);

  const runtime::Config config_;
  const SourceOptions options_;
  const Duration stale_threshold_;
  std::unique_ptr<Backend> backend_;
  // Dead letters by reason, as of when they were counted: that takes a walk over all of them.
  std::vector<DeadReason> dead_;
  std::int64_t dead_total_ = 0;
  std::chrono::steady_clock::time_point next_dead_;
};

// Takes a look every `interval` on a thread of its own, so that a database that does not answer holds up nothing else.
class Poller {
 public:
  Poller(Source source, Duration interval);
  // Waits for the look under way.
  ~Poller();

  // Readable when there is a new result to Take.
  [[nodiscard]] int fd() const;
  // The latest result, once.
  std::optional<Result<Look>> Take();
  // Asks it to end. False: a look is still under way after `patience`.
  bool Stop(Duration patience);

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
  std::jthread thread_;
};

}  // namespace millrace::cli::monitor
