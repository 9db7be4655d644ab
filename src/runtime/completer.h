// Collects the outcomes of attempts into batches. Executor threads add, the daemon's loop takes. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <vector>

#include "storage/storage.h"

namespace millrace::runtime {

class Completer {
 public:
  // A batch is due `linger` after its first outcome, or with `full` outcomes, whichever comes first.
  Completer(std::chrono::microseconds linger, std::size_t full) : linger_(linger), full_(full) {}

  // `urgent`: a slot is idle, so do not wait for more. Without reports (they were completed in a transaction of their
  // own) it ends a wait all the same: the slot is to be filled.
  void Add(std::vector<storage::Report> reports, bool urgent);

  // Waits until a batch is due and takes it; empty at once when nothing is collected.
  std::vector<storage::Report> Take();

  // Waits until an outcome is there, Interrupt() is called, or `timeout` has passed.
  void Wait(std::chrono::microseconds timeout);

  // Ends the Wait under way or the next one. Also ends the storage wait whose token Arm gave out.
  void Interrupt();

  // A token that stops when an outcome is added or Interrupt is called: for waits elsewhere. Stopped already when
  // outcomes are there. Disarm() ends its use.
  std::stop_token Arm();
  void Disarm();

  [[nodiscard]] bool Empty() const;

 private:
  void Fire();  // expects mutex_ held

  const std::chrono::microseconds linger_;
  const std::size_t full_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<storage::Report> reports_;
  std::chrono::steady_clock::time_point first_added_;
  bool urgent_ = false;
  bool interrupted_ = false;
  std::optional<std::stop_source> armed_;
};

}  // namespace millrace::runtime
