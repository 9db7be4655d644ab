// The worker from outside: jobs in, handlers run, what the database says afterwards. On SQLite, with real threads.
#include "millrace/worker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <latch>
#include <semaphore>
#include <thread>

#include "base/log.h"
#include "base/test_dir.h"
#include "runtime/client_impl.h"

namespace millrace {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

RetryPolicy AtOnce(int attempts) { return {attempts, Duration(0), 1.0, Duration(0), 0}; }

class WorkerTest : public ::testing::Test {
 protected:
  WorkerTest() {
    base::ConfigureLog({base::Level::kOff, false});
    StorageOptions options;
    options.url = dir_.file("test.db");
    client_.emplace(Client::open(options).value());
    worker_options_.concurrency = 2;
    worker_options_.heartbeat_interval = milliseconds(20);
    worker_options_.shutdown_timeout = seconds(10);
  }
  ~WorkerTest() override { base::ConfigureLog({}); }

  JobId Enqueue(const std::string& kind, const std::string& args = "{}") {
    NewJob job;
    job.kind = kind;
    job.args = args;
    return client_->enqueue(job).value().id;
  }
  storage::Storage& storage() { return *client_->impl()->storage; }
  Job Get(JobId id) { return client_->get(id).value(); }

  // Works until `jobs` jobs have been claimed and have ended.
  int WorkOff(Worker& worker) { return worker.run().value(); }
  Worker MakeWorker(std::int64_t max_jobs) {
    worker_options_.max_jobs = max_jobs;
    return Worker(*client_, worker_options_);
  }

  base::TestDir dir_;
  std::optional<Client> client_;
  WorkerOptions worker_options_;
};

struct Greeting {
  std::string name;
  int times = 1;
};
void read_args(ArgsReader& args, Greeting& out) { args.required("name", out.name).optional("times", out.times); }

TEST_F(WorkerTest, RunsAHandlerWithItsDecodedArgsAndKeepsTheResult) {
  const JobId id = Enqueue("greet", R"({"name":"Ada","times":2})");
  Worker worker = MakeWorker(1);
  worker.handle<Greeting>("greet", [](const Greeting& greeting, Context&) {
    return Outcome::done("\"" + greeting.name + std::to_string(greeting.times) + "\"");
  });
  EXPECT_EQ(WorkOff(worker), 0);
  const Job job = Get(id);
  EXPECT_EQ(job.state, JobState::kCompleted);
  EXPECT_EQ(job.result, "\"Ada2\"");
  EXPECT_EQ(job.attempt, 1);
}

TEST_F(WorkerTest, ArgsThatDoNotDecodeMakeTheJobDeadAndNameTheField) {
  const JobId id = Enqueue("greet", R"({"name":7})");
  Worker worker = MakeWorker(1);
  worker.handle<Greeting>("greet", [](const Greeting&, Context&) { return Outcome::done(); });
  WorkOff(worker);
  EXPECT_EQ(Get(id).state, JobState::kDead);
  EXPECT_EQ(Get(id).error, "args.name: expected a string, found an integer");
}

TEST_F(WorkerTest, RetriesUntilAttemptsAreSpentAndKeepsTheirHistory) {
  const JobId id = Enqueue("flaky");
  Worker worker = MakeWorker(3);
  std::atomic<int> calls = 0;
  worker.handle_raw("flaky",
                    [&](Context& context) -> Outcome {
                      ++calls;
                      if (context.job().attempt == 2) throw std::runtime_error("thrown");
                      return Outcome::retry("failure " + std::to_string(context.job().attempt));
                    },
                    {.timeout = Duration(0), .retry = AtOnce(3)});
  WorkOff(worker);
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(Get(id).state, JobState::kDead);
  const auto attempts = storage().Attempts(id).value();
  ASSERT_EQ(attempts.size(), 3U);
  EXPECT_EQ(attempts[0].error, "failure 1");
  EXPECT_EQ(attempts[1].error, "thrown");
  EXPECT_EQ(attempts[2].error, "failure 3");
}

TEST_F(WorkerTest, SnoozeIsNotAnAttemptAndFatalIsTheLast) {
  const JobId snoozed = Enqueue("snooze");
  const JobId fatal = Enqueue("fatal");
  Worker worker = MakeWorker(3);
  std::atomic<int> calls = 0;
  worker.handle_raw("snooze", [&](Context& context) {
    EXPECT_EQ(context.job().attempt, 1);
    return ++calls == 1 ? Outcome::snooze(milliseconds(1)) : Outcome::done();
  });
  worker.handle_raw("fatal", [](Context&) { return Outcome::fatal("no use"); });
  WorkOff(worker);
  EXPECT_EQ(Get(snoozed).state, JobState::kCompleted);
  EXPECT_EQ(Get(snoozed).attempt, 1);
  EXPECT_EQ(Get(fatal).state, JobState::kDead);
  EXPECT_EQ(storage().Attempts(fatal).value().at(0).outcome, "fatal");
}

TEST_F(WorkerTest, AJobWithoutAHandlerHereWaitsForAWorkerThatHasOne) {
  NewJob unknown;
  unknown.kind = "elsewhere";
  unknown.max_attempts = 1;
  const JobId id = client_->enqueue(unknown).value().id;
  worker_options_.id = "here";
  {
    Worker worker = MakeWorker(1);
    worker.handle_raw("somebody", [](Context&) { return Outcome::done(); });
    EXPECT_EQ(WorkOff(worker), 0);
  }
  EXPECT_EQ(Get(id).state, JobState::kScheduled);
  EXPECT_EQ(Get(id).attempt, 0) << "it was no attempt";
  EXPECT_TRUE(storage().Attempts(id).value().empty());
  EXPECT_EQ(Get(id).error, "no handler for kind 'elsewhere' in worker here; waiting for a worker that has one");
  worker_options_.id = "there";
  Worker worker = MakeWorker(1);
  worker.handle_raw("elsewhere", [](Context&) { return Outcome::done(); });
  EXPECT_EQ(WorkOff(worker), 0);
  EXPECT_EQ(Get(id).state, JobState::kCompleted);
  EXPECT_EQ(Get(id).attempt, 1);
}

TEST_F(WorkerTest, EmittedJobsExistOnlyIfTheAttemptCompletes) {
  Enqueue("emits");
  Enqueue("emits_and_fails");
  Worker worker = MakeWorker(2);
  const auto emit = [](Context& context, const std::string& kind) {
    NewJob job;
    job.kind = kind;
    context.emit(job);
  };
  worker.handle_raw("emits", [&](Context& context) {
    emit(context, "kept");
    return Outcome::done();
  });
  worker.handle_raw("emits_and_fails", [&](Context& context) {
    emit(context, "dropped");
    return Outcome::fatal("no");
  });
  WorkOff(worker);
  storage::JobFilter filter;
  filter.states = {JobState::kAvailable};
  const auto jobs = storage().ListJobs(filter).value();
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs[0].kind, "kept");
}

