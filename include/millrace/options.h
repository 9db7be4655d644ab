// Options of the library: where jobs are stored and how a worker runs them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "millrace/job.h"

namespace millrace {

// How long to wait before each retry, and how many attempts a job has.
// Before the n-th retry: min(initial x multiplier^(n-1), max), times a random factor in
// [1 - jitter, 1].
struct RetryPolicy {
  int max_attempts = 4;  // the first attempt included
  Duration initial = std::chrono::seconds(1);
  double multiplier = 2.0;
  Duration max = std::chrono::minutes(5);
  double jitter = 0.5;  // 0 turns it off
};

// What happens to an enqueue into a full queue.
enum class Overflow { kReject, kBlock, kSpill };

// A queue with settings of its own. Queues that are never named here exist as well, without limits.
struct QueueOptions {
  std::string name;
  std::optional<std::int64_t> capacity;  // waiting jobs; unset is unbounded
  Overflow overflow = Overflow::kReject;
  Priority spill_to = Priority::kBulk;  // with kSpill: enqueued with this priority instead
  std::optional<double> rate_limit;     // claims per second
  std::optional<int> concurrency;       // running at once, over all workers
  std::optional<RetryPolicy> retry;
};

// Where jobs are stored.
struct StorageOptions {
  std::string url = "./millrace.db";  // a path (SQLite), or postgres://user@host:port/database
  std::vector<QueueOptions> queues;
  // For queues that name no capacity, by priority (index: the Priority's number); unset is unbounded.
  std::array<std::optional<std::int64_t>, kPriorityCount> capacity;
  int max_crashes = 3;                                 // for jobs that do not say
  Duration claim_timeout = std::chrono::seconds(300);  // of one attempt, for jobs that do not say
  std::optional<int> max_attempts;                     // for every priority, in place of the table by priority
  // For one priority (index: its number), in place of both.
  std::array<std::optional<int>, kPriorityCount> max_attempts_by_priority;
  std::string owner;  // what the owner lock says of this process, for people
  // Whether opening writes `queues` and, on PostgreSQL, prepares history for the days to come. Without it a login that
  // may only look can open it too.
  bool configure = true;

  // PostgreSQL only.
  std::string password;             // wins over one in the url; never logged or stored
  std::string schema = "millrace";  // lower-case letters, digits, _
  std::string listen_url;           // a direct connection for wake-ups, when url goes through a PgBouncer
  int pool_size = 2;                // connections kept open
  int max_overflow = 8;             // opened beyond that when all are in use
  Duration pool_timeout = std::chrono::seconds(30);    // to wait for a free one before an error
  Duration pool_recycle = std::chrono::seconds(3600);  // age at which one is replaced
};

// How a worker runs jobs.
struct WorkerOptions {
  std::string id;  // empty: host-pid-random
  std::string type = "all";
  std::vector<std::string> queues;   // empty: all
  std::vector<Priority> priorities;  // empty: all
  int concurrency = 0;               // 0: one per core
  int prefetch = -1;                 // jobs held beyond free slots; -1: adapts, 0: none
  int batch_size = 0;                // most jobs claimed at once; 0: adapts
  Duration heartbeat_interval = std::chrono::seconds(5);
  Duration stale_threshold = std::chrono::seconds(30);
  Duration shutdown_timeout = std::chrono::seconds(30);
  Duration history_retention = std::chrono::hours(24 * 7);  // of completed and cancelled jobs; 0: for ever
  std::int64_t max_jobs = 0;                                // stop by itself after this many; 0: never
  bool scheduler_enabled = true;                            // false: claims nothing, stays alive
  bool handle_signals = false;                              // SIGTERM and SIGINT shut down, a second one at once
};

}  // namespace millrace
