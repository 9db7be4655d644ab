// What the leader does from time to time, with a clock that is moved by hand.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <latch>
#include <mutex>
#include <semaphore>
#include <set>
#include <thread>

#include "base/log.h"
#include "base/test_dir.h"
#include "millrace/worker.h"
#include "runtime/client_impl.h"
#include "storage/faulty/faulty_storage.h"
#include "storage/sqlite/driver.h"

namespace millrace {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Keeps what worker "a" says of itself from the database for as long as a test wants.
class SilencingStorage : public storage::FaultyStorage {
 public:
  using FaultyStorage::FaultyStorage;
  std::atomic<bool> silent = false;    // its heartbeats
  std::atomic<bool> secluded = false;  // it asks for no leadership either

  Result<storage::HeartbeatReply> Heartbeat(const storage::WorkerRef& worker, storage::WorkerState state,
                                            std::span<const storage::JobProgress> progress,
                                            const storage::Campaign& campaign) override {
    Hold(silent, worker);
    return FaultyStorage::Heartbeat(worker, state, progress, campaign);
  }
  Result<storage::Leadership> Lead(const storage::WorkerRef& worker, const storage::Campaign& campaign) override {
    Hold(secluded, worker);
    return FaultyStorage::Lead(worker, campaign);
  }
  Result<Time> Now() override {
    auto now = FaultyStorage::Now();
    const std::lock_guard lock(mutex_);
    askers_.insert(std::this_thread::get_id());
    return now;
  }
  void Speak() {
    silent = secluded = false;
    speak_.release(100);
  }
  std::size_t askers() {
    const std::lock_guard lock(mutex_);
    return askers_.size();
  }

 private:
  void Hold(bool held, const storage::WorkerRef& worker) {
    if (held && worker.id == "a") speak_.acquire();
  }

  std::counting_semaphore<> speak_{0};
  std::mutex mutex_;
  std::set<std::thread::id> askers_;
};

class MaintenanceTest : public ::testing::Test {
 protected:
  MaintenanceTest() {
    base::ConfigureLog({base::Level::kOff, false});
    StorageOptions options;
    options.url = dir_.file("test.db");
    storage_ = std::make_shared<SilencingStorage>(
        storage::sqlite::OpenSqlite(options, clock_).value(), 1, [this](storage::Method method) {
          if (method == storage::Method::kRescue) rescues_.release();
          if (method == storage::Method::kNow || method == storage::Method::kRescue) rounds_.release();
        });
    client_.emplace(Client(std::make_shared<Client::Impl>(Client::Impl{storage_, options})));
    options_.id = "a";
    options_.heartbeat_interval = milliseconds(50);
    options_.stale_threshold = seconds(5);  // longer than a worker is kept silent here
    options_.max_jobs = 1;
  }
  ~MaintenanceTest() override { base::ConfigureLog({}); }

  // Runs one job in worker "a", which leads; `meanwhile` while the job runs.
  Job RunWhile(const std::function<void()>& meanwhile) {
    NewJob job;
    job.kind = "k";
    const JobId id = client_->enqueue(job).value().id;
    std::latch running(1);
    std::binary_semaphore finish(0);
    Worker worker(*client_, options_);
    worker.handle_raw("k", [&](Context&) {
      running.count_down();
      finish.acquire();
      return Outcome::done();
    });
    std::thread runs([&] { EXPECT_TRUE(worker.run().has_value()); });
    running.wait();
    rescues_.acquire();
    meanwhile();
    finish.release();
    runs.join();
    return client_->get(id).value();
  }
  void AwaitRounds(int count) {
    while (rounds_.try_acquire()) continue;
    for (int i = 0; i < count; ++i) rounds_.acquire();
  }
  void AwaitRescues(int count) {
    while (rescues_.try_acquire()) continue;
    for (int i = 0; i < count; ++i) EXPECT_TRUE(rescues_.try_acquire_for(seconds(20)));
  }
  std::string Leader() {
    const auto leaders = storage_->Leaders().value();
    return leaders.empty() ? "" : leaders[0].holder;
  }

  base::TestDir dir_;
  base::ManualClock clock_{Time(hours(24 * 365 * 50))};
  std::counting_semaphore<> rescues_{0};
  std::counting_semaphore<> rounds_{0};
  std::shared_ptr<SilencingStorage> storage_;
  std::optional<Client> client_;
  WorkerOptions options_;
};

// As when the clock is set, or a laptop wakes up: the worker's last heartbeat is old then, and the worker is not; its
// job's deadline has passed, and its time is not over.
TEST_F(MaintenanceTest, ALeapOfTheClockMakesNoWorkerSilentAndNoJobLate) {
  const Job job = RunWhile([&] {
    storage_->silent = true;
    clock_.Advance(hours(3));
    AwaitRounds(8);
    storage_->Speak();
    AwaitRescues(2);
  });
  EXPECT_EQ(job.state, JobState::kCompleted);
  EXPECT_EQ(job.attempt, 1);
  EXPECT_EQ(job.crashes, 0);
}

// The leap ends the leadership too: whoever takes it first has not heard from the others since.
TEST_F(MaintenanceTest, NoneThatLeadsAfterALeapTakesTheOthersForSilent) {
  options_.stale_threshold = seconds(60);
  WorkerOptions other = options_;
  other.id = "b";
  other.max_jobs = 0;
  other.queues = {"none"};
  Worker worker(*client_, other);
  std::thread runs;
  const Job job = RunWhile([&] {
    ASSERT_EQ(Leader(), "a");
    runs = std::thread([&] { EXPECT_TRUE(worker.run().has_value()); });
    while (storage_->askers() < 2) std::this_thread::yield();
    storage_->silent = storage_->secluded = true;
    clock_.Advance(hours(3));
    while (Leader() != "b") std::this_thread::yield();
    AwaitRounds(6);
    storage_->Speak();
  });
  worker.stop();
  runs.join();
  EXPECT_EQ(job.state, JobState::kCompleted);
  EXPECT_EQ(job.crashes, 0);
}

TEST_F(MaintenanceTest, RescueGoesOnOnceEveryWorkerCouldHaveBeaten) {
  options_.stale_threshold = milliseconds(200);
  options_.max_jobs = 0;
  Worker worker(*client_, options_);
  worker.handle_raw("k", [](Context&) { return Outcome::done(); });
  std::thread runs([&] { EXPECT_TRUE(worker.run().has_value()); });
  rescues_.acquire();
  clock_.Advance(hours(3));
  AwaitRescues(2);  // one may have been under way
  worker.stop();
  runs.join();
}

}  // namespace
}  // namespace millrace
