// Many threads at once, and waking up. Nothing here sleeps: threads meet at futures and joins.
#include <atomic>
#include <future>
#include <mutex>
#include <thread>

#include "storage/conformance/suite.h"

namespace millrace::storage {

void LinkThreadsSuite() {}

namespace {

constexpr Duration kLong = std::chrono::minutes(2);  // longer than any test may take

// A thread in WaitForWork, and what it returned.
class Waiter {
 public:
  Waiter(Storage& db, const WorkerRef& worker, Duration timeout) {
    request_.worker = worker;
    request_.max_jobs = 1;
    result_ = std::async(std::launch::async, [this, &db, timeout] {
      started_.set_value();
      return db.WaitForWork(request_, timeout, stop_.get_token());
    });
    started_.get_future().wait();
  }
  ~Waiter() { stop_.request_stop(); }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  void Stop() { stop_.request_stop(); }
  Wake Get() {
    if (result_.wait_for(std::chrono::seconds(60)) != std::future_status::ready) {
      ADD_FAILURE() << "WaitForWork sleeps through what should wake it";
      stop_.request_stop();
    }
    return result_.get();
  }

 private:
  ClaimRequest request_;
  std::stop_source stop_;
  std::promise<void> started_;
  std::future<Wake> result_;
};

}  // namespace

TEST_P(Conformance, ConcurrentClaimersNeverGetTheSameJob) {
  constexpr int kThreads = 4;
  constexpr int kJobs = 4000;
  for (int batch = 0; batch < kJobs / 500; ++batch) {
    std::vector<NewJob> jobs;
    for (int i = 0; i < 500; ++i) {
      jobs.push_back(JobOf("k", [&](NewJob& j) {
        j.queue = "q" + std::to_string(i % 3);
        j.priority = static_cast<Priority>(i % kPriorityCount);
      }));
    }
    Must(db().Enqueue(jobs));
  }
  std::mutex mutex;
  std::map<JobId, int> claims;
  std::atomic<int> refused = 0;
  const auto work = [&](int thread) {
    const WorkerRef worker = Register("w" + std::to_string(thread));
    while (true) {
      const std::vector<ClaimedJob> jobs = Claim(worker, 7 + thread);
      if (jobs.empty()) return;
      std::vector<Report> reports;
      for (const ClaimedJob& job : jobs) reports.push_back(ReportOf(job, Verdict::kCompleted));
      for (const bool accepted : Must(db().ReportOutcomes(worker, reports))) refused += accepted ? 0 : 1;
      const std::lock_guard lock(mutex);
      for (const ClaimedJob& job : jobs) ++claims[job.id];
    }
  };
  std::vector<std::future<void>> threads;
  for (int thread = 0; thread < kThreads; ++thread) threads.push_back(std::async(std::launch::async, work, thread));
  for (auto& thread : threads) thread.get();
  EXPECT_EQ(claims.size(), static_cast<std::size_t>(kJobs));
  for (const auto& [id, count] : claims) EXPECT_EQ(count, 1) << "job " << id;
  EXPECT_EQ(refused, 0);
  JobFilter completed;
  completed.states = {JobState::kCompleted};
  EXPECT_EQ(AllJobs(completed).size(), static_cast<std::size_t>(kJobs));
}

TEST_P(Conformance, ConcurrentProducersShareOneUniqueKey) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 50;
  std::atomic<int> fresh = 0;
  const auto produce = [&] {
    for (int round = 0; round < kRounds; ++round) {
      const NewJob job = JobOf("k", [&](NewJob& j) { j.unique_key = "u" + std::to_string(round); });
      fresh += Must(db().Enqueue({&job, 1})).at(0).duplicate ? 0 : 1;
    }
  };
  db();
  std::vector<std::future<void>> threads;
  for (int thread = 0; thread < kThreads; ++thread) threads.push_back(std::async(std::launch::async, produce));
  for (auto& thread : threads) thread.get();
  EXPECT_EQ(fresh, kRounds);
  EXPECT_EQ(AllJobs().size(), static_cast<std::size_t>(kRounds));
}

TEST_P(Conformance, ConcurrentClaimersKeepPartitionsApart) {
  constexpr int kThreads = 3;
  for (int i = 0; i < 10; ++i) {
    AddMany(60, JobOf("k", [&](NewJob& j) { j.partition_key = "p" + std::to_string(i); }));
  }
  std::mutex mutex;
  std::map<std::string, std::map<std::string, int>> holders;  // partition, worker, jobs held
  std::atomic<int> shared = 0;
  std::atomic<int> done = 0;
  const auto work = [&](int thread) {
    const WorkerRef worker = Register("w" + std::to_string(thread));
    while (done < 600) {
      const std::vector<ClaimedJob> jobs = Claim(worker, 5);
      {
        const std::lock_guard lock(mutex);
        for (const ClaimedJob& job : jobs) {
          auto& held = holders[job.partition_key];
          ++held[worker.id];
          shared += held.size() > 1 ? 1 : 0;
        }
      }
      for (const ClaimedJob& job : jobs) {
        {
          const std::lock_guard lock(mutex);
          auto& held = holders[job.partition_key];
          if (--held[worker.id] == 0) held.erase(worker.id);
        }
        EXPECT_TRUE(Complete(worker, job));
        ++done;
      }
      if (jobs.empty()) std::this_thread::yield();
    }
  };
  std::vector<std::future<void>> threads;
  for (int thread = 0; thread < kThreads; ++thread) threads.push_back(std::async(std::launch::async, work, thread));
  for (auto& thread : threads) thread.get();
  EXPECT_EQ(shared, 0);
}

