// Jobs through the public headers alone: what a user's own program would measure.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "bench.h"
#include "millrace/client.h"
#include "millrace/worker.h"

namespace millrace::bench {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::time_point from, Clock::time_point to = Clock::now()) {
  return std::chrono::duration<double>(to - from).count();
}

template <class T>
T Must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

Client Open(const Setting& setting) {
  StorageOptions options;
  options.url = (setting.folder / "bench.db").string();
  options.owner = "bench";
  return Must(Client::open(options));
}

// A batch as a busy producer would send it: args of about 60 bytes.
std::vector<NewJob> Batch(std::int64_t first, std::int64_t count) {
  std::vector<NewJob> jobs(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    NewJob& job = jobs[static_cast<std::size_t>(i)];
    job.kind = "noop";
    job.args = R"({"account":)" + std::to_string(10'000'000 + first + i) + R"(,"template":"welcome","locale":"en-GB"})";
  }
  return jobs;
}

constexpr std::int64_t kBatch = 2000;

// Enqueues `count` jobs; the ids of the first and the last.
std::pair<JobId, JobId> EnqueueAll(Client& client, std::int64_t count) {
  std::pair<JobId, JobId> ids{0, 0};
  for (std::int64_t done = 0; done < count;) {
    std::int64_t size = std::min(kBatch, count - done);
    auto enqueued = Must(client.enqueue(Batch(done, size)));
    if (done == 0) ids.first = enqueued.front().id;
    ids.second = enqueued.back().id;
    done += size;
  }
  return ids;
}

// Counts what its handler ran and lets others wait for a number.
class Counter {
 public:
  Outcome Count() {
    auto now = done_.fetch_add(1, std::memory_order_relaxed) + 1;
    if (now == wanted_.load(std::memory_order_relaxed)) {
      std::lock_guard lock(mutex_);
      reached_ = Clock::now();
      condition_.notify_all();
    }
    return Outcome::done();
  }
  // Call before the jobs are there. Returns when `wanted` have run in all; the moment the last did.
  void Want(std::int64_t wanted) {
    std::lock_guard lock(mutex_);
    wanted_ = wanted;
    reached_.reset();
  }
  Clock::time_point Wait() {
    std::unique_lock lock(mutex_);
    condition_.wait(lock, [&] { return reached_.has_value(); });
    return *reached_;
  }
  [[nodiscard]] std::int64_t Done() const { return done_.load(); }

 private:
  std::atomic<std::int64_t> done_{0}, wanted_{-1};
  std::mutex mutex_;
  std::condition_variable condition_;
  std::optional<Clock::time_point> reached_;
};

// A worker on a thread of its own, stopped and joined at the end.
class RunningWorker {
 public:
  RunningWorker(const Client& client, const WorkerOptions& options, HandlerFunction handler)
      : worker_(client, options) {
    worker_.handle_raw("noop", std::move(handler));
    thread_ = std::thread([this] { status_ = worker_.run(); });
  }
  ~RunningWorker() {
    worker_.stop();
    thread_.join();
  }
  RunningWorker(const RunningWorker&) = delete;
  RunningWorker& operator=(const RunningWorker&) = delete;

 private:
  Worker worker_;
  Result<int> status_ = 0;
  std::thread thread_;
};

WorkerOptions Slots(int concurrency) {
  WorkerOptions options;
  options.concurrency = concurrency;
  return options;
}

// Works off what is there with the real worker; seconds until everything was run and reported.
double Drain(const Client& client, std::int64_t count, WorkerOptions options) {
  options.max_jobs = count;
  Worker worker(client, options);
  worker.handle_raw("noop", [](Context&) { return Outcome::done(); });
  auto start = Clock::now();
  if (Must(worker.run()) != 0) throw std::runtime_error("the worker released work");
  return Seconds(start);
}

// History is kept: jobs all over the range are there and completed.
void CheckCompleted(Client& client, std::pair<JobId, JobId> ids) {
  JobId step = std::max<JobId>(1, (ids.second - ids.first) / 500);
  for (JobId id = ids.first; id <= ids.second; id += step) {
    Job job = Must(client.get(id));
    if (job.state != JobState::kCompleted) throw std::runtime_error("job " + std::to_string(id) + " is not completed");
  }
}

// What the commits cost, as the database itself says it.
std::string Synchronous(Client& client) {
  std::string level;
  Must(client.transaction([&](Transaction& transaction) {
    return transaction.sql().query("PRAGMA synchronous", {}, [&](const SqlRow& row) {
      level = row.integer(0) == 2 ? "synchronous=FULL" : "synchronous=" + std::to_string(row.integer(0));
      return false;
    });
  }));
  return level;
}

void EnqueueWorkload(const Setting& setting, Results& results) {
  Client client = Open(setting);
  std::int64_t count = setting.jobs > 0 ? setting.jobs : 500'000;
  auto start = Clock::now();
  EnqueueAll(client, count);
  results.Add("enqueue", static_cast<double>(count) / Seconds(start), "jobs/s",
              std::to_string(count) + " jobs in batches of " + std::to_string(kBatch) + ", " + Synchronous(client));
}

void DrainWorkload(const Setting& setting, Results& results) {
  Client client = Open(setting);
  std::int64_t count = setting.jobs > 0 ? setting.jobs : 500'000;
  auto ids = EnqueueAll(client, count);
  double seconds = Drain(client, count, {});
  CheckCompleted(client, ids);
  results.Add("drain", static_cast<double>(count) / seconds, "jobs/s",
              std::to_string(count) + " jobs to completed, history kept, " + Synchronous(client));
}

