// Whether the counters say what happened: real workers on each kind of database, counted beside what the database says
// of every job and attempt.
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <semaphore>
#include <sstream>
#include <thread>

#include "base/log.h"
#include "base/metrics.h"
#include "base/test_dir.h"
#include "millrace/worker.h"
#include "runtime/client_impl.h"
#include "runtime/connection_budget.h"
#include "storage/postgres/migrate.h"
#include "storage/postgres/test_cluster.h"

namespace millrace {
namespace {

using base::JobEvent;
using std::chrono::milliseconds;

// The sum of all lines of this name with this label value.
double Sum(const std::string& name, const std::string& label) {
  double sum = 0;
  std::istringstream lines(base::Metrics::Process().Text({}));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name + "{") && line.find("\"" + label + "\"") != std::string::npos)
      sum += std::stod(line.substr(line.rfind(' ')));
  }
  return sum;
}

RetryPolicy AtOnce(int attempts) { return {attempts, Duration(0), 1.0, Duration(0), 0}; }

class WorkerMetricsTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    base::ConfigureLog({base::Level::kOff, false});
    const std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    queue_ = "q/" + name;  // the process's counters are shared by all tests in it
    StorageOptions options;
    options.url = dir_.file("m.db");
    if (GetParam() == std::string("postgresql")) {
      using storage::postgres::TestCluster;
      if (auto reason = TestCluster::SkipReason(); !reason.empty()) GTEST_SKIP() << reason;
      options.url = TestCluster::Get().CreateDatabase();
      storage::postgres::ConnectOptions connect;
      connect.url = options.url;
      auto connection = storage::postgres::Connection::Open(connect);
      ASSERT_TRUE(connection) << connection.error().message;
      ASSERT_TRUE(storage::postgres::MigrateUp(**connection, "millrace"));
    }
    options_ = options;
    client_.emplace(Client::open(options).value());
  }
  void TearDown() override { base::ConfigureLog({}); }

  storage::Storage& storage() { return *client_->impl()->storage; }
  void Add(const std::string& kind, int count) {
    std::vector<NewJob> jobs(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
      NewJob& job = jobs[static_cast<std::size_t>(i)];
      job.kind = kind;
      job.queue = queue_;
      job.priority = static_cast<Priority>(i % kPriorityCount);
    }
    ASSERT_TRUE(client_->enqueue(jobs));
  }
  [[nodiscard]] WorkerOptions Options() const {
    WorkerOptions options;
    options.concurrency = 2;
    options.queues = {queue_};
    options.heartbeat_interval = milliseconds(50);
    return options;
  }
  [[nodiscard]] std::int64_t Total(JobEvent event) const { return base::Metrics::Process().Total(event, queue_); }

  // Until no job is left to do.
  void AwaitDone() {
    while (true) {
      std::int64_t open = 0;
      const std::vector<storage::QueueRow> queues = storage().Queues().value();
      for (const storage::QueueRow& queue : queues) {
        for (const auto& counts : queue.counts) {
          for (int state = 0; state <= static_cast<int>(JobState::kRetryable); ++state) open += counts[state];
        }
      }
      if (open == 0) return;
      std::this_thread::yield();
    }
  }

  base::TestDir dir_;
  std::string queue_;
  StorageOptions options_;
  std::optional<Client> client_;
};

INSTANTIATE_TEST_SUITE_P(Databases, WorkerMetricsTest, ::testing::Values("sqlite", "postgresql"),
                         [](const auto& info) { return std::string(info.param); });