TEST_P(Conformance, WaitForWorkWakesOnAnEnqueueDuringTheWait) {
  const WorkerRef worker = Register("w");
  for (int round = 0; round < 20; ++round) {
    Waiter waiter(db(), worker, kLong);
    const JobId id = Add(JobOf("k"));
    EXPECT_EQ(waiter.Get(), Wake::kWork);
    const ClaimedJob job = ClaimOne(worker);
    EXPECT_EQ(job.id, id);
    EXPECT_TRUE(Complete(worker, job));
  }
}

TEST_P(Conformance, WaitForWorkWakesOnACommittedTransaction) {
  const WorkerRef worker = Register("w");
  Waiter waiter(db(), worker, kLong);
  Must(db().Transact([&](Transaction& transaction) -> Result<void> {
    const NewJob job = JobOf("k");
    if (auto added = transaction.enqueue({&job, 1}); !added) return fail(added.error());
    return {};
  }));
  EXPECT_EQ(waiter.Get(), Wake::kWork);
}

TEST_P(Conformance, WaitForWorkWakesOnEmits) {
  const WorkerRef worker = Register("w");
  const WorkerRef other = Register("other");
  Add(JobOf("parent"));
  Report report = ReportOf(ClaimOne(other), Verdict::kCompleted);
  report.emits = {JobOf("child")};
  Waiter waiter(db(), worker, kLong);
  EXPECT_TRUE(Send(other, report));
  EXPECT_EQ(waiter.Get(), Wake::kWork);
}

TEST_P(Conformance, WaitForWorkWakesWhenTheLastDependencyIsDone) {
  const WorkerRef busy = Register("busy");
  const WorkerRef idle = Register("idle");
  const JobId first = Add(JobOf("first"));
  const ClaimedJob running = ClaimOne(busy);
  const JobId second = Add(JobOf("second", [&](NewJob& j) { j.after = {first}; }));
  EXPECT_TRUE(Claim(idle, 1).empty());
  Waiter waiter(db(), idle, kLong);
  EXPECT_TRUE(Complete(busy, running));
  EXPECT_EQ(waiter.Get(), Wake::kWork);
  EXPECT_EQ(ClaimIds(idle, 1), std::vector<JobId>{second});
}

TEST_P(Conformance, WaitForWorkWakesWhenAPartitionIsGivenBack) {
  const WorkerRef busy = Register("busy");
  const WorkerRef idle = Register("idle");
  const auto keyed = JobOf("k", [](NewJob& j) { j.partition_key = "p"; });
  Add(keyed);
  const ClaimedJob running = ClaimOne(busy);
  const JobId second = Add(keyed);
  EXPECT_TRUE(Claim(idle, 1).empty());
  Waiter waiter(db(), idle, kLong);
  EXPECT_TRUE(Complete(busy, running));
  EXPECT_EQ(waiter.Get(), Wake::kWork);
  EXPECT_EQ(ClaimIds(idle, 1), std::vector<JobId>{second});
}

TEST_P(Conformance, WaitForWorkSeesWhatWasThereBefore) {
  const WorkerRef worker = Register("w");
  Add(JobOf("k"));
  EXPECT_EQ(Waiter(db(), worker, kLong).Get(), Wake::kWork);
}

TEST_P(Conformance, WaitForWorkNeverSleepsThroughAnEnqueueAfterTheLastLook) {
  const WorkerRef worker = Register("w");
  ASSERT_TRUE(Claim(worker, 1).empty());
  Add(JobOf("k"));
  EXPECT_EQ(Waiter(db(), worker, kLong).Get(), Wake::kWork);
}

TEST_P(Conformance, WaitForWorkWakesOnStop) {
  Waiter waiter(db(), Register("w"), kLong);
  waiter.Stop();
  EXPECT_EQ(waiter.Get(), Wake::kStopped);
}

TEST_P(Conformance, WaitForWorkReturnsAtOnceWhenStoppedBefore) {
  ClaimRequest request;
  request.worker = Register("w");
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(db().WaitForWork(request, kLong, stop.get_token()), Wake::kStopped);
}

TEST_P(Conformance, WaitForWorkTimesOut) {
  const WorkerRef worker = Register("w");
  // It may return early without work, but not for ever.
  Wake wake = Wake::kWork;
  for (int i = 0; i < 100 && wake == Wake::kWork; ++i) {
    wake = Waiter(db(), worker, std::chrono::milliseconds(5)).Get();
  }
  EXPECT_EQ(wake, Wake::kTimeout);
}

TEST_P(Conformance, WaitForWorkWakesWhenAJobIsDue) {
  const WorkerRef worker = Register("w");
  const JobId id = Add(JobOf("k", [](NewJob& j) { j.delay = std::chrono::milliseconds(300); }));
  EXPECT_TRUE(Claim(worker, 1).empty());
  Waiter waiter(db(), worker, kLong);
  Advance(std::chrono::milliseconds(300));
  EXPECT_EQ(waiter.Get(), Wake::kWork);
  EXPECT_EQ(ClaimOne(worker).id, id);
}

TEST_P(Conformance, WaitForWorkWakesWhenARetryIsDue) {
  const WorkerRef worker = Register("w");
  Add(JobOf("k"));
  EXPECT_TRUE(Send(worker, ReportOf(ClaimOne(worker), Verdict::kRetry, std::chrono::milliseconds(300), "again")));
  EXPECT_TRUE(Claim(worker, 1).empty());
  Waiter waiter(db(), worker, kLong);
  Advance(std::chrono::milliseconds(300));
  EXPECT_EQ(waiter.Get(), Wake::kWork);
  EXPECT_EQ(ClaimOne(worker).attempt, 2);
}

}  // namespace millrace::storage
