#include "runtime/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <set>
#include <thread>
#include <unordered_map>

#include "base/log.h"
#include "base/thread_name.h"
#include "runtime/attempt_tally.h"
#include "runtime/missing_handlers.h"

namespace millrace::runtime {
namespace {

using Clock = std::chrono::steady_clock;

// How long a handler may go on after it was asked to stop at its deadline.
constexpr auto kStopGrace = std::chrono::seconds(1);
constexpr double kShort = 50e-6;  // seconds
constexpr auto kLongest = std::chrono::milliseconds(10);
constexpr auto kWatchInterval = std::chrono::milliseconds(100);

Outcome RunHandler(const Handler& handler, Context& context) {
  try {
    return handler.function(context);
  } catch (const std::exception& error) {
    return Outcome::retry(error.what());
  } catch (...) {
    return Outcome::retry("the handler threw something that is not a std::exception");
  }
}

}  // namespace

struct Executor::Core : std::enable_shared_from_this<Core> {
  std::shared_ptr<storage::Storage> storage;
  std::shared_ptr<const Handlers> handlers;
  std::shared_ptr<Completer> completer;
  storage::WorkerRef worker;
  int slots = 0;
  MissingHandlers missing;
  WriteFailures write_failures;

  mutable std::mutex mutex;  // of all that follows
  std::condition_variable work_or_end;
  std::condition_variable watch;
  std::deque<storage::ClaimedJob> queue;
  std::set<std::shared_ptr<RunningAttempt>> running;
  int taken = 0;    // by threads, not finished: running, and a few about to
  int waiting = 0;  // threads without work
  int stuck = 0;    // threads left behind
  bool ending = false;
  int cut_off = 0;  // attempts that had to end unfinished
  double seconds_per_job = 0;
  std::unordered_map<std::string, double> seconds_by_kind;

  // ---- Executor threads
  void Work();
  std::vector<storage::ClaimedJob> TakeSome(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] bool IsShort(const std::string& kind) const {
    const auto found = seconds_by_kind.find(kind);
    return found != seconds_by_kind.end() && found->second < kShort;
  }
  std::optional<storage::Report> Run(storage::ClaimedJob job, AttemptTally& tally, bool& replaced);
  storage::Report PutOff(const storage::ClaimedJob& job);
  void Finished(const std::string& kind, std::size_t jobs, double seconds, std::vector<storage::Report> reports);
  void PutBack(std::vector<storage::ClaimedJob>& jobs, std::size_t done);

  // A copy: stopping an attempt runs its handler's stop callbacks, which must not happen under the mutex.
  std::vector<std::shared_ptr<RunningAttempt>> Running() const {
    const std::lock_guard lock(mutex);
    return {running.begin(), running.end()};
  }

