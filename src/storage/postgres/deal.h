// Which of the jobs a claim could take it should take: the order storage.h promises, without a database.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/priority.h"
#include "millrace/job.h"

namespace millrace::storage::postgres {

// A job that could be claimed.
struct Candidate {
  JobId id = 0;
  Time run_at{};
  std::string queue;
  Priority priority = Priority::kDefault;
  std::string partition_key;
};

// What a claim could take. `candidates`: for each queue and priority in order of (run_at, id), at most as many as asked
// for, and some of further partitions. `rooms`: how many jobs each queue with limits may still give; a queue that is
// not there has no limits.
struct Offer {
  std::vector<Candidate> candidates;
  std::map<std::string, std::int64_t> rooms;
  Time now{};
};

// What to take: from each lane (queue and priority) so many jobs without partition, and these partitioned jobs. `order`
// is that of all of them. `spares`: the first job of each partition of those lanes that was not chosen, in order, for
// when others are quicker.
struct Plan {
  struct Quota {
    std::string queue;
    Priority priority;
    int jobs;
  };
  std::vector<Quota> quotas;
  std::vector<JobId> partitioned;
  std::vector<JobId> order;
  std::vector<JobId> spares;
};

// Deals turns between priorities by `share` until `max_jobs` are chosen or nothing is left; of them at most `max_held`
// of partitions or of queues with limits.
Plan Deal(const Offer& offer, int max_jobs, int max_held, engine::FairShare& share);

}  // namespace millrace::storage::postgres
