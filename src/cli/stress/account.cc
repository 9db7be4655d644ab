#include "cli/stress/account.h"

#include <algorithm>
#include <cmath>
#include <set>

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
    for (const Witness& witness : books.witnesses) writes_[witness.job].push_back(&witness);
    for (const auto& [number, id] : books.orders) expected_[id] = number;
    account_.enqueued = static_cast<std::int64_t>(books.orders.size());
    account_.overlaps = books.overlaps;
    account_.falling_tokens = books.falling_tokens;
    account_.most_at_once = books.most_at_once;
    if (books.concurrency)
      account_.over_concurrency = std::max<std::int64_t>(0, books.most_at_once - *books.concurrency);
  }

  Account Run() {
    for (const Job& job : books_.jobs) Take(job);
    // What is still expected was ordered and is nowhere.
    for (const auto& [id, number] : expected_) {
      if (!seen_.contains(id)) account_.lost.push_back(id);
    }
    TakeReceipts();
    // Each parent that completed has one child, each child such a parent.
    for (const auto& [parent, ids] : children_) {
      if (!parents_.contains(parent)) account_.misjudged.insert(account_.misjudged.end(), ids.begin(), ids.end());
    }
    for (const auto& [parent, id] : parents_) {
      if (const auto found = children_.find(parent); found == children_.end()) {
        account_.lost.push_back(id);
      } else if (found->second.size() > 1) {
        account_.duplicates.push_back(id);
      }
    }
    if (books_.rate) account_.over_rate = OverRate(std::move(starts_), *books_.rate);
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
      children_[-number].push_back(job.id);
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
    TakeWrites(job, writes_[job.id]);
    static const std::vector<Attempt> kNone;
    const auto attempts = books_.attempts.find(job.id);
    const std::vector<Attempt>& told = attempts == books_.attempts.end() ? kNone : attempts->second;
    for (const Attempt& attempt : told) ++account_.attempts[attempt.outcome];
    if (!Explained(job, told)) account_.unexplained.push_back(job.id);
    if (books_.rate) TakeStarts(job, told);
  }

  // Orders are numbered without a gap, so what is missing below the highest that is known was there once.
  void TakeReceipts() {
    std::set<std::int64_t> vanished(books_.receipts.vanished().begin(), books_.receipts.vanished().end());
    std::int64_t highest = books_.receipts.highest();
    if (!books_.orders.empty()) highest = std::max(highest, books_.orders.rbegin()->first);
    for (std::int64_t number = 1; number <= highest; ++number) {
      if (!books_.orders.contains(number)) vanished.insert(number);
    }
    account_.vanished.assign(vanished.begin(), vanished.end());
  }

  void TakeWrites(const Job& job, const std::vector<const Witness*>& writes) {
    if (writes.size() > 1) account_.duplicates.push_back(job.id);
    if (writes.empty() && job.kind != kSpent) account_.unwitnessed.push_back(job.id);
    const bool late = std::any_of(writes.begin(), writes.end(), [&](const Witness* write) {
      return !write->held || write->attempt != job.attempt || write->worker != job.worker;
    });
    if (late) account_.late.push_back(job.id);
  }

  // The latest start stands with the job, and once more with its attempts when that one failed.
  void TakeStarts(const Job& job, const std::vector<Attempt>& told) {
    std::set<Time> starts;
    for (const Attempt& attempt : told) starts.insert(attempt.started_at);
    if (job.started_at) starts.insert(*job.started_at);
    starts_.insert(starts_.end(), starts.begin(), starts.end());
  }

  const Books& books_;
  Account account_;
  std::vector<Time> starts_;
  std::map<JobId, std::vector<const Witness*>> writes_;
  std::map<JobId, int> seen_;
  std::map<JobId, std::int64_t> expected_;
  std::map<std::int64_t, JobId> parents_;
  std::map<std::int64_t, std::vector<JobId>> children_;
};

}  // namespace

Result<Books> ReadBooks(Client& client, const Options& options, const Ledger& ledger) {
  storage::Storage& storage = *client.impl()->storage;
  Books books;
  MILLRACE_ASSIGN(books.orders, ledger.Orders(client));
  MILLRACE_ASSIGN(books.witnesses, ledger.Witnesses(client));
  MILLRACE_ASSIGN(books.overlaps, ledger.Overlaps(client));
  MILLRACE_ASSIGN(books.falling_tokens, ledger.FallingTokens(client));
  if (options.queue_concurrency) {
    MILLRACE_ASSIGN(books.most_at_once, ledger.MostAtOnce(client));
  }
  books.concurrency = options.queue_concurrency;
  books.rate = options.queue_rate;
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

// With n starts in a stretch of time t, the bucket has been exceeded by n - capacity - rate * t. The worst stretch
// begins where starts so far less tokens so far was lowest.
std::int64_t OverRate(std::vector<Time> starts, double rate) {
  std::sort(starts.begin(), starts.end());
  double lowest = 0, worst = 0;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const double tokens = rate * std::chrono::duration<double>(starts[i] - starts[0]).count();
    const double balance = static_cast<double>(i) - tokens;
    lowest = i == 0 ? balance : std::min(lowest, balance);
    worst = std::max(worst, balance + 1 - lowest - std::max(rate, 1.0));
  }
  return static_cast<std::int64_t>(std::ceil(worst - 1e-6));
}

Account Settle(const Books& books) { return Settling(books).Run(); }

}  // namespace millrace::cli::stress
