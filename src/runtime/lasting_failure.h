// Failures of a database that last until people act: for them a few quick tries tell as much as many.
#pragma once

#include <mutex>
#include <optional>

#include "millrace/error.h"

namespace millrace::runtime {

// Counts failures of one caller. One thread.
class LastingFailure {
 public:
  // A full disk, a database that cannot be written, a damaged one.
  [[nodiscard]] static bool Lasts(ErrorCode code) {
    return code == ErrorCode::kDiskFull || code == ErrorCode::kReadOnly || code == ErrorCode::kCorrupt;
  }

  // A call failed so. True when it is time to give up: five such failures stand in a row.
  bool Failed(ErrorCode code) {
    count_ = Lasts(code) ? count_ + 1 : 0;
    return count_ >= kTries;
  }
  void Succeeded() { count_ = 0; }
  // Whether the latest call failed so: the next try should come soon.
  [[nodiscard]] bool trying() const { return count_ > 0; }

 private:
  static constexpr int kTries = 5;
  int count_ = 0;
};

// The same for what handlers write, over all attempts of a worker. Their jobs are put off between tries, and a large
// write may find no room where the worker's own small ones still do: a few failures without a success between them tell
// enough. Thread-safe.
class WriteFailures {
 public:
  void Failed(const Error& error) {
    const std::lock_guard lock(mutex_);
    if (LastingFailure::Lasts(error.code) && ++count_ >= kTries && !lasting_) lasting_ = error;
  }
  void Succeeded() {
    const std::lock_guard lock(mutex_);
    count_ = 0;
  }
  // The failure to give up for, once there is one.
  [[nodiscard]] std::optional<Error> lasting() const {
    const std::lock_guard lock(mutex_);
    return lasting_;
  }

 private:
  static constexpr int kTries = 3;
  mutable std::mutex mutex_;
  int count_ = 0;
  std::optional<Error> lasting_;
};

}  // namespace millrace::runtime
