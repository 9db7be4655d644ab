// What is counted, beside what the database says became of the same jobs. On SQLite, with time moved by hand.
#include "storage/metered_storage.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/clock.h"
#include "base/test_dir.h"
#include "storage/sqlite/driver.h"

namespace millrace::storage {
namespace {

using base::JobEvent;
using std::chrono::seconds;

template <class T>
T Must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

class MeteredStorageTest : public ::testing::Test {
 protected:
  MeteredStorageTest() {
    StorageOptions options;
    options.url = dir_.file("m.db");
    options.queues = {{.name = "small", .capacity = 2},
                      {.name = "patient", .capacity = 1, .overflow = Overflow::kBlock}};
    storage_ = std::make_unique<MeteredStorage>(Must(sqlite::OpenSqlite(options, clock_)), metrics_,
                                                std::set<std::string>{"patient"});
    worker_ = Must(storage_->RegisterWorker({"w", "all", "h", 1, 100, {"k"}, {}}));
  }

  static NewJob JobIn(const std::string& queue) {
    NewJob job;
    job.kind = "k";
    job.queue = queue;
    return job;
  }
  std::vector<ClaimedJob> Claim(int most) {
    ClaimRequest request;
    request.worker = worker_;
    request.max_jobs = most;
    return Must(storage_->Claim(request)).jobs;
  }
  static Report ReportOf(const ClaimedJob& job, Verdict verdict) {
    Report report;
    report.id = job.id;
    report.attempt = job.attempt;
    report.token = job.token;
    report.verdict = verdict;
    report.counted_as = job.counted_as;
    return report;
  }
  [[nodiscard]] std::int64_t Total(JobEvent event, const std::string& queue = "q") const {
    return metrics_.Total(event, queue);
  }
  [[nodiscard]] bool Shows(const std::string& line) const {
    return metrics_.Text({}).find(line + "\n") != std::string::npos;
  }