void FlowWorkload(const Setting& setting, Results& results) {
  Client client = Open(setting);
  std::int64_t count = setting.jobs > 0 ? setting.jobs : 500'000;
  Counter counter;
  counter.Want(count);
  RunningWorker worker(client, {}, [&](Context&) { return counter.Count(); });
  auto start = Clock::now();
  EnqueueAll(client, count);
  auto end = counter.Wait();
  results.Add("flow", static_cast<double>(count) / Seconds(start, end), "jobs/s",
              "enqueued and worked at the same time, first enqueue to last handler");
}

void MemoryWorkload(const Setting& setting, Results& results) {
  Client client = Open(setting);
  std::int64_t count = setting.jobs > 0 ? setting.jobs : 2'000'000;
  std::int64_t step = std::max<std::int64_t>(1, count / 20);
  Counter counter;
  RunningWorker worker(client, {}, [&](Context&) { return counter.Count(); });
  std::string series;
  double first = 0, last = 0;
  for (std::int64_t done = step; done <= count; done += step) {
    counter.Want(done);
    EnqueueAll(client, step);
    counter.Wait();
    last = static_cast<double>(ResidentBytes()) / 1e6;
    if (first == 0) first = last;
    series += (series.empty() ? "" : " ") + std::to_string(static_cast<int>(last));
  }
  results.Add("memory.after_5_percent", first, "MB",
              "resident, " + std::to_string(count) + " jobs enqueued and worked");
  results.Add("memory.at_the_end", last, "MB", "series: " + series);
  results.Add("memory.growth", last - first, "MB", "flat is the target");
}

double Percentile(std::vector<double>& values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

void LatencyWorkload(const Setting& setting, Results& results) {
  Client client = Open(setting);
  Counter counter;
  RunningWorker worker(client, {}, [&](Context&) { return counter.Count(); });
  std::vector<double> from_call, from_commit;
  for (std::int64_t i = 1; i <= 300; ++i) {
    counter.Want(i);
    auto called = Clock::now();
    Must(client.enqueue(Batch(i, 1).front()));
    auto committed = Clock::now();
    auto ran = counter.Wait();
    from_call.push_back(1e3 * Seconds(called, ran));
    from_commit.push_back(1e3 * Seconds(committed, ran));
  }
  results.Add("latency.p50", Percentile(from_call, 0.5), "ms",
              "enqueue called to handler running, idle worker, one job");
  results.Add("latency.p99", Percentile(from_call, 0.99), "ms", "the same");
  results.Add("latency.after_commit_p50", Percentile(from_commit, 0.5), "ms", "enqueue returned to handler running");
}

// Handlers that cost nothing, then handlers that compute for about 50 microseconds.
double WorkRate(const Setting& setting, const std::string& name, int concurrency, bool compute, std::int64_t count) {
  Setting own = setting;
  own.folder = setting.folder / name;
  std::filesystem::create_directories(own.folder);
  Client client = Open(own);
  EnqueueAll(client, count);
  WorkerOptions options = Slots(concurrency);
  options.max_jobs = count;
  Worker worker(client, options);
  worker.handle_raw("noop", [compute](Context&) {
    auto until = Clock::now() + std::chrono::microseconds(50);
    while (compute && Clock::now() < until) {
    }
    return Outcome::done();
  });
  auto start = Clock::now();
  Must(worker.run());
  return static_cast<double>(count) / Seconds(start);
}

void ScaleWorkload(const Setting& setting, Results& results) {
  std::int64_t count = setting.jobs > 0 ? setting.jobs : 200'000;
  double noop1 = WorkRate(setting, "n1", 1, false, count);
  double noop2 = WorkRate(setting, "n2", 2, false, count);
  double busy1 = WorkRate(setting, "b1", 1, true, count / 4);
  double busy2 = WorkRate(setting, "b2", 2, true, count / 4);
  results.Add("scale.noop_1_slot", noop1, "jobs/s");
  results.Add("scale.noop_2_slots", noop2, "jobs/s");
  results.Add("scale.50us_1_slot", busy1, "jobs/s", "handlers that compute for 50 microseconds");
  results.Add("scale.50us_2_slots", busy2, "jobs/s", "the same; twice is the ideal");
  results.Add("scale.50us_ratio", busy2 / busy1, "");
}

}  // namespace

std::vector<Workload> JobWorkloads() {
  return {
      {"enqueue", "jobs/s enqueued in batches", EnqueueWorkload},
      {"drain", "jobs/s worked to completed by no-op handlers", DrainWorkload},
      {"flow", "jobs/s enqueued and worked at the same time", FlowWorkload},
      {"latency", "one job into an idle worker", LatencyWorkload},
      {"scale", "one slot and two", ScaleWorkload},
      {"memory", "resident memory over 2,000,000 jobs", MemoryWorkload},
  };
}

int FirstJobMain(const std::string& database) {
  StorageOptions options;
  options.url = database;
  auto client = Client::open(options);
  if (!client) return 1;
  WorkerOptions worker_options;
  worker_options.max_jobs = 1;
  Worker worker(*client, worker_options);
  worker.handle_raw("noop", [](Context&) {
    std::puts("running");
    std::fflush(stdout);
    return Outcome::done();
  });
  return worker.run().value_or(1);
}

}  // namespace millrace::bench