TEST_F(WorkerTest, AnEmittedJobThatCannotBeEnqueuedFailsTheAttemptNotTheBatch) {
  NewJob bad;
  bad.kind = "emits_nonsense";
  bad.max_attempts = 1;
  const JobId id = client_->enqueue(bad).value().id;
  const JobId other = Enqueue("fine");
  Worker worker = MakeWorker(2);
  worker.handle_raw("emits_nonsense", [](Context& context) {
    context.emit(NewJob{});
    return Outcome::done();
  });
  worker.handle_raw("fine", [](Context&) { return Outcome::done(); });
  WorkOff(worker);
  EXPECT_EQ(Get(id).state, JobState::kDead);
  EXPECT_NE(Get(id).error.find("kind: is empty"), std::string::npos) << Get(id).error;
  EXPECT_EQ(Get(other).state, JobState::kCompleted);
}

TEST_F(WorkerTest, AResultThatIsNoJsonFailsTheAttemptNotTheBatch) {
  const auto once = [&](const std::string& kind) {
    NewJob job;
    job.kind = kind;
    job.max_attempts = 1;
    return client_->enqueue(job).value().id;
  };
  const JobId text = once("text");
  const JobId bytes = once("bytes");
  const JobId inside = once("inside");
  const JobId other = Enqueue("fine");
  Worker worker = MakeWorker(4);
  worker.handle_raw("text", [](Context&) { return Outcome::done("all went well"); });
  worker.handle_raw("bytes", [](Context&) { return Outcome::done("\"caf\xE9\""); });
  worker.handle_raw("inside", [](Context& context) {
    bool ran = false;
    const auto done = context.complete_in(
        [&](Transaction&) {
          ran = true;
          return Result<void>();
        },
        Outcome::done("{"));
    EXPECT_FALSE(ran);
    return Outcome::retry(done ? "it was taken" : done.error().message);
  });
  worker.handle_raw("fine", [](Context&) { return Outcome::done(); });
  WorkOff(worker);
  for (const JobId id : {text, bytes, inside}) {
    EXPECT_EQ(Get(id).state, JobState::kDead);
    EXPECT_NE(Get(id).error.find("the result is not JSON: 1:"), std::string::npos) << Get(id).error;
  }
  EXPECT_EQ(Get(other).state, JobState::kCompleted);
}

