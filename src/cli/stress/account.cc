#include "cli/stress/account.h"

#include <algorithm>

#include "base/json.h"
#include "base/try.h"
#include "cli/stress/load.h"
#include "runtime/client_impl.h"
#include "storage/storage.h"

namespace millrace::cli::stress {
namespace {

constexpr int kPage = 5000;

bool Finished(const Job& job) { return job.state == JobState::kCompleted || job.state == JobState::kDead; }

bool ShouldDie(const Job& job) { return job.kind == kFatal || job.kind == kSpent; }

std::int64_t NumberOf(const Job& job) {
  const auto args = base::ParseJson(job.args);
  if (!args || !args->is_object()) return 0;
  const auto* number = args->get_object().if_contains("number");
  return number != nullptr && number->is_int64() ? number->get_int64() : 0;
}

// Whether what is counted with a finished job is what history tells of it.
bool Explained(const Job& job, const std::vector<Attempt>& attempts) {
  const auto crashed =
      std::count_if(attempts.begin(), attempts.end(), [](const Attempt& a) { return a.outcome == "crashed"; });
  const auto failed = static_cast<std::int64_t>(attempts.size()) - crashed;
  return crashed == job.crashes && failed + (job.state == JobState::kCompleted ? 1 : 0) == job.attempt;
}

// Settles the jobs of the books one by one.
class Settling {
 public:
  explicit Settling(const Books& books) : books_(books) {
    for (const Witness& witness : books.witnesses) ++writes_[witness.job];
    for (const auto& [number, id] : books.orders) expected_[id] = number;
    account_.enqueued = static_cast<std::int64_t>(books.orders.size());
    account_.overlaps = books.overlaps;
  }

  Account Run() {
    for (const Job& job : books_.jobs) Take(job);
    // What is still expected was ordered and is nowhere.
    for (const auto& [id, number] : expected_) {
      if (!seen_.contains(id)) account_.lost.push_back(id);
    }
    // Each parent that completed has one child, each child such a parent.
    for (const auto& [parent, id] : parents_) {
      if (const auto found = children_.find(parent); found == children_.end()) {
        account_.lost.push_back(id);
      } else if (found->second > 1) {
        account_.duplicates.push_back(id);
      }
    }
    return std::move(account_);
  }

 private:
  void Take(const Job& job) {
    if (seen_[job.id]++ > 0) {
      account_.duplicates.push_back(job.id);
      return;
    }
    const std::int64_t number = NumberOf(job);
    const auto order = expected_.find(job.id);
    const bool child = job.kind == kChild;
    if (child) {
      ++children_[-number];
      ++account_.children;
    }
    if (child == (order != expected_.end()) || (!child && order->second != number)) {
      account_.misjudged.push_back(job.id);
      return;
    }
    if (!Finished(job)) {
      account_.lost.push_back(job.id);
      return;
    }
    const bool dead = job.state == JobState::kDead;
    ++(dead ? account_.dead : account_.completed);
    if (dead != ShouldDie(job)) account_.misjudged.push_back(job.id);
    if (job.kind == kParent && !dead) parents_[number] = job.id;
    const int writes = writes_[job.id];
    if (writes > 1) account_.duplicates.push_back(job.id);
    if (writes == 0 && job.kind != kSpent) account_.unwitnessed.push_back(job.id);
    static const std::vector<Attempt> kNone;
    const auto attempts = books_.attempts.find(job.id);
    const std::vector<Attempt>& told = attempts == books_.attempts.end() ? kNone : attempts->second;
    for (const Attempt& attempt : told) ++account_.attempts[attempt.outcome];
    if (!Explained(job, told)) account_.unexplained.push_back(job.id);
  }

  const Books& books_;
  Account account_;
  std::map<JobId, int> writes_, seen_;
  std::map<JobId, std::int64_t> expected_;
  std::map<std::int64_t, JobId> parents_;
  std::map<std::int64_t, int> children_;
};

}  // namespace

Result<Books> ReadBooks(Client& client, const Options& options, const Ledger& ledger) {
  storage::Storage& storage = *client.impl()->storage;
  Books books;
  MILLRACE_ASSIGN(books.orders, ledger.Orders(client));
  MILLRACE_ASSIGN(books.witnesses, ledger.Witnesses(client));
  MILLRACE_ASSIGN(books.overlaps, ledger.Overlaps(client));
  storage::JobFilter filter;
  filter.queue = options.queue();
  filter.limit = kPage;
  while (true) {
    MILLRACE_ASSIGN(std::vector<Job> page, storage.ListJobs(filter));
    if (page.empty()) break;
    filter.after_id = page.back().id;
    for (Job& job : page) {
      if (job.attempt > 1 || job.crashes > 0 || job.state == JobState::kDead) {
        MILLRACE_ASSIGN(books.attempts[job.id], storage.Attempts(job.id));
      }
      books.jobs.push_back(std::move(job));
    }
  }
  return books;
}

Account Settle(const Books& books) { return Settling(books).Run(); }

}  // namespace millrace::cli::stress
