// When a worker beats: on SQLite, with the real executor.
#include "runtime/heartbeat.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <latch>
#include <vector>

#include "base/log.h"
#include "base/test_dir.h"
#include "storage/faulty/faulty_storage.h"
#include "storage/open.h"

namespace millrace::runtime {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

// One worker whose heartbeats are counted, beside another one that may lead.
class HeartbeatTest : public ::testing::Test {
 protected:
  HeartbeatTest() {
    base::ConfigureLog({base::Level::kOff, false});
    StorageOptions options;
    options.url = dir_.file("test.db");
    storage_ = std::make_shared<storage::FaultyStorage>(storage::OpenStorage(options).value(), 1,
                                                        [this](storage::Method method) { Called(method); });
    handlers_ = std::make_shared<Handlers>(options);
    handlers_->Add("wait", {[this](Context&) {
                     end_.wait();
                     return Outcome::done();
                   }});
    completer_ = std::make_shared<Completer>(milliseconds(1), 100);
    other_ = Register("other");
    worker_ = Register("worker");
    options_.heartbeat_interval = milliseconds(20);
    options_.stale_threshold = hours(1);
  }
  ~HeartbeatTest() override {
    heartbeat_.reset();
    executor_.reset();
    base::ConfigureLog({});
  }

  storage::WorkerRef Register(const std::string& id) {
    storage::WorkerInfo info;
    info.id = id;
    return storage_->RegisterWorker(info).value();
  }
  void OtherLeadsFor(Duration ttl) {
    ASSERT_TRUE(storage_->Lead(other_, {std::string(storage::kMaintenanceScope), ttl}).value().leads);
  }
  void Start() {
    executor_ = std::make_unique<Executor>(storage_, handlers_, completer_, worker_, 1);
    leader_ = std::make_unique<Leader>(*storage_, worker_, options_);
    heartbeat_ = std::make_unique<Heartbeat>(*storage_, worker_, *executor_, options_, *leader_, watch_,
                                             [](const std::optional<Error>&) {});
  }
  // A job that runs until end_.
  void SubmitOne() {
    NewJob job;
    job.kind = "wait";
    ASSERT_TRUE(storage_->Enqueue(std::span(&job, 1)));
    storage::ClaimRequest claim;
    claim.worker = worker_;
    claim.max_jobs = 1;
    executor_->Submit(storage_->Claim(claim).value().jobs);
  }

  void Called(storage::Method method) {
    if (method != storage::Method::kHeartbeat) return;
    const std::lock_guard lock(mutex_);
    beats_.push_back(Heartbeat::Clock::now());
    beaten_.notify_all();
  }
  std::size_t Beats() {
    const std::lock_guard lock(mutex_);
    return beats_.size();
  }
  // False when it takes a minute.
  bool WaitForBeats(std::size_t count) {
    std::unique_lock lock(mutex_);
    return beaten_.wait_for(lock, std::chrono::minutes(1), [&] { return beats_.size() >= count; });
  }
  // Until the worker has learnt that another one leads: the answer to its first beat came before its second question.
  bool WaitUntilQuiet() {
    if (!WaitForBeats(1)) return false;
    const auto end = Heartbeat::Clock::now() + std::chrono::minutes(1);
    while (!leader_->other_leads_until() && Heartbeat::Clock::now() < end) std::this_thread::yield();
    return leader_->other_leads_until().has_value();
  }

  base::TestDir dir_;
  std::latch end_{1};  // of the job "wait"
  std::mutex mutex_;
  std::condition_variable beaten_;
  std::vector<Heartbeat::Clock::time_point> beats_;
  std::shared_ptr<storage::FaultyStorage> storage_;
  std::shared_ptr<Handlers> handlers_;
  std::shared_ptr<Completer> completer_;
  storage::WorkerRef other_;
  storage::WorkerRef worker_;
  WorkerOptions options_;
  LoopWatch watch_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Leader> leader_;
  std::unique_ptr<Heartbeat> heartbeat_;
};

TEST_F(HeartbeatTest, AnIdleWorkerBeatsTwicePerStaleThreshold) {
  options_.stale_threshold = milliseconds(600);
  OtherLeadsFor(hours(1));
  Start();
  ASSERT_TRUE(WaitUntilQuiet());
  ASSERT_TRUE(WaitForBeats(4));
  const std::lock_guard lock(mutex_);
  for (int i = 2; i < 4; ++i) EXPECT_GT(beats_[i] - beats_[i - 1], milliseconds(200)) << "gap " << i;
}

TEST_F(HeartbeatTest, AWorkerWithAJobBeatsEachInterval) {
  OtherLeadsFor(hours(1));
  Start();
  EXPECT_TRUE(WaitUntilQuiet());
  SubmitOne();
  EXPECT_TRUE(WaitForBeats(Beats() + 3)) << "an idle one would beat every half hour";
  end_.count_down();
}

TEST_F(HeartbeatTest, ALeaderBeatsEachInterval) {
  Start();
  EXPECT_TRUE(WaitForBeats(4)) << "it must renew";
}

TEST_F(HeartbeatTest, AnIdleWorkerTellsThatItDrains) {
  OtherLeadsFor(hours(1));
  Start();
  ASSERT_TRUE(WaitUntilQuiet());
  heartbeat_->SetState(storage::WorkerState::kDraining);
  const auto state = [&] { return storage_->Workers().value().back().state; };
  const auto end = Heartbeat::Clock::now() + std::chrono::minutes(1);
  while (state() != storage::WorkerState::kDraining && Heartbeat::Clock::now() < end) std::this_thread::yield();
  EXPECT_EQ(state(), storage::WorkerState::kDraining);
}

TEST_F(HeartbeatTest, AnIdleWorkerCampaignsWhenTheLeadersTimeIsUp) {
  OtherLeadsFor(milliseconds(500));
  Start();
  ASSERT_TRUE(WaitUntilQuiet());
  const auto holder = [&] {
    const auto leaders = storage_->Leaders().value();
    return leaders.empty() ? std::string() : leaders.front().holder;
  };
  const auto end = Heartbeat::Clock::now() + std::chrono::minutes(1);
  while (holder() != "worker" && Heartbeat::Clock::now() < end) std::this_thread::yield();
  EXPECT_EQ(holder(), "worker") << "by its heartbeats alone: nobody calls Lead here";
}

TEST_F(HeartbeatTest, AWorkerThatWasNotHeardTriesAgainAfterAnInterval) {
  OtherLeadsFor(hours(1));
  Start();
  ASSERT_TRUE(WaitUntilQuiet());
  const std::size_t before = Beats();
  storage_->FailNext(storage::Method::kHeartbeat, storage::Fault::kBefore);
  SubmitOne();
  EXPECT_TRUE(WaitForBeats(before + 1)) << "the one that fails";
  end_.count_down();
  EXPECT_TRUE(WaitForBeats(before + 2)) << "although there is nothing to do any more";
}

}  // namespace
}  // namespace millrace::runtime
