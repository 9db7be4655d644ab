// The worker's part in who does maintenance: it campaigns with its heartbeats, and by itself when the leader's time is
// up.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>

#include "millrace/options.h"
#include "storage/storage.h"

namespace millrace::runtime {

// How long a leadership lasts unless renewed: three heartbeats, but so short that a new leader is there before the old
// one's jobs are due for rescue, where the settings leave room for that.
[[nodiscard]] Duration LeadershipTtl(const WorkerOptions& options);

// Thread-safe. Of `worker` there is one.
class Leader {
 public:
  using Clock = std::chrono::steady_clock;

  Leader(storage::Storage& storage, storage::WorkerRef worker, const WorkerOptions& options);

  // What the next heartbeat asks for: nothing once resigned, nor as a leader that has not called Lead for so long that
  // its work must be stuck. Another can then take over.
  [[nodiscard]] storage::Campaign campaign() const;
  // What came of a campaign that was sent at `asked`. An answer to an older question than the latest says nothing new.
  void Heard(const storage::Leadership& answer, Clock::time_point asked);

  // Until when another worker is known to lead; nothing when this one does, or nobody is known to, or once resigned.
  [[nodiscard]] std::optional<Clock::time_point> other_leads_until() const;

  // The leadership, while this worker has it, by its own clock too. Asks the storage only when nobody is known to have
  // it: at the start, and when the leader's time is up. A storage that fails is asked again after a heartbeat's time.
  std::optional<storage::Leadership> Lead();
  // A write as the leader was refused: nobody is known to lead.
  void Deposed();
  // Sleeps until Lead may say something else, as a leader at most a heartbeat's time, or until `stop`.
  void Wait(const std::stop_token& stop);
  // Gives the leadership back, should this worker have it, and campaigns no more.
  void Resign();

 private:
  // Called with the mutex held. The process's metrics say who leads by it.
  void Know(const storage::Leadership& leadership);

  storage::Storage& storage_;
  const storage::WorkerRef worker_;
  const Duration interval_;
  const storage::Campaign campaign_;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  storage::Leadership known_;     // the latest answer
  Clock::time_point asked_;       // when its question was sent
  Clock::time_point until_;       // until when it can be relied on
  Clock::time_point came_round_;  // when Lead was called
  bool resigned_ = false;
};

}  // namespace millrace::runtime
