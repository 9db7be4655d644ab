// What a worker does about a database that fails in ways of its own: refuses one outcome, is full, or hangs.
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <semaphore>
#include <thread>

#include "base/log.h"
#include "base/test_dir.h"
#include "millrace/worker.h"
#include "runtime/client_impl.h"
#include "storage/faulty/faulty_storage.h"
#include "storage/open.h"

namespace millrace {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Fails what the test wants it to.
class FailingStorage : public storage::FaultyStorage {
 public:
  FailingStorage(std::unique_ptr<storage::Storage> inner, DelayHook delay)
      : FaultyStorage(std::move(inner), 1, std::move(delay)) {}

  std::string poison;        // a report with this text is refused, and all of its batch
  bool refuse_dead = false;  // and so is the report that its job is dead
  bool restless = false;     // waits for work are over at once, as they may be
  bool promising = false;    // a claim that finds too little says that there is more, as when others were quicker
  std::atomic<ErrorCode> writes_fail = ErrorCode::kInternal;  // kInternal: they do not

  Result<storage::Accepted> ReportOutcomes(const storage::WorkerRef& worker,
                                           std::span<const storage::Report> reports) override {
    if (auto failed = Failed(reports)) return fail(*failed);
    return FaultyStorage::ReportOutcomes(worker, reports);
  }
  Result<storage::Exchange> ReportAndClaim(std::span<const storage::Report> reports,
                                           const storage::ClaimRequest& request) override {
    if (auto failed = Failed(reports)) return fail(*failed);
    auto exchange = FaultyStorage::ReportAndClaim(reports, request);
    if (exchange && static_cast<int>(exchange->claimed.jobs.size()) < request.max_jobs) {
      exchange->claimed.more = promising;
    }
    return exchange;
  }
  storage::Wake WaitForWork(const storage::ClaimRequest& filter, Duration timeout, std::stop_token stop) override {
    return restless ? storage::Wake::kWork : FaultyStorage::WaitForWork(filter, timeout, std::move(stop));
  }
  Result<storage::HeartbeatReply> Heartbeat(const storage::WorkerRef& worker, storage::WorkerState state,
                                            std::span<const storage::JobProgress> progress,
                                            const storage::Campaign& campaign) override {
    if (auto failed = Failed({})) return fail(*failed);
    return FaultyStorage::Heartbeat(worker, state, progress, campaign);
  }

 private:
  std::optional<Error> Failed(std::span<const storage::Report> reports) const {
    if (writes_fail != ErrorCode::kInternal) return Error{writes_fail, "the disk is full"};
    for (const storage::Report& report : reports) {
      const bool dead = report.text.find("cannot be written") != std::string::npos;
      if (!poison.empty() && (report.text == poison || (dead && refuse_dead)))
        return Error{ErrorCode::kInvalidArgument, "this can never be written"};
    }
    return std::nullopt;
  }
};

class FailingStorageTest : public ::testing::Test {
 protected:
  FailingStorageTest() {
    base::ConfigureLog({base::Level::kOff, false});
    StorageOptions options;
    options.url = dir_.file("test.db");
    storage_ = std::make_shared<FailingStorage>(storage::OpenStorage(options).value(), [this](storage::Method method) {
      if (method == storage::Method::kReportAndClaim && hangs_) hang_.acquire();
      if (method == storage::Method::kDeleteOld) retention_.release();
      if (method == storage::Method::kReportAndClaim) calls_.release();
    });
    client_.emplace(Client(std::make_shared<Client::Impl>(Client::Impl{storage_, options})));
    options_.concurrency = 2;
  }
  ~FailingStorageTest() override { base::ConfigureLog({}); }

  JobId Enqueue(const std::string& kind) {
    NewJob job;
    job.kind = kind;
    return client_->enqueue(job).value().id;
  }
  Job Get(JobId id) { return client_->get(id).value(); }