TEST_F(WorkerTest, AnErrorThatIsNoTextIsMadeOne) {
  const JobId id = Enqueue("broken");
  Worker worker = MakeWorker(1);
  worker.handle_raw("broken", [](Context&) { return Outcome::fatal(std::string("caf\xE9\0!", 6)); });
  WorkOff(worker);
  EXPECT_EQ(Get(id).error, "caf\uFFFD\uFFFD!");
}

TEST_F(WorkerTest, CompleteInCommitsTheHandlersWritesWithTheCompletion) {
  ASSERT_TRUE(client_->transaction([](Transaction& tx) { return tx.sql().execute("CREATE TABLE mine (x INTEGER)"); }));
  const JobId good = Enqueue("writes", R"({"x":1})");
  const JobId bad = Enqueue("writes", R"({"x":2})");
  Worker worker = MakeWorker(2);
  worker.handle_raw("writes", [&](Context& context) {
    const bool fails = context.job().id == bad;
    const auto done = context.complete_in([&](Transaction& tx) -> Result<void> {
      const SqlValue value = context.job().id;
      if (auto r = tx.sql().execute("INSERT INTO mine VALUES (?)", {&value, 1}); !r) return r;
      if (fails) return fail(ErrorCode::kInternal, "no");
      return {};
    });
    EXPECT_EQ(done.has_value(), !fails);
    return done ? Outcome::done() : Outcome::fatal(done.error().message);
  });
  WorkOff(worker);
  EXPECT_EQ(Get(good).state, JobState::kCompleted);
  EXPECT_EQ(Get(bad).state, JobState::kDead);
  std::vector<std::int64_t> rows;
  ASSERT_TRUE(storage().Read([&](SqlSession& sql) {
    return sql.query("SELECT x FROM mine", {}, [&](const SqlRow& row) {
      rows.push_back(row.integer(0));
      return true;
    });
  }));
  EXPECT_EQ(rows, std::vector<std::int64_t>{good});
}

TEST_F(WorkerTest, EmitsOutliveACompleteInThatFailed) {
  Enqueue("emits");
  Worker worker = MakeWorker(1);
  worker.handle_raw("emits", [](Context& context) {
    NewJob child;
    child.kind = "child";
    context.emit(child);
    const auto failed =
        context.complete_in([](Transaction&) { return Result<void>(fail(ErrorCode::kInternal, "no")); });
    EXPECT_FALSE(failed.has_value());
    return Outcome::done();
  });
  WorkOff(worker);
  storage::JobFilter children;
  children.kind = "child";
  EXPECT_EQ(storage().ListJobs(children).value().size(), 1U);
}

TEST_F(WorkerTest, CompleteInWritesNothingOnceTheLeaseIsLost) {
  ASSERT_TRUE(client_->transaction([](Transaction& tx) { return tx.sql().execute("CREATE TABLE mine (x INTEGER)"); }));
  Enqueue("late");
  Worker worker = MakeWorker(1);
  ErrorCode code = ErrorCode::kInternal;
  worker.handle_raw("late", [&](Context& context) {
    // Everybody's jobs are taken back, as if this worker had been silent.
    EXPECT_EQ(storage().Rescue(Duration(-1), seconds(100)).value().size(), 1U);
    const auto done =
        context.complete_in([](Transaction& tx) { return tx.sql().execute("INSERT INTO mine VALUES (1)"); });
    code = done ? ErrorCode::kInternal : done.error().code;
    return Outcome::done();
  });
  WorkOff(worker);
  EXPECT_EQ(code, ErrorCode::kLeaseLost);
  bool any = false;
  ASSERT_TRUE(storage().Read(
      [&](SqlSession& sql) { return sql.query("SELECT x FROM mine", {}, [&](const SqlRow&) { return any = true; }); }));
  EXPECT_FALSE(any);
}

