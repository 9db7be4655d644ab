// The account of a stress run: what was ordered against what the books say, job by job.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/stress/ledger.h"
#include "cli/stress/load.h"
#include "millrace/client.h"

namespace millrace::cli::stress {

// What the database holds once all is worked off.
struct Books {
  std::map<std::int64_t, JobId> orders;
  Receipts receipts;      // not of the database: what it acknowledged
  std::vector<Job> jobs;  // of the run's queue, each as often as the engine lists it
  std::vector<Witness> witnesses;
  std::map<JobId, std::vector<Attempt>> attempts;  // of jobs that had ones that failed
  std::vector<Pair> overlaps, falling_tokens;
  std::int64_t most_at_once = 0;   // handlers, when the queue has a limit
  std::optional<int> concurrency;  // that limit
  std::optional<double> rate;      // the queue's starts per second
};

// Reads them, but for the receipts. Fails as the client does.
Result<Books> ReadBooks(Client& client, const Options& options, const Ledger& ledger);

struct Account {
  std::int64_t enqueued = 0, children = 0;
  std::int64_t completed = 0, dead = 0;
  // Attempts that did not succeed, by their reason as history tells it: crashed, failed, timeout, fatal.
  std::map<std::string, std::int64_t> attempts;
  // Ids of jobs that are not as they should be, each list empty in a run that went well.
  std::vector<JobId> lost;             // ordered (or emitted) and not there, or never finished
  std::vector<std::int64_t> vanished;  // orders that were acknowledged and then not there any more, with their jobs
  std::vector<JobId> duplicates;       // listed twice, or done twice: two writes of its handler
  std::vector<JobId> unwitnessed;      // finished without its handler's write
  std::vector<JobId> misjudged;      // completed where it should be dead, or the other way round; or nobody ordered it
  std::vector<JobId> unexplained;    // more (or fewer) attempts counted than history tells of
  std::vector<JobId> late;           // written by an attempt that had lost its lease
  std::vector<Pair> overlaps;        // orders whose handlers were in one partition at once
  std::vector<Pair> falling_tokens;  // of one partition, the later with the lower lease token
  std::vector<std::int64_t> broken_unique;  // orders whose unique key did not hold
  std::int64_t most_at_once = 0;            // handlers of a queue with a limit
  std::int64_t over_concurrency = 0;        // of them, beyond the limit
  std::int64_t over_rate = 0;               // starts beyond the queue's rate, at its worst moment

  // Books without a job show nothing.
  [[nodiscard]] bool exact() const {
    return enqueued > 0 && lost.empty() && vanished.empty() && duplicates.empty() && unwitnessed.empty() &&
           misjudged.empty() && unexplained.empty() && late.empty() && overlaps.empty() && falling_tokens.empty() &&
           broken_unique.empty() && over_concurrency == 0 && over_rate == 0;
  }
};

// How many of these starts, at the worst moment, came beyond a bucket that gains `rate` tokens a second, holds a
// second's worth (one at least), and is full at first. Pure.
std::int64_t OverRate(std::vector<Time> starts, double rate);

// Pure.
Account Settle(const Books& books);

}  // namespace millrace::cli::stress