  base::TestDir dir_;
  std::atomic<bool> hangs_ = false;
  std::counting_semaphore<> hang_{0};
  std::counting_semaphore<> retention_{0};
  std::counting_semaphore<> calls_{0};  // of ReportAndClaim
  std::shared_ptr<FailingStorage> storage_;
  std::optional<Client> client_;
  WorkerOptions options_;
};

TEST_F(FailingStorageTest, AnOutcomeThatIsRefusedIsThatJobsDeathAndNoOthers) {
  storage_->poison = "\"poison\"";
  std::vector<JobId> fine;
  for (int i = 0; i < 20; ++i) fine.push_back(Enqueue("fine"));
  const JobId poisoned = Enqueue("poison");
  for (int i = 0; i < 20; ++i) fine.push_back(Enqueue("fine"));
  options_.max_jobs = 41;
  options_.prefetch = 100;
  Worker worker(*client_, options_);
  worker.handle_raw("fine", [](Context&) { return Outcome::done("\"good\""); });
  worker.handle_raw("poison", [](Context&) { return Outcome::done("\"poison\""); });
  EXPECT_EQ(worker.run().value(), 0);
  EXPECT_EQ(Get(poisoned).state, JobState::kDead);
  EXPECT_EQ(Get(poisoned).error, "its outcome cannot be written: this can never be written");
  for (const JobId id : fine) {
    EXPECT_EQ(Get(id).state, JobState::kCompleted);
    EXPECT_EQ(Get(id).result, "\"good\"");
  }
}

// What waits is of a partition, which is not fetched ahead: asking for it again and again would find nothing.
TEST_F(FailingStorageTest, AWorkerWhoseSlotsAreTakenDoesNotAskForWhatOnlyAFreeSlotMayTake) {
  NewJob job;
  job.kind = "k";
  job.partition_key = "p";
  const JobId first = client_->enqueue(job).value().id;
  const JobId second = client_->enqueue(job).value().id;
  options_.concurrency = 1;
  options_.prefetch = 10;
  options_.max_jobs = 2;
  storage_->restless = storage_->promising = true;
  bool asks_on = false;
  Worker worker(*client_, options_);
  worker.handle_raw("k", [&](Context& context) {
    if (context.job().id == first) {
      int asked = 0;
      while (asked < 20 && calls_.try_acquire_for(milliseconds(200))) ++asked;
      asks_on = asked == 20;
    }
    return Outcome::done();
  });
  EXPECT_EQ(worker.run().value(), 0);
  EXPECT_FALSE(asks_on) << "while the only slot was taken";
  EXPECT_EQ(Get(second).state, JobState::kCompleted);
}

TEST_F(FailingStorageTest, AnOutcomeThatIsRefusedInEveryFormHoldsNothingBack) {
  storage_->poison = "\"poison\"";
  storage_->refuse_dead = true;
  const JobId poisoned = Enqueue("poison");
  const JobId fine = Enqueue("fine");
  options_.max_jobs = 2;
  Worker worker(*client_, options_);
  worker.handle_raw("fine", [](Context&) { return Outcome::done(); });
  worker.handle_raw("poison", [](Context&) { return Outcome::done("\"poison\""); });
  EXPECT_EQ(worker.run().value(), 0);
  EXPECT_EQ(Get(fine).state, JobState::kCompleted);
  EXPECT_EQ(Get(poisoned).state, JobState::kAvailable) << "given back when the worker left";
}

// With the usual thresholds of half a minute: the worker does not wait for them.
TEST_F(FailingStorageTest, AFullDiskEndsTheWorkerAfterAFewTries) {
  for (const ErrorCode code : {ErrorCode::kDiskFull, ErrorCode::kReadOnly, ErrorCode::kCorrupt}) {
    const JobId id = Enqueue("work");
    Worker worker(*client_, options_);
    worker.handle_raw("work", [&](Context&) {
      storage_->writes_fail = code;
      return Outcome::done();
    });
    const auto started = std::chrono::steady_clock::now();
    const auto status = worker.run();
    EXPECT_LT(std::chrono::steady_clock::now() - started, seconds(20));
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, code);
    EXPECT_EQ(status.error().message, "the disk is full");
    storage_->writes_fail = ErrorCode::kInternal;
    // Nothing is lost: with room again the work is done.
    options_.max_jobs = 1;
    Worker again(*client_, options_);
    again.handle_raw("work", [](Context&) { return Outcome::done(); });
    EXPECT_EQ(again.run().value(), 0);
    EXPECT_EQ(Get(id).state, JobState::kCompleted);
    options_.max_jobs = 0;
  }
}

TEST_F(FailingStorageTest, AnIdleWorkerTellsAFullDiskToo) {
  options_.heartbeat_interval = milliseconds(20);
  Worker worker(*client_, options_);
  storage_->writes_fail = ErrorCode::kDiskFull;
  const auto started = std::chrono::steady_clock::now();
  const auto status = worker.run();
  EXPECT_LT(std::chrono::steady_clock::now() - started, seconds(20));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kDiskFull);
}

// The worker's own writes still find room.
TEST_F(FailingStorageTest, HandlersThatFindNoRoomEndTheWorkerToo) {
  const JobId id = Enqueue("large");
  Worker worker(*client_, options_);
  std::atomic<int> tries = 0;
  worker.handle_raw("large", [&](Context& context) {
    ++tries;
    const auto done =
        context.complete_in([](Transaction&) { return Result<void>(fail(ErrorCode::kDiskFull, "no room")); });
    return done ? Outcome::done() : Outcome::snooze(milliseconds(1));
  });
  const auto status = worker.run();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kDiskFull);
  EXPECT_EQ(status.error().message, "no room");
  EXPECT_EQ(tries, 3);
  EXPECT_NE(Get(id).state, JobState::kDead);
  EXPECT_EQ(Get(id).attempt, 0);
}

