// What must happen from time to time whoever does it: rescue, and history that has outlived its retention.
#pragma once

#include <thread>

#include "millrace/options.h"
#include "runtime/loop_watch.h"
#include "storage/storage.h"

namespace millrace::runtime {

class Maintenance {
 public:
  // Runs in a thread of its own until destroyed; each round is a step in `watch`.
  Maintenance(storage::Storage& storage, const WorkerOptions& options, LoopWatch& watch);

 private:
  void Loop(const std::stop_token& stop);
  void Rescue();
  void Retain();

  storage::Storage& storage_;
  const WorkerOptions options_;
  LoopWatch& watch_;
  std::jthread thread_;
};

}  // namespace millrace::runtime
