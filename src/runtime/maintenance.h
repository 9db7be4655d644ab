// What must happen from time to time whoever does it: rescue, and history that has outlived its retention.
#pragma once

#include <thread>

#include "millrace/options.h"
#include "storage/storage.h"

namespace millrace::runtime {

class Maintenance {
 public:
  // Runs in a thread of its own until destroyed.
  Maintenance(storage::Storage& storage, const WorkerOptions& options);

 private:
  void Loop(const std::stop_token& stop);
  void Rescue();
  void Retain();

  storage::Storage& storage_;
  const WorkerOptions options_;
  std::jthread thread_;
};

}  // namespace millrace::runtime