TEST_F(FailingStorageTest, FailuresOfHandlersWithSuccessesBetweenEndNothing) {
  for (int i = 0; i < 12; ++i) Enqueue(i % 3 == 2 ? "small" : "large");
  options_.max_jobs = 12;
  options_.concurrency = 1;
  Worker worker(*client_, options_);
  const auto write = [](Context& context, ErrorCode code) {
    const auto done = context.complete_in([&](Transaction&) {
      return code == ErrorCode::kInternal ? Result<void>() : Result<void>(fail(code, "no room"));
    });
    return done ? Outcome::done() : Outcome::fatal(done.error().message);
  };
  worker.handle_raw("large", [&](Context& context) { return write(context, ErrorCode::kDiskFull); });
  worker.handle_raw("small", [&](Context& context) { return write(context, ErrorCode::kInternal); });
  EXPECT_EQ(worker.run().value(), 0);
}

TEST_F(FailingStorageTest, ADatabaseThatHangsIsAStuckLoop) {
  hangs_ = true;
  Worker worker(*client_, options_);
  const auto stuck = worker.stuck_loop(milliseconds(50));
  EXPECT_EQ(stuck(), "") << "it has not begun";
  std::thread runs([&] { EXPECT_EQ(worker.run().value(), 0); });
  while (stuck() != "fetch and report") std::this_thread::yield();
  EXPECT_EQ(worker.stuck_loop(std::chrono::hours(1))(), "");
  hangs_ = false;
  hang_.release();
  worker.stop();
  runs.join();
  EXPECT_EQ(stuck(), "") << "it has ended";
}

TEST_F(FailingStorageTest, AHandlerThatRunsLongIsNoStuckLoop) {
  Enqueue("long");
  Worker worker(*client_, options_);
  std::latch running(1);
  std::counting_semaphore<> ticked(0);
  std::binary_semaphore finish(0);
  worker.handle_raw("long", [&](Context&) {
    running.count_down();
    finish.acquire();
    return Outcome::done();
  });
  worker.handle_raw("tick", [&](Context&) {
    ticked.release();
    return Outcome::done();
  });
  std::thread runs([&] { EXPECT_EQ(worker.run().value(), 0); });
  running.wait();
  const auto since = std::chrono::steady_clock::now();
  // The first may be claimed by a step that began before `since`; the second is not, while the other job still runs.
  for (int i = 0; i < 2; ++i) {
    Enqueue("tick");
    ticked.acquire();
  }
  const auto limit = std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - since);
  // Other loops may be in the middle of their first step.
  EXPECT_NE(worker.stuck_loop(limit)(), "fetch and report") << "the loop has stepped since";
  finish.release();
  worker.stop();
  runs.join();
}

TEST_F(FailingStorageTest, ALeadershipIsResignedBeforeTheWorkerSaysThatItStopped) {
  Enqueue("fine");
  options_.max_jobs = 1;
  Worker worker(*client_, options_);
  std::size_t leaders = 0;
  worker.handle_raw("fine", [&](Context&) {
    // The first campaign is made beside the first claim.
    while ((leaders = storage_->Leaders().value().size()) == 0) std::this_thread::yield();
    return Outcome::done();
  });
  storage_->FailNext(storage::Method::kStopWorker, storage::Fault::kBefore);
  EXPECT_EQ(worker.run().value(), 0);
  EXPECT_EQ(leaders, 1U);
  EXPECT_TRUE(storage_->Leaders().value().empty());
}

// On PostgreSQL history's partitions of the next days are made then.
TEST_F(FailingStorageTest, AHistoryKeptForEverIsLookedAfterAndKept) {
  const JobId kept = Enqueue("fine");
  options_.max_jobs = 1;
  {
    Worker worker(*client_, options_);
    worker.handle_raw("fine", [](Context&) { return Outcome::done(); });
    EXPECT_EQ(worker.run().value(), 0);
  }
  while (retention_.try_acquire()) {
  }
  options_.history_retention = Duration(0);
  Enqueue("waits");
  Worker worker(*client_, options_);
  worker.handle_raw("waits", [&](Context&) {
    EXPECT_TRUE(retention_.try_acquire_for(seconds(10)));
    return Outcome::done();
  });
  EXPECT_EQ(worker.run().value(), 0);
  EXPECT_EQ(Get(kept).state, JobState::kCompleted);
}

}  // namespace
}  // namespace millrace