// Handlers of every outcome, counted as they run.
void Handle(Worker& worker, std::atomic<int>& ran, const std::string& queue) {
  const auto handle = [&](const std::string& kind, const HandlerFunction& function, int attempts) {
    worker.handle_raw(kind,
                      [&ran, function](Context& context) {
                        ++ran;
                        return function(context);
                      },
                      {.timeout = Duration(0), .retry = AtOnce(attempts)});
  };
  NewJob emitted;
  emitted.kind = "ok";
  emitted.queue = queue;
  handle(
      "ok", [](Context&) { return Outcome::done(); }, 1);
  handle(
      "flaky", [](Context& context) { return context.job().attempt < 3 ? Outcome::retry("no") : Outcome::done(); }, 3);
  handle(
      "tired", [](Context&) { return Outcome::retry("never"); }, 2);
  handle(
      "doomed", [](Context&) { return Outcome::fatal("no use"); }, 5);
  handle(
      "emits",
      [emitted](Context& context) {
        context.emit(emitted);
        (void)context.emit_now({&emitted, 1});
        return Outcome::done();
      },
      1);
  handle(
      "transacts",
      [emitted](Context& context) {
        (void)context.complete_in(
            [&](Transaction& transaction) -> Result<void> {
              if (auto added = transaction.enqueue({&emitted, 1}); !added) return fail(added.error());
              return {};
            },
            Outcome::done());
        return Outcome::done();
      },
      1);
}

TEST_P(WorkerMetricsTest, TheCountersAreTheJobsThatRan) {
  const double tired_before = Sum("millrace_jobs_started_total", "tired");  // on the other database
  Add("ok", 300);
  Add("flaky", 40);
  Add("tired", 15);
  Add("doomed", 10);
  Add("emits", 20);
  Add("transacts", 20);
  std::atomic<int> ran = 0;
  {
    Worker one(*client_, Options()), two(*client_, Options());
    std::vector<std::thread> threads;
    for (Worker* worker : {&one, &two}) {
      Handle(*worker, ran, queue_);
      threads.emplace_back([worker] { EXPECT_EQ(worker->run().value(), 0); });
    }
    AwaitDone();
    one.stop();
    two.stop();
    for (std::thread& thread : threads) thread.join();
  }
  std::map<JobState, std::int64_t> states;
  std::map<std::string, std::int64_t> outcomes;
  storage::JobFilter filter;
  filter.queue = queue_;
  filter.limit = 10'000;
  const std::vector<Job> jobs = storage().ListJobs(filter).value();
  for (const Job& job : jobs) {
    ++states[job.state];
    const std::vector<Attempt> attempts = storage().Attempts(job.id).value();
    for (const Attempt& attempt : attempts) ++outcomes[attempt.outcome];
  }
  ASSERT_EQ(jobs.size(), 405U + 60U) << "what was enqueued, and what those emitted";
  EXPECT_EQ(Total(JobEvent::kEnqueued), 465);
  EXPECT_EQ(Total(JobEvent::kCompleted), states[JobState::kCompleted]);
  EXPECT_EQ(Total(JobEvent::kDead), states[JobState::kDead]);
  EXPECT_EQ(Total(JobEvent::kFailed), outcomes["failed"] + outcomes["fatal"]);
  EXPECT_EQ(Total(JobEvent::kFailed), 40 * 2 + 15 * 2 + 10);
  EXPECT_EQ(Total(JobEvent::kRetried), 40 * 2 + 15);
  EXPECT_EQ(Total(JobEvent::kStarted), ran);
  EXPECT_EQ(Total(JobEvent::kRescued), 0);
  EXPECT_EQ(Sum("millrace_job_duration_seconds_count", queue_), ran) << "one an attempt";
  EXPECT_EQ(Sum("millrace_job_wait_seconds_count", queue_), ran);
  EXPECT_EQ(Sum("millrace_jobs_started_total", "tired") - tired_before, 30) << "by kind, as by queue";
}

TEST_P(WorkerMetricsTest, AJobIsStartedAtOnceAndTheLeaderSaysSo) {
  Add("long", 1);
  WorkerOptions options = Options();
  options.max_jobs = 1;
  Worker worker(*client_, options);
  std::latch running(1), go_on(1);
  worker.handle_raw("long", [&](Context&) {
    running.count_down();
    go_on.wait();
    return Outcome::done();
  });
  std::thread thread([&] { EXPECT_EQ(worker.run().value(), 0); });
  running.wait();
  EXPECT_EQ(Total(JobEvent::kStarted), 1) << "not only when it ends";
  EXPECT_EQ(Total(JobEvent::kCompleted), 0);
  while (Sum("millrace_leader", "maintenance") < 1) std::this_thread::yield();
  go_on.count_down();
  thread.join();
  EXPECT_EQ(Total(JobEvent::kCompleted), 1);
  EXPECT_EQ(Sum("millrace_leader", "maintenance"), 0) << "it has resigned";
}

