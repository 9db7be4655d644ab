// What the leader does from time to time, with a clock that is moved by hand.
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
#include "storage/sqlite/driver.h"

namespace millrace {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

class MaintenanceTest : public ::testing::Test {
 protected:
  MaintenanceTest() {
    base::ConfigureLog({base::Level::kOff, false});
    StorageOptions options;
    options.url = dir_.file("test.db");
    storage_ = std::make_shared<storage::FaultyStorage>(
        storage::sqlite::OpenSqlite(options, clock_).value(), 1, [this](storage::Method method) {
          if (method == storage::Method::kHeartbeat && silent_) speak_.acquire();
          if (method == storage::Method::kRescue) rescues_.release();
          if (method == storage::Method::kNow || method == storage::Method::kRescue) rounds_.release();
        });
    client_.emplace(Client(std::make_shared<Client::Impl>(Client::Impl{storage_, options})));
    options_.heartbeat_interval = milliseconds(50);
    options_.stale_threshold = seconds(2);
    options_.max_jobs = 1;
  }
  ~MaintenanceTest() override { base::ConfigureLog({}); }

  // While a worker runs one job: moves the clock on and lets maintenance come round some times with no worker beating.
  Job RunThrough(Duration leap) {
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
    silent_ = true;
    clock_.Advance(leap);
    for (int i = 0; i < 8; ++i) rounds_.acquire();
    silent_ = false;
    speak_.release(100);
    finish.release();
    runs.join();
    return client_->get(id).value();
  }

  base::TestDir dir_;
  base::ManualClock clock_{Time(hours(24 * 365 * 50))};
  std::atomic<bool> silent_ = false;
  std::counting_semaphore<> speak_{0};
  std::counting_semaphore<> rescues_{0};
  std::counting_semaphore<> rounds_{0};
  std::shared_ptr<storage::FaultyStorage> storage_;
  std::optional<Client> client_;
  WorkerOptions options_;
};

// As when the clock is set, or a laptop wakes up: the worker's last heartbeat is old then, and the worker is not.
TEST_F(MaintenanceTest, ALeapOfTheClockMakesNoWorkerSilent) {
  const Job job = RunThrough(hours(3));
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
  // One may have been under way.
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(rescues_.try_acquire_for(seconds(20)));
  worker.stop();
  runs.join();
}

}  // namespace
}  // namespace millrace
