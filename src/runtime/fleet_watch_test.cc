#include "runtime/fleet_watch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>
#include <thread>

#include "base/test_dir.h"
#include "storage/faulty/faulty_storage.h"
#include "storage/open.h"

namespace millrace::runtime {
namespace {

using storage::FaultyStorage;
using storage::Method;

class FleetWatchTest : public ::testing::Test {
 protected:
  FleetWatchTest() {
    StorageOptions options;
    options.url = dir_.file("m.db");
    storage_ = std::make_unique<FaultyStorage>(storage::OpenStorage(options).value(), 1, [this](Method method) {
      if (method != Method::kNow) return;
      ++looks_;
      looked_.release();
    });
  }

  base::TestDir dir_;
  std::atomic<int> looks_ = 0;
  std::counting_semaphore<> looked_{0};
  std::unique_ptr<FaultyStorage> storage_;
};

TEST_F(FleetWatchTest, WhoeverAsksGetsTheLatestLookAndCausesNone) {
  NewJob job;
  job.kind = "k";
  job.queue = "mail";
  ASSERT_TRUE(storage_->Enqueue({&job, 1}));
  FleetWatch watch;
  EXPECT_EQ(watch.Latest(), nullptr) << "there was none yet";
  watch.Watch(*storage_, std::chrono::hours(1));
  std::shared_ptr<const FleetLook> look;
  while ((look = watch.Latest()) == nullptr) std::this_thread::yield();
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(watch.Latest(), look);
  EXPECT_EQ(looks_, 1);
  ASSERT_EQ(look->queues.size(), 1U);
  EXPECT_EQ(look->queues[0].name, "mail");
}

TEST_F(FleetWatchTest, ALookThatIsOldIsNotToldAndANewOneIs) {
  FleetWatch watch;
  watch.Watch(*storage_, std::chrono::milliseconds(20));
  while (watch.Latest() == nullptr) std::this_thread::yield();
  storage_->SetAllRates({.before = 1});  // the database is away
  while (watch.Latest() != nullptr) std::this_thread::yield();
  storage_->SetAllRates({});
  while (watch.Latest() == nullptr) std::this_thread::yield();
}

TEST_F(FleetWatchTest, WhileNobodyAsksNobodyLooks) {
  FleetWatch watch;
  watch.Watch(*storage_, std::chrono::milliseconds(1));
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (looked_.try_acquire_for(std::chrono::milliseconds(200))) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up) << "it looks on";
  }
  EXPECT_EQ(watch.Latest(), nullptr) << "it is old";
  EXPECT_TRUE(looked_.try_acquire_for(std::chrono::seconds(30))) << "whoever asks has it look";
}

}  // namespace
}  // namespace millrace::runtime