  base::TestDir dir_;
  base::ManualClock clock_{*base::ParseTime("2026-01-01T00:00:00Z")};
  base::Metrics metrics_;
  std::unique_ptr<MeteredStorage> storage_;
  WorkerRef worker_;
};

TEST_F(MeteredStorageTest, CountsWhatIsEnqueuedWithoutDuplicates) {
  std::vector<NewJob> jobs = {JobIn("q"), JobIn("q"), JobIn("r")};
  jobs[1].unique_key = "u";
  Must(storage_->Enqueue(jobs));
  EXPECT_TRUE(Must(storage_->Enqueue({&jobs[1], 1})).front().duplicate);
  EXPECT_EQ(Total(JobEvent::kEnqueued), 2);
  EXPECT_EQ(Total(JobEvent::kEnqueued, "r"), 1);
  EXPECT_TRUE(Shows(R"(millrace_jobs_enqueued_total{kind="k",priority="default",queue="q"} 2)"));
}

TEST_F(MeteredStorageTest, CountsABatchThatAFullQueueTurnsAway) {
  const std::vector<NewJob> jobs = {JobIn("small"), JobIn("small"), JobIn("small")};
  EXPECT_EQ(storage_->Enqueue(jobs).error().code, ErrorCode::kQueueFull);
  EXPECT_EQ(Total(JobEvent::kRejected, "small"), 3);
  EXPECT_EQ(Total(JobEvent::kEnqueued, "small"), 0);
  const std::vector<NewJob> bad = {NewJob{}};
  EXPECT_FALSE(storage_->Enqueue(bad));
  EXPECT_EQ(Total(JobEvent::kRejected, "default"), 0) << "that is a mistake, not a full queue";
}

TEST_F(MeteredStorageTest, ProducersThatWaitAreNotRejected) {
  const std::vector<NewJob> jobs = {JobIn("patient"), JobIn("patient")};
  EXPECT_EQ(storage_->Enqueue(jobs).error().code, ErrorCode::kQueueFull);
  EXPECT_EQ(Total(JobEvent::kRejected, "patient"), 0);
}

TEST_F(MeteredStorageTest, CountsWhatTheDatabaseAccepted) {
  Must(storage_->Enqueue(std::vector<NewJob>(6, JobIn("q"))));
  const auto jobs = Claim(10);
  ASSERT_EQ(jobs.size(), 6U);
  std::vector<Report> reports;
  const Verdict verdicts[] = {Verdict::kCompleted, Verdict::kRetry,    Verdict::kDead,
                              Verdict::kSnooze,    Verdict::kReleased, Verdict::kCancelled};
  for (std::size_t i = 0; i < jobs.size(); ++i) reports.push_back(ReportOf(jobs[i], verdicts[i]));
  Must(storage_->ReportOutcomes(worker_, reports));
  EXPECT_EQ(Must(storage_->ReportOutcomes(worker_, reports)), Accepted(6, false)) << "the leases are gone";
  EXPECT_EQ(Total(JobEvent::kCompleted), 1);
  EXPECT_EQ(Total(JobEvent::kFailed), 2);
  EXPECT_EQ(Total(JobEvent::kRetried), 1);
  EXPECT_EQ(Total(JobEvent::kDead), 1);
}

TEST_F(MeteredStorageTest, CountsReportsThatTravelWithAClaim) {
  Must(storage_->Enqueue(std::vector<NewJob>(2, JobIn("q"))));
  const Report report = ReportOf(Claim(1).at(0), Verdict::kCompleted);
  ClaimRequest request;
  request.worker = worker_;
  request.max_jobs = 5;
  const Exchange exchange = Must(storage_->ReportAndClaim({&report, 1}, request));
  EXPECT_EQ(Total(JobEvent::kCompleted), 1);
  EXPECT_NE(exchange.claimed.jobs.at(0).counted_as, nullptr);
}

TEST_F(MeteredStorageTest, AWaitGoesFromWhenAJobCouldRunToItsClaim) {
  NewJob later = JobIn("q");
  later.delay = seconds(100);
  Must(storage_->Enqueue(std::vector<NewJob>{JobIn("q"), later}));
  clock_.Advance(seconds(3));
  EXPECT_EQ(Claim(10).size(), 1U);
  clock_.Advance(seconds(97 + 20));
  EXPECT_EQ(Claim(10).size(), 1U);
  EXPECT_TRUE(Shows(R"(millrace_job_wait_seconds_sum{priority="default",queue="q"} 23)"));
  EXPECT_TRUE(Shows(R"(millrace_job_wait_seconds_bucket{priority="default",queue="q",le="5"} 1)"));
  EXPECT_TRUE(Shows(R"(millrace_job_wait_seconds_bucket{priority="default",queue="q",le="30"} 2)"));
}

TEST_F(MeteredStorageTest, ATransactionCountsWhenItCommits) {
  Must(storage_->Enqueue(std::vector<NewJob>(2, JobIn("q"))));
  const auto jobs = Claim(2);
  const std::vector<NewJob> more = {JobIn("q")};
  const auto body = [&](const ClaimedJob& job, bool commit) {
    return storage_->Transact([&](Transaction& transaction) -> Result<void> {
      Must(transaction.enqueue(more));
      const Report report = ReportOf(job, Verdict::kCompleted);
      Must(transaction.ReportIn(worker_, {&report, 1}));
      if (commit) return {};
      return fail(ErrorCode::kInternal, "no");
    });
  };
  EXPECT_FALSE(body(jobs[0], false));
  EXPECT_EQ(Total(JobEvent::kCompleted), 0);
  EXPECT_EQ(Total(JobEvent::kEnqueued), 2);
  EXPECT_TRUE(body(jobs[1], true));
  EXPECT_EQ(Total(JobEvent::kCompleted), 1);
  EXPECT_EQ(Total(JobEvent::kEnqueued), 3);
}

TEST_F(MeteredStorageTest, EmittedJobsAreEnqueuedOnes) {
  Must(storage_->Enqueue(std::vector<NewJob>{JobIn("q")}));
  const ClaimedJob job = Claim(1).at(0);
  const std::vector<NewJob> now = {JobIn("now"), JobIn("now")};
  Must(storage_->EmitNow(worker_, job.id, job.attempt, job.token, now));
  EXPECT_EQ(Total(JobEvent::kEnqueued, "now"), 2);
  Report report = ReportOf(job, Verdict::kCompleted);
  report.emits = {JobIn("then")};
  Must(storage_->ReportOutcomes(worker_, {&report, 1}));
  Must(storage_->ReportOutcomes(worker_, {&report, 1}));  // refused
  EXPECT_EQ(Total(JobEvent::kEnqueued, "then"), 1);
}

TEST_F(MeteredStorageTest, RescuedJobsAreCountedByWhatTheyAre) {
  NewJob quick = JobIn("quick");
  quick.timeout = seconds(1);
  NewJob last = quick;
  last.max_attempts = 1;
  last.queue = "last";
  NewJob fragile = JobIn("fragile");
  fragile.max_crashes = 1;
  Must(storage_->Enqueue(std::vector<NewJob>{JobIn("slow"), quick, last, fragile}));
  ASSERT_EQ(Claim(10).size(), 4U);
  clock_.Advance(seconds(5));
  EXPECT_EQ(Must(storage_->Rescue(seconds(60), seconds(1), {})).size(), 2U);
  EXPECT_EQ(Total(JobEvent::kRescued, "quick"), 1);
  EXPECT_EQ(Total(JobEvent::kFailed, "quick"), 1);
  EXPECT_EQ(Total(JobEvent::kRetried, "quick"), 1);
  EXPECT_EQ(Total(JobEvent::kDead, "last"), 1);
  EXPECT_EQ(Total(JobEvent::kFailed, "last"), 1);
  EXPECT_EQ(Total(JobEvent::kRetried, "last"), 0);
  clock_.Advance(seconds(120));
  EXPECT_EQ(Must(storage_->Rescue(seconds(60), seconds(600), {})).size(), 2U);
  EXPECT_EQ(Total(JobEvent::kRescued, "slow"), 1);
  EXPECT_EQ(Total(JobEvent::kRescued, "fragile"), 1);
  EXPECT_EQ(Total(JobEvent::kFailed, "slow"), 0) << "a worker's death is no failure of the attempt";
  EXPECT_EQ(Total(JobEvent::kDead, "slow"), 0);
}

TEST_F(MeteredStorageTest, ARunsDiscoveryIsEnqueuedOnce) {
  RunSpec run;
  run.pipeline = "p";
  run.identity = "i";
  run.discovery = JobIn("discovery");
  EXPECT_FALSE(Must(storage_->StartRun(run)).joined);
  EXPECT_TRUE(Must(storage_->StartRun(run)).joined);
  EXPECT_EQ(Total(JobEvent::kEnqueued, "discovery"), 1);
}

TEST_F(MeteredStorageTest, AFileHasAWriterAndAReader) {
  const PoolStats free = storage_->Connections();
  EXPECT_EQ(free.size, 2);
  EXPECT_EQ(free.idle, 2);
  EXPECT_EQ(free.active, 0);
  Must(storage_->Read([&](SqlSession&) -> Result<void> {
    PoolStats busy;
    std::thread([&] { busy = storage_->Connections(); }).join();
    EXPECT_EQ(busy.active, 1) << "the reader";
    EXPECT_EQ(busy.idle, 1);
    return {};
  }));
}

}  // namespace
}  // namespace millrace::storage
