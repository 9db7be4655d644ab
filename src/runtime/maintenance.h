// What must happen from time to time, done by the one worker that leads: rescue, and history that has outlived its
// retention.
#pragma once

#include <thread>

#include "millrace/options.h"
#include "runtime/leader.h"
#include "runtime/loop_watch.h"
#include "storage/storage.h"

namespace millrace::runtime {

class Maintenance {
 public:
  // Runs in a thread of its own until destroyed; each round is a step in `watch`.
  Maintenance(storage::Storage& storage, const WorkerOptions& options, Leader& leader, LoopWatch& watch);

 private:
  void Loop(const std::stop_token& stop);
  // As the leader. Refused, `leader_` is told.
  void Rescue(const storage::Leadership& as);
  void Retain(const storage::Leadership& as);
  void Failed(std::string_view doing, const Error& error);

  storage::Storage& storage_;
  const WorkerOptions options_;
  Leader& leader_;
  LoopWatch& watch_;
  std::jthread thread_;
};

}  // namespace millrace::runtime