  // ---- Watchdog
  void Watch();
  void EndOverdue(Clock::time_point now);
};

// Jobs of kinds known to be short are taken several at a time, so that threads do not meet at the queue for each;
// others one by one, so that none waits behind another while a thread is idle.
std::vector<storage::ClaimedJob> Executor::Core::TakeSome(std::unique_lock<std::mutex>& lock) {
  ++waiting;
  work_or_end.wait(lock, [&] { return ending || !queue.empty(); });
  --waiting;
  const auto share = std::clamp<std::size_t>(queue.size() / (2 * static_cast<std::size_t>(slots)), 1, 64);
  std::vector<storage::ClaimedJob> jobs;
  while (!queue.empty() && (jobs.empty() || (jobs.size() < share && IsShort(queue.front().kind)))) {
    jobs.push_back(std::move(queue.front()));
    queue.pop_front();
    if (!IsShort(jobs.front().kind)) break;
  }
  taken += static_cast<int>(jobs.size());
  return jobs;
}

// No attempt is counted: a worker that has the handler may come, or be there already.
storage::Report Executor::Core::PutOff(const storage::ClaimedJob& job) {
  const MissingHandlers::Answer answer = missing.Met(job.kind, Clock::now());
  if (answer.tell) {
    std::string known;
    for (const std::string& kind : handlers->Kinds()) known += (known.empty() ? "" : ", ") + kind;
    base::Log(
        base::Level::kWarn,
        fmt::format("no handler for kind '{}' here; its jobs wait, up to a minute at a time, for a worker that has "
                    "one: start that worker, or cancel the jobs",
                    job.kind),
        {{"kind", job.kind}, {"queue", job.queue}, {"job", std::to_string(job.id)}, {"here", known}});
  }
  storage::Report report = ReportFor(
      job, storage::Verdict::kSnooze,
      fmt::format("no handler for kind '{}' in worker {}; waiting for a worker that has one", job.kind, worker.id));
  report.delay = answer.delay;
  return report;
}

std::optional<storage::Report> Executor::Core::Run(storage::ClaimedJob job, AttemptTally& tally, bool& replaced) {
  const Handler* handler = handlers->Find(job.kind);
  if (handler == nullptr) return PutOff(job);
  const Duration timeout = handlers->TimeoutOf(job);
  const auto attempt = std::make_shared<RunningAttempt>(*storage, write_failures, worker, std::move(job), timeout);
  {
    const std::lock_guard lock(mutex);
    running.insert(attempt);
    if (running.size() == 1) watch.notify_one();
  }
  AttemptTally::Begin(attempt->claimed());
  const Outcome outcome = RunHandler(*handler, *attempt);
  const auto ended = Clock::now();
  std::optional<storage::Report> report = attempt->Finish(outcome, *handlers);
  {
    const std::lock_guard lock(mutex);
    replaced = attempt->abandoned();
    running.erase(attempt);
  }
  // Whoever abandoned it has counted it already.
  if (!replaced) tally.End(*attempt, ended);
  return report;
}

void Executor::Core::Finished(const std::string& kind, std::size_t jobs, double seconds,
                              std::vector<storage::Report> reports) {
  for (const storage::Report& report : reports) {
    if (report.verdict == storage::Verdict::kRetry || report.verdict == storage::Verdict::kDead) {
      const bool dead = report.verdict == storage::Verdict::kDead;
      base::Log(
          dead ? base::Level::kError : base::Level::kWarn, dead ? "Job dead" : "Job failed",
          {{"job", std::to_string(report.id)}, {"attempt", std::to_string(report.attempt)}, {"error", report.text}});
    }
  }
  const std::lock_guard lock(mutex);
  taken -= static_cast<int>(jobs);
  const double each = seconds / static_cast<double>(jobs);
  if (handlers->Find(kind) != nullptr) {  // else nothing was run
    for (double* average : {&seconds_per_job, &seconds_by_kind[kind]}) {
      *average = *average == 0 ? each : *average * 0.9 + each * 0.1;
    }
  }
  for (const storage::Report& report : reports) cut_off += report.verdict == storage::Verdict::kReleased ? 1 : 0;
  // Under the mutex: whoever sees that nothing runs any more also sees the outcomes.
  completer->Add(std::move(reports), queue.empty());
}

// Jobs taken and not started go back to the head of the queue.
void Executor::Core::PutBack(std::vector<storage::ClaimedJob>& jobs, std::size_t done) {
  const std::lock_guard lock(mutex);
  for (std::size_t i = jobs.size(); i > done; --i) queue.push_front(std::move(jobs[i - 1]));
  taken -= static_cast<int>(jobs.size() - done);
  work_or_end.notify_one();
}

void Executor::Core::Work() {
  base::NameThread("mr-executor");
  while (true) {
    std::vector<storage::ClaimedJob> jobs;
    {
      std::unique_lock lock(mutex);
      jobs = TakeSome(lock);
      if (jobs.empty()) return;
    }
    std::vector<storage::Report> reports;
    AttemptTally tally;
    reports.reserve(jobs.size());
    const std::string kind = jobs.front().kind;
    const auto begin = Clock::now();
    bool replaced = false;
    std::size_t done = 0;
    for (storage::ClaimedJob& job : jobs) {
      if (auto report = Run(std::move(job), tally, replaced)) reports.push_back(std::move(*report));
      ++done;
      // A job that turned out long must not keep those taken with it waiting.
      if (replaced || Clock::now() - begin > kLongest) break;
    }
    tally.Flush();
    if (done < jobs.size()) PutBack(jobs, done);
    if (replaced) {  // another thread has this slot
      {
        const std::lock_guard lock(mutex);
        --stuck;
      }
      if (!reports.empty()) completer->Add(std::move(reports), true);
      return;
    }
    Finished(kind, done, std::chrono::duration<double>(Clock::now() - begin).count(), std::move(reports));
  }
}

// Handlers past their deadline are asked to stop; those that do not within the grace are given up.
void Executor::Core::EndOverdue(Clock::time_point now) {
  std::vector<std::shared_ptr<RunningAttempt>> overdue;
  {
    const std::lock_guard lock(mutex);
    for (const auto& attempt : running) {
      if (now >= attempt->deadline() && !attempt->abandoned()) overdue.push_back(attempt);
    }
  }
  for (const auto& attempt : overdue) {
    attempt->Stop(StopReason::kTimeout);
    if (now < attempt->deadline() + kStopGrace) continue;
    std::vector<storage::Report> reports;
    {
      const std::lock_guard lock(mutex);
      if (!running.contains(attempt) || stuck >= 2 * slots) continue;
      if (auto report = attempt->Abandon(*handlers)) reports.push_back(std::move(*report));
      AttemptTally().End(*attempt, now);
      ++stuck;
      --taken;
    }
    base::Log(base::Level::kError, "Handler ignores its deadline; its thread is left behind",
              {{"job", std::to_string(attempt->claimed().id)}, {"kind", attempt->claimed().kind}});
    std::thread([core = shared_from_this()] { core->Work(); }).detach();
    completer->Add(std::move(reports), true);
  }
}

void Executor::Core::Watch() {
  base::NameThread("mr-watchdog");
  std::unique_lock lock(mutex);
  while (!ending) {
    if (running.empty()) {
      watch.wait(lock, [&] { return ending || !running.empty(); });
    } else {
      watch.wait_for(lock, kWatchInterval, [&] { return ending; });
    }
    lock.unlock();
    EndOverdue(Clock::now());
    lock.lock();
  }
}

Executor::Executor(std::shared_ptr<storage::Storage> storage, std::shared_ptr<const Handlers> handlers,
                   std::shared_ptr<Completer> completer, storage::WorkerRef worker, int slots)
    : core_(std::make_shared<Core>()) {
  core_->storage = std::move(storage);
  core_->handlers = std::move(handlers);
  core_->completer = std::move(completer);
  core_->worker = std::move(worker);
  core_->slots = slots;
  for (int i = 0; i < slots; ++i) threads_.emplace_back([core = core_] { core->Work(); });
  watchdog_ = std::thread([core = core_] { core->Watch(); });
}

Executor::~Executor() {
  bool stuck = false;
  {
    const std::lock_guard lock(core_->mutex);
    core_->ending = true;
    stuck = core_->stuck > 0;
    core_->work_or_end.notify_all();
    core_->watch.notify_all();
  }
  watchdog_.join();
  // With a stuck handler there is no telling which thread it sits in, so none is waited for; they share what they use.
  for (std::thread& thread : threads_) {
    if (stuck) {
      thread.detach();
    } else {
      thread.join();
    }
  }
}

void Executor::Submit(std::vector<storage::ClaimedJob> jobs) {
  const std::lock_guard lock(core_->mutex);
  const auto wake = std::min<std::size_t>(jobs.size(), static_cast<std::size_t>(core_->waiting));
  std::move(jobs.begin(), jobs.end(), std::back_inserter(core_->queue));
  for (std::size_t i = 0; i < wake; ++i) core_->work_or_end.notify_one();
}

Executor::Load Executor::load() const {
  const std::lock_guard lock(core_->mutex);
  return {core_->slots, core_->taken, static_cast<int>(core_->queue.size()), core_->seconds_per_job};
}

std::vector<storage::Report> Executor::ReleaseQueued() {
  const std::lock_guard lock(core_->mutex);
  std::vector<storage::Report> reports;
  for (const storage::ClaimedJob& job : core_->queue) reports.push_back(ReportFor(job, storage::Verdict::kReleased));
  core_->queue.clear();
  return reports;
}

void Executor::Cancel(std::span<const JobId> jobs) {
  const std::set<JobId> wanted(jobs.begin(), jobs.end());
  std::vector<storage::Report> reports;
  for (const auto& attempt : core_->Running()) {
    if (wanted.contains(attempt->claimed().id)) attempt->Stop(StopReason::kCancelled);
  }
  {
    const std::lock_guard lock(core_->mutex);
    std::erase_if(core_->queue, [&](const storage::ClaimedJob& job) {
      if (!wanted.contains(job.id)) return false;
      reports.push_back(ReportFor(job, storage::Verdict::kCancelled, "cancelled on request"));
      return true;
    });
  }
  if (!reports.empty()) core_->completer->Add(std::move(reports), true);
}

void Executor::StopRunning(StopReason reason) {
  for (const auto& attempt : core_->Running()) attempt->Stop(reason);
}

int Executor::AbandonRunning() {
  std::vector<storage::Report> reports;
  int count = 0;
  {
    const std::lock_guard lock(core_->mutex);
    for (const auto& attempt : core_->running) {
      if (attempt->abandoned()) continue;
      if (auto report = attempt->Abandon(*core_->handlers)) reports.push_back(std::move(*report));
      AttemptTally().End(*attempt, Clock::now());
      ++core_->stuck;
      --core_->taken;
    }
    count = core_->cut_off + static_cast<int>(reports.size());
  }
  if (!reports.empty()) core_->completer->Add(std::move(reports), true);
  return count;
}

std::optional<Error> Executor::LastingWriteFailure() const { return core_->write_failures.lasting(); }

std::vector<storage::JobProgress> Executor::TakeProgress() {
  const std::lock_guard lock(core_->mutex);
  std::vector<storage::JobProgress> all;
  for (const auto& attempt : core_->running) {
    if (auto progress = attempt->TakeProgress()) all.push_back(std::move(*progress));
  }
  return all;
}

}  // namespace millrace::runtime
