#include "cli/stress/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "base/try.h"
#include "runtime/client_impl.h"
#include "storage/storage.h"

namespace millrace::cli::stress {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kBatch = 200;
constexpr auto kLookEvery = std::chrono::milliseconds(100);
constexpr auto kPause = std::chrono::milliseconds(5);
// Waiting jobs for each worker when the load is "as many as they can take".
constexpr std::int64_t kBacklog = 3000;
// An attempt that nobody ends comes back after this, and what the rescuer adds.
constexpr Duration kTimeout = std::chrono::seconds(20);
// Only the faults of a run may end its attempts, never a count of them.
constexpr int kNoLimit = 1'000'000;

// splitmix64: one number for each order, from the seed.
std::uint64_t Draw(unsigned seed, std::int64_t number) {
  std::uint64_t z = (static_cast<std::uint64_t>(seed) << 32) + static_cast<std::uint64_t>(number) * 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

std::string_view KindOf(std::uint64_t draw) {
  const std::uint64_t percent = draw % 100;
  if (percent < 3) return kFatal;
  if (percent < 5) return kSpent;
  if (percent < 9) return kAgain;
  if (percent < 14) return kParent;
  if (percent < 24) return kSleep;
  return kDone;
}

}  // namespace

NewJob MakeJob(const Options& options, std::int64_t number) {
  const std::uint64_t draw = Draw(options.seed, number);
  NewJob job;
  job.kind = KindOf(draw);
  job.args = fmt::format("{{\"number\": {}}}", number);
  job.queue = options.queue();
  job.priority = static_cast<Priority>((draw >> 8) % kPriorityCount);
  job.max_attempts = job.kind == kSpent ? 2 : kNoLimit;
  job.max_crashes = kNoLimit;
  job.timeout = kTimeout;
  if (options.partitions > 0 && static_cast<int>((draw >> 16) % 100) < options.partitioned)
    job.partition_key = fmt::format("{} {}", options.queue(), (draw >> 24) % static_cast<unsigned>(options.partitions));
  if ((draw >> 40) % 11 == 0) job.unique_key = fmt::format("{} {}", options.queue(), number);
  job.tags = {"stress"};
  return job;
}

NewJob MakeChild(const Options& options, std::int64_t number) {
  NewJob job;
  job.kind = kChild;
  job.args = fmt::format("{{\"number\": {}}}", -number);
  job.queue = options.queue();
  job.max_attempts = job.max_crashes = kNoLimit;
  job.timeout = kTimeout;
  job.tags = {"stress"};
  return job;
}

Result<Standing> ReadStanding(Client& client, const std::string& queue) {
  MILLRACE_ASSIGN(const std::vector<storage::QueueRow> rows, client.impl()->storage->Queues());
  Standing standing;
  for (const storage::QueueRow& row : rows) {
    if (row.name != queue) continue;
    for (const auto& counts : row.counts) {
      for (int state = 0; state < kJobStateCount; ++state) {
        const bool finished = state >= static_cast<int>(JobState::kCompleted);
        (finished ? standing.finished : standing.open) += counts[state];
      }
    }
  }
  return standing;
}

void Receipts::Take(std::int64_t first, std::int64_t last) {
  for (std::int64_t number = first; number <= highest_; ++number) vanished_.push_back(number);
  highest_ = last;
}

Load::Load(Client& client, const Options& options, const Ledger& ledger, std::function<void(const Standing&)> standing,
           std::function<void(std::int64_t, std::int64_t)> ordered)
    : client_(client),
      options_(options),
      ledger_(ledger),
      told_(std::move(standing)),
      acknowledged_(std::move(ordered)) {}

Result<void> Load::OrderBatch(std::int64_t most) {
  std::vector<std::int64_t> broken;
  std::int64_t highest = 0;
  MILLRACE_TRY(client_.transaction([&](Transaction& transaction) -> Result<void> {
    broken.clear();
    // A commit whose answer was lost shows here: numbers go on behind what is there.
    MILLRACE_ASSIGN(highest, ledger_.Ordered(transaction.sql()));
    if (options_.jobs > 0) most = std::min(most, options_.jobs - highest);
    all_ordered_ = most <= 0;
    if (all_ordered_) return {};
    std::vector<NewJob> jobs;
    std::vector<std::int64_t> numbers;
    for (std::int64_t number = highest + 1; number <= highest + most; ++number) {
      jobs.push_back(MakeJob(options_, number));
      numbers.push_back(number);
      if (jobs.back().unique_key.empty()) continue;
      jobs.push_back(jobs.back());
      numbers.push_back(number);
    }
    MILLRACE_ASSIGN(const std::vector<Enqueued> enqueued, transaction.enqueue(jobs));
    std::vector<std::pair<std::int64_t, JobId>> orders;
    for (std::size_t i = 0; i < enqueued.size(); ++i) {
      const bool second = i > 0 && numbers[i] == numbers[i - 1];
      if (second != enqueued[i].duplicate || (second && enqueued[i].id != enqueued[i - 1].id))
        broken.push_back(numbers[i]);
      if (!second) orders.emplace_back(numbers[i], enqueued[i].id);
    }
    return ledger_.Order(transaction.sql(), orders);
  }));
  if (most > 0) acknowledged_(highest + 1, highest + most);
  ordered_ += std::max<std::int64_t>(most, 0);
  broken_.insert(broken_.end(), broken.begin(), broken.end());
  return {};
}

// How many to order now.
std::int64_t Load::Wanted(double seconds) const {
  const std::int64_t backlog = std::min<std::int64_t>(kBacklog * options_.workers, 20'000) - standing_.open;
  if (options_.jobs_per_second <= 0) return std::clamp<std::int64_t>(backlog, 0, kBatch);
  const auto due = static_cast<std::int64_t>(options_.jobs_per_second * seconds) - ordered_;
  return std::clamp<std::int64_t>(due, 0, kBatch);
}

void Load::Run(const std::stop_token& stop_load, const std::stop_token& stop) {
  const auto begun = Clock::now();
  auto look_at = begun;
  while (!stop.stop_requested()) {
    if (Clock::now() >= look_at) {
      look_at = Clock::now() + kLookEvery;
      if (auto standing = ReadStanding(client_, options_.queue())) {
        standing->all_ordered = all_ordered_;
        told_(standing_ = *standing);
      }
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    const std::int64_t wanted = stop_load.stop_requested() || all_ordered_ ? 0 : Wanted(seconds);
    if (wanted > 0) {
      // A failure is one of the run's own faults: the next batch begins where the ledger ends.
      const auto ordered = OrderBatch(wanted);
      trouble_ = ordered ? "" : ordered.error().message;
      if (ordered && !all_ordered_) {
        standing_.open += wanted;
        continue;
      }
    }
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace millrace::cli::stress
