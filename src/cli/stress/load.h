// The jobs of a stress run, and the thread that enqueues them.
#pragma once

#include <atomic>
#include <functional>
#include <stop_token>

#include "cli/stress/ledger.h"

namespace millrace::cli::stress {

// What the job of an order is to do, by its kind.
inline constexpr std::string_view kDone = "stress.done";      // succeeds
inline constexpr std::string_view kSleep = "stress.sleep";    // succeeds after Options::work
inline constexpr std::string_view kAgain = "stress.again";    // fails at first, then succeeds
inline constexpr std::string_view kParent = "stress.parent";  // emits a child with its completion
inline constexpr std::string_view kChild = "stress.child";    // succeeds; never ordered
inline constexpr std::string_view kFatal = "stress.fatal";    // can never succeed, and says so
inline constexpr std::string_view kSpent = "stress.spent";    // fails until its two attempts are spent

// The job of an order, the same for the same number and seed. One in eleven has a unique key.
NewJob MakeJob(const Options& options, std::int64_t number);
// The child of that job.
NewJob MakeChild(const Options& options, std::int64_t number);

// Where the run's queue stands.
struct Standing {
  std::int64_t finished = 0, open = 0;
  bool all_ordered = false;  // of Options::jobs, when this was read; as Load tells it
};
Result<Standing> ReadStanding(Client& client, const std::string& queue);

// What the database acknowledged of the orders, kept outside of it: an order that was committed, and that the database
// then did not have any more, took its job with it and would be missed by nobody else.
class Receipts {
 public:
  // A batch was committed, and the database said so. Numbers go on behind the highest that is there: what is ordered
  // anew had been acknowledged and is gone.
  void Take(std::int64_t first, std::int64_t last);
  [[nodiscard]] std::int64_t highest() const { return highest_; }
  [[nodiscard]] const std::vector<std::int64_t>& vanished() const { return vanished_; }

 private:
  std::int64_t highest_ = 0;
  std::vector<std::int64_t> vanished_;
};

// Orders jobs, batch by batch, until `stop_load`, each exactly once whatever the database does meanwhile; then goes on
// looking. With Options::jobs, no more than so many. Calls `standing` about ten times a second while the database
// answers, and `ordered` with the first and the last number of each batch that was acknowledged. Returns when `stop`
// says so. What else it has to say is in `broken`: orders whose second enqueue with the same unique key was not told as
// a duplicate; and in `trouble`: why the latest batch failed, if it did.
class Load {
 public:
  Load(Client& client, const Options& options, const Ledger& ledger, std::function<void(const Standing&)> standing,
       std::function<void(std::int64_t, std::int64_t)> ordered);
  void Run(const std::stop_token& stop_load, const std::stop_token& stop);
  // Whether Options::jobs are ordered. Any thread.
  [[nodiscard]] bool all_ordered() const { return all_ordered_; }
  [[nodiscard]] const std::vector<std::int64_t>& broken() const { return broken_; }
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  Result<void> OrderBatch(std::int64_t most);
  [[nodiscard]] std::int64_t Wanted(double seconds) const;

  Client& client_;
  const Options& options_;
  const Ledger& ledger_;
  std::function<void(const Standing&)> told_;
  std::function<void(std::int64_t, std::int64_t)> acknowledged_;
  Standing standing_;
  std::int64_t ordered_ = 0;  // in this run of the program
  std::atomic<bool> all_ordered_ = false;
  std::vector<std::int64_t> broken_;
  std::string trouble_;
};

}  // namespace millrace::cli::stress