TEST_F(WorkerTest, AHandlerPastItsDeadlineIsAskedToStopAndItsAttemptTimesOut) {
  const JobId id = Enqueue("slow");
  Worker worker = MakeWorker(1);
  worker.handle_raw("slow",
                    [](Context& context) {
                      std::mutex mutex;
                      std::condition_variable_any asked;
                      std::unique_lock lock(mutex);
                      asked.wait(lock, context.stop_token(), [] { return false; });
                      return Outcome::retry("gave up");
                    },
                    {.timeout = milliseconds(50), .retry = AtOnce(1)});
  WorkOff(worker);
  EXPECT_EQ(Get(id).state, JobState::kDead);
  EXPECT_EQ(storage().Attempts(id).value().at(0).outcome, "timeout");
}

TEST_F(WorkerTest, AHandlerThatIgnoresItsDeadlineIsNotWaitedFor) {
  worker_options_.concurrency = 1;
  const JobId stuck = Enqueue("stuck");
  Worker worker = MakeWorker(2);
  auto never = std::make_shared<std::binary_semaphore>(0);
  worker.handle_raw("stuck",
                    [never](Context&) {
                      never->acquire();
                      return Outcome::done();
                    },
                    {.timeout = milliseconds(50), .retry = AtOnce(1)});
  worker.handle_raw("next", [](Context&) { return Outcome::done(); });
  const JobId next = Enqueue("next");  // behind the stuck one, in the only slot
  WorkOff(worker);
  EXPECT_EQ(Get(stuck).state, JobState::kDead);
  EXPECT_EQ(Get(next).state, JobState::kCompleted);
  never->release();
}

TEST_F(WorkerTest, CancelReachesARunningHandler) {
  const JobId id = Enqueue("waits");
  Worker worker = MakeWorker(1);
  std::latch running(1);
  worker.handle_raw("waits", [&](Context& context) {
    running.count_down();
    std::mutex mutex;
    std::condition_variable_any asked;
    std::unique_lock lock(mutex);
    asked.wait(lock, context.stop_token(), [] { return false; });
    return Outcome::retry("stopped");
  });
  std::thread runs([&] { EXPECT_EQ(worker.run().value(), 0); });
  running.wait();
  storage::JobFilter filter;
  filter.ids = {id};
  EXPECT_EQ(storage().Cancel(filter).value(), std::vector<JobId>{id});
  runs.join();
  EXPECT_EQ(Get(id).state, JobState::kCancelled);
}

TEST_F(WorkerTest, StopLetsRunningHandlersFinishAndGivesUnstartedJobsBack) {
  worker_options_.concurrency = 1;
  worker_options_.prefetch = 10;
  std::vector<JobId> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(Enqueue("waits"));
  Worker worker = MakeWorker(0);
  std::latch running(1);
  std::binary_semaphore finish(0);
  worker.handle_raw("waits", [&](Context& context) {
    if (context.job().id == ids[0]) {
      running.count_down();
      finish.acquire();
    }
    return Outcome::done();
  });
  int status = -1;
  std::thread runs([&] { status = worker.run().value(); });
  running.wait();
  worker.stop();
  // The four that were not started come back while the first one still runs.
  storage::JobFilter available;
  available.states = {JobState::kAvailable};
  while (storage().ListJobs(available).value().size() != 4) std::this_thread::yield();
  EXPECT_EQ(Get(ids[0]).state, JobState::kRunning);
  finish.release();
  runs.join();
  EXPECT_EQ(status, 0);
  EXPECT_EQ(Get(ids[0]).state, JobState::kCompleted);
  EXPECT_EQ(Get(ids[4]).attempt, 0) << "a release is not an attempt";
}

