// Decides how much to claim: free slots, plus as many jobs as the slots will start within about 50 ms.
#pragma once

#include <cstdint>

#include "runtime/executor.h"
#include "storage/storage.h"

namespace millrace::runtime {

class Fetcher {
 public:
  Fetcher(const WorkerOptions& options, storage::WorkerRef worker);

  // The claim to make now; max_jobs is 0 when none should be made.
  [[nodiscard]] storage::ClaimRequest Request(const Executor::Load& load) const;
  // What it will claim at most in its life is bounded by WorkerOptions::max_jobs.
  void Claimed(std::size_t jobs) { claimed_ += static_cast<std::int64_t>(jobs); }
  // max_jobs have been claimed.
  [[nodiscard]] bool Exhausted() const;

 private:
  [[nodiscard]] int Prefetch(const Executor::Load& load) const;

  const WorkerOptions options_;
  storage::ClaimRequest filter_;
  std::int64_t claimed_ = 0;
};

}  // namespace millrace::runtime
