// The run's own tables beside the engine's: what was ordered, and what handlers did. Every row is written in the
// transaction that enqueues or completes its job, so that the account at the end comes from the database alone.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/stress/options.h"
#include "millrace/client.h"

namespace millrace::cli::stress {

// One write of a handler.
struct Witness {
  std::int64_t number = 0;  // of the order; negative: of the child that the order's job emitted
  JobId job = 0;
  int attempt = 0;
  std::string worker;
  bool held = true;  // whether that attempt had the job's lease, as the transaction that wrote this saw it
};

// Two orders whose jobs broke a rule together, by their numbers.
using Pair = std::pair<std::int64_t, std::int64_t>;

// The statements and what they are called with. Thread-safe: nothing in it changes. It must live as long as the clients
// it is used with, since SQLite keeps statements by the address of their text.
class Ledger {
 public:
  explicit Ledger(const Options& options);

  // In PostgreSQL a schema of the run's own, in SQLite tables with its name before theirs. Make does nothing to tables
  // that are there. Both fail as Client::transaction does.
  Result<void> Make(Client& client) const;
  Result<void> Drop(Client& client) const;
  // Where the rows are, for people.
  [[nodiscard]] const std::string& place() const { return place_; }

  // The highest number ordered so far, 0 at first; in the caller's transaction.
  Result<std::int64_t> Ordered(SqlSession& sql) const;
  // Notes what was ordered, in the transaction that enqueues it. `orders`: number and job.
  Result<void> Order(SqlSession& sql, const std::vector<std::pair<std::int64_t, JobId>>& orders) const;

  // Notes that a handler begins on a job of a partition or of a limited queue, in a transaction of its own; the number
  // of the entry. PostgreSQL only: a SQLite file has one worker.
  Result<std::int64_t> Enter(Client& client) const;
  // Notes that the handler did its work, in the transaction that completes the job. entered: of Enter, 0 without.
  Result<void> Write(SqlSession& sql, std::int64_t number, const Job& job, std::int64_t entered) const;

  Result<std::map<std::int64_t, JobId>> Orders(Client& client) const;
  Result<std::vector<Witness>> Witnesses(Client& client) const;
  // The rest is empty (or 0) in SQLite. Jobs that were inside a partition while one of another worker was, each pair
  // once.
  Result<std::vector<Pair>> Overlaps(Client& client) const;
  // Where a partition went from one worker to the next, and the next one's lease token was not above all the first's.
  Result<std::vector<Pair>> FallingTokens(Client& client) const;
  // The most handlers that were between entry and end at once.
  Result<std::int64_t> MostAtOnce(Client& client) const;

 private:
  Result<std::vector<Pair>> Pairs(Client& client, const std::string& sql) const;

  bool postgres_;
  std::string place_;
  std::vector<std::string> make_, drop_;
  std::string ordered_, order_, enter_, write_, orders_, witnesses_, overlaps_, falling_, at_once_;
};

}  // namespace millrace::cli::stress
