// What the wrapper does, and that a caller which tries again after a lost reply neither loses nor doubles anything.
#include "storage/faulty/faulty_storage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <map>
#include <set>

#include "storage/conformance/helpers.h"
#include "storage/conformance/model.h"

namespace millrace::storage {
namespace {

class FaultyStorageTest : public testing::Test {
 protected:
  FaultyStorage& db() {
    if (!db_)
      db_ = std::make_unique<FaultyStorage>(std::make_unique<MemoryStorage>(StorageOptions(), clock_), 7, hook_);
    return *db_;
  }
  WorkerRef Register(const std::string& id) {
    WorkerInfo info;
    info.id = id;
    return Must(db().inner().RegisterWorker(info));
  }
  ClaimedJob ClaimOne(const WorkerRef& worker) {
    ClaimRequest request;
    request.worker = worker;
    request.max_jobs = 1;
    return Must(db().inner().Claim(request)).jobs.at(0);
  }
  std::vector<Job> Jobs() {
    JobFilter filter;
    filter.limit = 1'000'000;
    return Must(db().inner().ListJobs(filter));
  }

  base::ManualClock clock_{Time(std::chrono::seconds(1'700'000'000))};
  FaultyStorage::DelayHook hook_;
  std::unique_ptr<FaultyStorage> db_;
};

TEST_F(FaultyStorageTest, PassesCallsThroughWithoutAPlan) {
  const NewJob job = JobOf("k");
  EXPECT_EQ(Must(db().Enqueue({&job, 1})).size(), 1u);
  EXPECT_EQ(db().Name(), "memory");
  EXPECT_EQ(db().injected(), 0);
}

TEST_F(FaultyStorageTest, AnErrorBeforeChangesNothing) {
  db().FailNext(Method::kEnqueue, Fault::kBefore);
  const NewJob job = JobOf("k");
  const auto result = db().Enqueue({&job, 1});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kDatabaseUnavailable);
  EXPECT_NE(result.error().message.find("Enqueue"), std::string::npos);
  EXPECT_TRUE(Jobs().empty());
  EXPECT_EQ(db().injected(), 1);
  EXPECT_TRUE(db().Enqueue({&job, 1})) << "only the next call";
}

TEST_F(FaultyStorageTest, ALostReplyHasDoneItsWork) {
  db().FailNext(Method::kEnqueue, Fault::kAfter);
  const NewJob job = JobOf("k");
  const auto result = db().Enqueue({&job, 1});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kDatabaseUnavailable);
  EXPECT_EQ(Jobs().size(), 1u);
}

TEST_F(FaultyStorageTest, ACallsOwnErrorIsKept) {
  db().FailNext(Method::kEnqueue, Fault::kAfter);
  const NewJob job = JobOf("");
  const auto result = db().Enqueue({&job, 1});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(FaultyStorageTest, RatesHoldPerMethodAndSeed) {
  const auto faults = [&](std::uint64_t seed) {
    FaultyStorage storage(std::make_unique<MemoryStorage>(StorageOptions(), clock_), seed);
    storage.SetRates(Method::kNow, {.before = 0.2, .after = 0.1});
    std::string pattern;
    for (int i = 0; i < 1000; ++i) pattern += storage.Now() ? '.' : 'x';
    EXPECT_TRUE(storage.Queues());
    EXPECT_EQ(storage.injected(), std::count(pattern.begin(), pattern.end(), 'x'));
    return pattern;
  };
  const std::string pattern = faults(1);
  EXPECT_EQ(pattern, faults(1));
  EXPECT_NE(pattern, faults(2));
  const auto count = std::count(pattern.begin(), pattern.end(), 'x');
  EXPECT_GT(count, 230);
  EXPECT_LT(count, 370);
}

TEST_F(FaultyStorageTest, TheHookHoldsACallUp) {
  std::promise<void> reached;
  std::promise<void> go_on;
  hook_ = [&, waited = false](Method method) mutable {
    if (method != Method::kEnqueue || std::exchange(waited, true)) return;
    reached.set_value();
    go_on.get_future().wait();
  };
  db();
  auto enqueue = std::async(std::launch::async, [&] {
    const NewJob job = JobOf("k");
    return db().Enqueue({&job, 1}).has_value();
  });
  reached.get_future().wait();
  EXPECT_TRUE(Jobs().empty());
  go_on.set_value();
  EXPECT_TRUE(enqueue.get());
  EXPECT_EQ(Jobs().size(), 1u);
}

TEST_F(FaultyStorageTest, ALostReplyOfATransactionHasCommitted) {
  db().FailNext(Method::kTransact, Fault::kAfter);
  const auto result = db().Transact([&](Transaction& transaction) -> Result<void> {
    const NewJob job = JobOf("k");
    if (auto added = transaction.enqueue({&job, 1}); !added) return fail(added.error());
    return {};
  });
  EXPECT_FALSE(result);
  EXPECT_EQ(Jobs().size(), 1u);
}

TEST_F(FaultyStorageTest, AReportRepeatedAfterALostReplyIsRefusedAndCountsOnce) {
  const WorkerRef worker = Register("w");
  const NewJob job = JobOf("parent");
  Must(db().Enqueue({&job, 1}));
  Report report = ReportOf(ClaimOne(worker), Verdict::kCompleted, Duration(0), "1");
  report.emits = {JobOf("child")};
  db().FailNext(Method::kReportOutcomes, Fault::kAfter);
  EXPECT_FALSE(db().ReportOutcomes(worker, {&report, 1}));
  EXPECT_EQ(Must(db().ReportOutcomes(worker, {&report, 1})), Accepted{false});
  const std::vector<Job> jobs = Jobs();
  ASSERT_EQ(jobs.size(), 2u) << "one parent, one child";
  EXPECT_EQ(jobs[0].state, JobState::kCompleted);
  EXPECT_EQ(jobs[1].kind, "child");
}

// A worker as a careful caller writes it: every call is tried until it is answered; a report that is refused after an
// error is taken as done before; a claim whose reply was lost comes back through rescue.
class CarefulWorker {
 public:
  CarefulWorker(FaultyStorage& db, base::ManualClock& clock) : db_(db), clock_(clock) {}

  template <class Call>
  auto Insist(Call call) {
    while (true) {
      if (auto result = call()) return *std::move(result);
      clock_.Advance(kSecond);
    }
  }

  void Produce(int number) {
    const NewJob job = JobOf("parent", [&](NewJob& j) { j.unique_key = "parent " + std::to_string(number); });
    Insist([&] { return db_.Enqueue({&job, 1}); });
  }

  void Work() {
    WorkerInfo info;
    info.id = "w";
    const WorkerRef worker = Insist([&] { return db_.RegisterWorker(info); });
    ClaimRequest request;
    request.worker = worker;
    request.max_jobs = 3;
    while (!Finished()) {
      const Claimed claimed = Insist([&] { return db_.Claim(request); });
      for (const ClaimedJob& job : claimed.jobs) {
        ++runs[job.id];
        Report report = ReportOf(job, Verdict::kCompleted);
        if (job.kind == "parent") report.emits = {JobOf("child")};
        Insist([&] { return db_.ReportOutcomes(worker, {&report, 1}); });
      }
      if (claimed.jobs.empty()) RescueWhatIsLost(worker);
    }
  }

  std::map<JobId, int> runs;

 private:
  bool Finished() {
    JobFilter open;
    open.states = {JobState::kAvailable, JobState::kRunning, JobState::kScheduled, JobState::kRetryable};
    return Insist([&] { return db_.ListJobs(open); }).empty();
  }
  // The replies of some claims were lost: nobody runs those jobs, until they are past their timeout.
  void RescueWhatIsLost(const WorkerRef& worker) {
    clock_.Advance(10 * kMinute);
    Insist([&] { return db_.Heartbeat(worker, WorkerState::kActive, {}); });
    Insist([&] { return db_.Rescue(kHour, kSecond); });
    clock_.Advance(10 * kMinute);
  }

  FaultyStorage& db_;
  base::ManualClock& clock_;
};

TEST_F(FaultyStorageTest, NothingIsLostOrDoubledUnderManyFaults) {
  constexpr int kParents = 200;
  StorageOptions options;
  options.max_attempts = 1000;
  db_ = std::make_unique<FaultyStorage>(std::make_unique<MemoryStorage>(options, clock_), 42);
  db_->SetAllRates({.before = 0.15, .after = 0.15});
  CarefulWorker worker(*db_, clock_);
  for (int i = 0; i < kParents; ++i) worker.Produce(i);
  worker.Work();
  EXPECT_GT(db_->injected(), kParents / 4);
  std::map<std::string, int> completed;
  for (const Job& job : Jobs()) {
    EXPECT_EQ(job.state, JobState::kCompleted) << job.id;
    ++completed[job.kind];
    EXPECT_GE(worker.runs[job.id], 1);
  }
  EXPECT_EQ(completed["parent"], kParents);
  EXPECT_EQ(completed["child"], kParents) << "each parent's emit came exactly once";
}

}  // namespace
}  // namespace millrace::storage