TEST_F(WorkerTest, ASecondStopDoesNotWaitAndReleasesWhatRuns) {
  const JobId id = Enqueue("waits");
  worker_options_.shutdown_timeout = seconds(600);
  Worker worker = MakeWorker(0);
  std::latch running(1);
  worker.handle_raw("waits", [&](Context& context) {
    running.count_down();
    std::mutex mutex;
    std::condition_variable_any asked;
    std::unique_lock lock(mutex);
    asked.wait(lock, context.stop_token(), [] { return false; });
    return Outcome::retry("stopped");
  });
  int status = -1;
  std::thread runs([&] { status = worker.run().value(); });
  running.wait();
  worker.stop();
  worker.stop();
  runs.join();
  EXPECT_EQ(status, 3);
  EXPECT_EQ(Get(id).state, JobState::kAvailable);
  EXPECT_EQ(Get(id).attempt, 0);
  EXPECT_EQ(Get(id).crashes, 0);
}

TEST_F(WorkerTest, AWorkerTakesOverFromASilentLeaderAndRescuesItsJob) {
  worker_options_.stale_threshold = milliseconds(300);
  storage::WorkerInfo info;
  info.id = "silent";
  const storage::WorkerRef silent = storage().RegisterWorker(info).value();
  const std::string scope(storage::kMaintenanceScope);
  ASSERT_TRUE(storage().Lead(silent, {scope, milliseconds(100)}).value().leads);
  const JobId id = Enqueue("k");
  storage::ClaimRequest claim;
  claim.worker = silent;
  claim.max_jobs = 1;
  ASSERT_EQ(storage().Claim(claim).value().jobs.size(), 1U);
  Worker worker = MakeWorker(1);
  std::vector<storage::Leadership> leaders;
  worker.handle_raw("k", [&](Context&) {
    leaders = storage().Leaders().value();
    return Outcome::done();
  });
  EXPECT_EQ(WorkOff(worker), 0);
  EXPECT_EQ(Get(id).crashes, 1);
  ASSERT_EQ(leaders.size(), 1U);
  EXPECT_EQ(leaders[0].scope, scope);
  EXPECT_EQ(leaders[0].holder, Get(id).worker);
  EXPECT_EQ(leaders[0].epoch, 2);
  EXPECT_TRUE(storage().Leaders().value().empty()) << "resigned";
}

// Whoever does not lead leaves the jobs of others alone.
TEST_F(WorkerTest, AWorkerThatDoesNotLeadRescuesNothing) {
  worker_options_.stale_threshold = milliseconds(300);
  storage::WorkerInfo info;
  info.id = "leader";
  const storage::WorkerRef leader = storage().RegisterWorker(info).value();
  ASSERT_TRUE(storage().Lead(leader, {std::string(storage::kMaintenanceScope), std::chrono::hours(1)}).value().leads);
  const JobId held = Enqueue("k");
  storage::ClaimRequest claim;
  claim.worker = leader;
  claim.max_jobs = 1;
  ASSERT_EQ(storage().Claim(claim).value().jobs.size(), 1U);
  Worker worker = MakeWorker(1);
  worker.handle_raw("other", [&](Context&) { return Outcome::done(); });
  worker.handle_raw("k", [&](Context&) { return Outcome::done(); });
  std::thread runs([&] { EXPECT_EQ(WorkOff(worker), 0); });
  // Three of its heartbeats after the leader's job could have been taken.
  const auto beats = [&] {
    const std::vector<storage::WorkerRow> rows = storage().Workers().value();
    for (const auto& row : rows) {
      if (row.info.id != "leader") return row.last_heartbeat - row.started_at;
    }
    return Duration(0);
  };
  while (beats() < milliseconds(400) && Get(held).state == JobState::kRunning) std::this_thread::yield();
  EXPECT_EQ(Get(held).state, JobState::kRunning);
  Enqueue("other");
  runs.join();
  EXPECT_EQ(Get(held).state, JobState::kRunning);
}

TEST_F(WorkerTest, WorkEnqueuedWhileItSleepsIsPickedUp) {
  Worker worker = MakeWorker(50);
  std::atomic<int> done = 0;
  std::counting_semaphore<100> each(0);
  worker.handle_raw("tick", [&](Context&) {
    ++done;
    each.release();
    return Outcome::done();
  });
  std::thread runs([&] { EXPECT_EQ(worker.run().value(), 0); });
  for (int i = 0; i < 50; ++i) {
    Enqueue("tick");
    each.acquire();  // the worker is idle again, or about to be
  }
  runs.join();
  EXPECT_EQ(done, 50);
}

}  // namespace
}  // namespace millrace