TEST_P(WorkerMetricsTest, AHandlerThatIsLeftBehindIsCountedOnce) {
  Add("stuck", 1);
  WorkerOptions options = Options();
  options.max_jobs = 1;
  auto stuck = std::make_shared<std::binary_semaphore>(0);
  auto ended = std::make_shared<std::latch>(1);
  {
    Worker worker(*client_, options);
    worker.handle_raw("stuck",
                      [stuck, ended](Context&) {
                        stuck->acquire();
                        ended->count_down();
                        return Outcome::done();
                      },
                      {.timeout = milliseconds(50), .retry = AtOnce(1)});
    EXPECT_EQ(worker.run().value(), 0);
  }
  EXPECT_EQ(Total(JobEvent::kStarted), 1);
  EXPECT_EQ(Total(JobEvent::kFailed), 1);
  EXPECT_EQ(Sum("millrace_job_duration_seconds_count", queue_), 1);
  EXPECT_GE(Sum("millrace_job_duration_seconds_sum", queue_), 0.05);
  stuck->release();
  ended->wait();
  EXPECT_EQ(Total(JobEvent::kCompleted), 0);
  EXPECT_EQ(Sum("millrace_job_duration_seconds_count", queue_), 1);
}

TEST_P(WorkerMetricsTest, StatementsAndThePoolAreTold) {
  if (GetParam() == std::string("sqlite")) GTEST_SKIP() << "a file has neither statements by name nor a pool";
  const double before = Sum("millrace_db_query_seconds_count", "claim");
  Add("ok", 10);
  WorkerOptions options = Options();
  options.max_jobs = 10;
  std::atomic<int> ran = 0;
  Worker worker(*client_, options);
  Handle(worker, ran, queue_);
  EXPECT_EQ(worker.run().value(), 0);
  EXPECT_GT(Sum("millrace_db_query_seconds_count", "claim"), before);
  for (const char* query : {"enqueue", "report", "heartbeat", "register_worker"})
    EXPECT_GT(Sum("millrace_db_query_seconds_count", query), 0) << query;
  const storage::PoolStats pool = storage().Connections();
  EXPECT_EQ(pool.min, options_.pool_size);
  EXPECT_EQ(pool.max, options_.pool_size + options_.max_overflow);
  EXPECT_GE(pool.opened, 1);
  EXPECT_EQ(pool.size, pool.idle + pool.active);
  EXPECT_EQ(pool.beside, 1);
}

TEST_P(WorkerMetricsTest, TheBudgetIsThatOfTheServerAndOfTheWorkersThere) {
  if (GetParam() == std::string("sqlite")) GTEST_SKIP() << "a file has no connections to count";
  ASSERT_TRUE(storage().RegisterWorker({.id = "one", .slots = 1}));
  const auto gone = storage().RegisterWorker({.id = "gone", .slots = 1}).value();
  ASSERT_TRUE(storage().StopWorker(gone));
  const auto budget = runtime::LookAtConnections(storage(), options_, 2).value().value();
  EXPECT_EQ(budget.workers, 3) << "one that is there, two to come";
  EXPECT_EQ(budget.each, 11);
  EXPECT_TRUE(budget.why.starts_with("max_connections ")) << budget.why;
  EXPECT_GT(budget.allowed, 0);
  const std::string database = options_.url.substr(options_.url.rfind('/') + 1);
  storage::postgres::TestCluster::Get().Execute("ALTER DATABASE " + database + " CONNECTION LIMIT 32");
  const auto limited = runtime::LookAtConnections(storage(), options_, 2).value().value();
  EXPECT_EQ(limited.allowed, 32);
  EXPECT_FALSE(limited.fits());
}

}  // namespace
}  // namespace millrace
