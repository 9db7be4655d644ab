#include "storage/conformance/random_ops.h"

#include <algorithm>
#include <cstdlib>

#include "engine/dependencies.h"
#include "storage/conformance/random_run.h"

namespace millrace::storage {
namespace {

constexpr std::size_t kShownOperations = 30;

}  // namespace

// Queues of each kind of limit, and retry delays without chance.
StorageOptions RandomOptions() {
  StorageOptions options;
  options.max_crashes = 2;
  options.claim_timeout = std::chrono::seconds(60) + kMicro;
  const auto queue = [&](const char* name) -> QueueOptions& {
    options.queues.emplace_back().name = name;
    return options.queues.back();
  };
  queue("narrow").concurrency = 2;
  queue("rated").rate_limit = 2;
  queue("full").capacity = 4;
  QueueOptions& spill = queue("spill");
  spill.capacity = 3;
  spill.overflow = Overflow::kSpill;
  spill.spill_to = Priority::kLow;
  QueueOptions& block = queue("block");
  block.capacity = 5;
  block.overflow = Overflow::kBlock;
  block.retry = RetryPolicy{3, 2 * kSecond, 1.5, kMinute, 0.5};
  return options;
}

void RandomRun::Note(const std::string& text) {
  log_.push_back(text);
  if (log_.size() > kShownOperations) log_.pop_front();
}

NewJob RandomRun::AnyJob() {
  NewJob job;
  job.kind = "k" + std::to_string(Below(3));
  job.args = "{\"n\":" + std::to_string(next_tag_) + "}";
  job.queue = Any(kQueues);
  job.priority = static_cast<Priority>(Below(kPriorityCount));
  if (Chance(20)) job.delay = AnyDelay();
  if (Chance(10)) job.run_at = Must(pair_.real().Now()) + kTick * (Below(40) - 20);
  if (Chance(20)) job.max_attempts = 1 + Below(3);
  if (Chance(20)) job.max_crashes = 1 + Below(2);
  if (Chance(20)) job.timeout = AnyDelay() + kMicro;
  if (Chance(30)) job.partition_key = "p" + std::to_string(Below(4));
  if (Chance(20)) job.unique_key = "u" + std::to_string(Below(8));
  job.tags = {"#" + std::to_string(next_tag_++)};
  if (Chance(20)) job.tags.push_back("red");
  return job;
}

// Some of them in runs (as the driver numbers them), now and then an invalid one.
std::vector<NewJob> RandomRun::AnyJobs(int most) {
  std::vector<NewJob> jobs;
  const std::vector<RunId> runs = pair_.runs.Reals();
  for (int i = 1 + Below(most); i > 0; --i) {
    jobs.push_back(AnyJob());
    if (!runs.empty() && Chance(10)) jobs.back().run_id = Any(runs);
  }
  for (std::size_t i = 0; i < jobs.size(); ++i) Depend(jobs[i], i);
  if (Chance(2)) jobs.back().kind.clear();
  return jobs;
}

// Now and then lets an entry of a batch wait: for earlier ones, and for jobs that exist, mostly new ones, as what is
// old may be deleted.
void RandomRun::Depend(NewJob& job, std::size_t index) {
  if (!Chance(20)) return;
  const std::vector<JobId> known = pair_.jobs.Reals();
  const int recent = std::min<int>(12, static_cast<int>(known.size()));
  for (int i = Below(3); i > 0 && recent > 0; --i)
    job.after.push_back(known[known.size() - 1 - static_cast<std::size_t>(Below(recent))]);
  if (Chance(1) && !known.empty()) job.after.push_back(Any(known));
  for (int i = Below(3); i > 0 && index > 0; --i)
    job.after_in_batch.push_back(static_cast<std::size_t>(Below(static_cast<int>(index))));
  job.when = static_cast<DependencyPolicy>(Below(kDependencyPolicyCount));
}

std::vector<NewJob> RandomRun::ForModel(std::vector<NewJob> jobs) const {
  for (NewJob& job : jobs) {
    job.run_id = pair_.runs.ToModel(job.run_id);
    for (JobId& id : job.after) id = pair_.jobs.ToModel(id);
  }
  return jobs;
}

std::string Describe(const std::vector<NewJob>& jobs) {
  std::string text;
  for (const NewJob& job : jobs) {
    text += " {" + job.tags.at(0) + " " + job.queue + "/" + std::string(priority_name(job.priority));
    if (job.delay) text += " delay " + base::FormatDuration(*job.delay);
    if (job.run_at) text += " run_at";
    if (!job.partition_key.empty()) text += " " + job.partition_key;
    if (!job.unique_key.empty()) text += " " + job.unique_key;
    if (job.run_id != 0) text += " run " + std::to_string(job.run_id);
    if (engine::Waits(job)) text += " when " + std::string(dependency_policy_name(job.when)) + ":";
    for (const JobId id : job.after) text += " " + std::to_string(id);
    for (const std::size_t earlier : job.after_in_batch) text += " [" + std::to_string(earlier) + "]";
    text += "}";
  }
  return text;
}

void RandomRun::Enqueue() {
  const std::vector<NewJob> jobs = AnyJobs(6);
  Note("enqueue" + Describe(jobs));
  const auto real = pair_.real().Enqueue(jobs);
  const auto model = pair_.model().Enqueue(ForModel(jobs));
  if (pair_.BothWorked(real, model)) pair_.CompareEnqueued(*real, *model);
}

// ---- Runs, time ----

void RandomRun::StartRun() {
  RunSpec spec;
  spec.pipeline = "pipeline";
  spec.identity = "identity " + std::to_string(Below(3));
  spec.discovery = AnyJob();
  for (int i = Below(3); i > 0; --i) spec.finals.push_back(AnyJob());
  for (NewJob& final : spec.finals) final.run_at.reset();
  Note("start run " + spec.identity + Describe({spec.discovery}) + Describe(spec.finals));
  const auto real = pair_.real().StartRun(spec);
  const auto model = pair_.model().StartRun(spec);
  if (!pair_.BothWorked(real, model)) return;
  if (real->joined != model->joined) Pair::Differ("joined differs");
  if (real->generation != model->generation) Pair::Differ("generation differs");
  if (!real->joined) pair_.runs.Add(real->id, model->id);
  pair_.MatchNewJobs();
}

void RandomRun::CancelRun() {
  const std::vector<RunId> runs = pair_.runs.Reals();
  if (runs.empty()) return;
  const RunId id = Any(runs);
  Note("cancel run " + std::to_string(id));
  pair_.BothWorked(pair_.real().CancelRun(id), pair_.model().CancelRun(pair_.runs.ToModel(id)));
}

void RandomRun::Advance() {
  const Duration by = Chance(3) ? std::chrono::seconds(400) : Chance(10) ? kStale / 2 : kTick * Below(12);
  Note("advance " + base::FormatDuration(by));
  pair_.Advance(by);
}

// The workers of the old process are gone for good. A new driver gives back what the old process ran, each with a
// crash; at once, or at a rescue of everything.
void RandomRun::Reopen() {
  Note("reopen");
  if (!pair_.Reopen()) return;
  Must(pair_.real().Rescue(-kMicro, 1000 * kHour));
  Must(pair_.model().Rescue(-kMicro, 1000 * kHour));
  pair_.MatchNewJobs();
  for (int i = 0; i < kWorkerIds; ++i) Register(i);
}

void RandomRun::Step() {
  struct Weighted {
    int weight;
    void (RandomRun::*run)();
  };
  static const std::vector<Weighted> kOperations = {
      {160, &RandomRun::Enqueue},      {40, &RandomRun::Transact},       {220, &RandomRun::Claim},
      {200, &RandomRun::Report_},      {80, &RandomRun::ReportAndClaim}, {20, &RandomRun::EmitNow},
      {40, &RandomRun::Heartbeat},     {30, &RandomRun::HeartbeatAll},   {40, &RandomRun::Rescue},
      {5, &RandomRun::RegisterWorker}, {5, &RandomRun::StopWorker},      {15, &RandomRun::Cancel},
      {20, &RandomRun::RetryDead},     {15, &RandomRun::Delete},         {15, &RandomRun::Pause},
      {5, &RandomRun::Configure},      {15, &RandomRun::StartRun},       {3, &RandomRun::CancelRun},
      {80, &RandomRun::Advance},       {10, &RandomRun::List},           {2, &RandomRun::Reopen},
  };
  int total = 0;
  for (const Weighted& one : kOperations) total += one.weight;
  int at = Below(total);
  for (const Weighted& one : kOperations) {
    at -= one.weight;
    if (at < 0) return (this->*one.run)();
  }
}

std::uint64_t RandomSeed() {
  if (const char* seed = std::getenv("MILLRACE_TEST_SEED")) return std::strtoull(seed, nullptr, 10);
  return std::random_device{}();
}

std::string CompareRandomly(const Factory& driver, std::uint64_t seed, int steps) {
  constexpr int kBetweenChecks = 100;
  RandomRun run(driver, seed);
  int step = 0;
  try {
    for (; step < steps; ++step) {
      run.Step();
      if (step % kBetweenChecks == kBetweenChecks - 1) run.Check();
    }
    run.Check();
    return {};
  } catch (const std::exception& difference) {
    std::string text = "step " + std::to_string(step) + ": " + difference.what() + "\nthe last operations:\n";
    for (const std::string& line : run.log()) text += line + "\n";
    return text;
  }
}

}  // namespace millrace::storage
