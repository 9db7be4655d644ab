// What the owner of the file keeps in memory: names as numbers, counters, what runs. All of it can be read back from
// the file, and is, after a transaction that failed (see Driver::Reload).
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/token_bucket.h"
#include "storage/storage.h"

namespace millrace::storage::sqlite {

// A token's bits 40 to 61 are the worker's incarnation and its lower ones a number of the batch; bit 62 is always set,
// so that every token, and the placeholder of jobs never claimed, takes eight bytes in the row.
inline constexpr std::int64_t kNoToken = std::int64_t{1} << 62;
inline std::int64_t MakeToken(std::int64_t incarnation, std::int64_t number) {
  return kNoToken | (incarnation << 40) | (number & ((std::int64_t{1} << 40) - 1));
}
inline std::int64_t IncarnationOf(std::int64_t token) { return (token & ~kNoToken) >> 40; }

struct QueueState {
  std::int64_t id = 0;
  bool paused = false;
  QueueOptions options;
  engine::TokenBucket bucket;
  std::int64_t count[kPriorityCount][kJobStateCount] = {};
  bool changed[kPriorityCount][kJobStateCount] = {};  // counts not yet written
  bool any_changed = false;
  bool bucket_changed = false;

  [[nodiscard]] std::int64_t Running() const {
    std::int64_t sum = 0;
    for (const auto& lane : count) sum += lane[static_cast<int>(JobState::kRunning)];
    return sum;
  }
};

// A running job, as much of it as a report needs.
struct RunningJob {
  std::int64_t token = 0;
  int attempt = 0;
  QueueState* queue = nullptr;
  Priority priority = Priority::kDefault;
  RunId run = 0;
  std::string partition;
  Time started_at{};
  Time deadline{};
  bool cancel_requested = false;
};

struct PartitionHold {
  std::int64_t incarnation = 0;
  int running = 0;
};

struct Lease {
  std::vector<JobId> jobs;  // all of its batch
  int open = 0;             // of these still running
  Time earliest_deadline{};
};

struct KnownWorker {
  std::string id;
  WorkerState state = WorkerState::kActive;
  Time last_heartbeat{};
  bool newest = true;  // no later incarnation has its id
  std::map<std::string, Duration> timeouts;
  std::uint64_t seen_work = 0;  // the work counter at its latest claim, see Driver::WaitForWork
};

// A lane (queue and priority) of one partition whose first available job may have changed.
struct PartitionLane {
  std::int64_t queue;
  int priority;
  std::string key;
  auto operator<=>(const PartitionLane&) const = default;
};

// Changes of one transaction to one run.
struct RunDelta {
  std::array<std::int64_t, kJobStateCount> states{};
  bool discovery_done = false;
};

struct State {
  std::deque<QueueState> queues;  // stable addresses
  std::unordered_map<std::string, QueueState*> queue_by_name;
  std::unordered_map<std::int64_t, QueueState*> queue_by_id;
  std::unordered_map<std::string, std::int64_t> kind_by_name;
  std::unordered_map<std::int64_t, std::string> kind_by_id;
  std::map<std::int64_t, KnownWorker> workers;  // by incarnation
  std::unordered_map<JobId, RunningJob> running;
  std::unordered_map<std::string, PartitionHold> partitions;
  std::map<std::int64_t, Lease> leases;  // by token
  std::int64_t next_job = 1;
  std::int64_t next_batch = 1;
  std::int64_t dependencies = 0;  // rows of that table: mostly none, and then nothing that finishes is noted
  // Of the transaction under way:
  std::set<PartitionLane> partition_lanes;
  std::map<RunId, RunDelta> runs;
  std::map<JobId, bool> finished;  // jobs others may wait for; whether they failed
  bool touched = false;            // something above changed: a rollback must reload
  bool new_work = false;           // something may have become eligible: wake those who wait
};

}  // namespace millrace::storage::sqlite
