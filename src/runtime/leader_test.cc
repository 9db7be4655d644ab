// Who campaigns when, and how often: on SQLite, with heartbeats sent by hand.
#include "runtime/leader.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "base/log.h"
#include "base/test_dir.h"
#include "storage/faulty/faulty_storage.h"
#include "storage/open.h"

namespace millrace::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class LeaderTest : public ::testing::Test {
 protected:
  LeaderTest() {
    base::ConfigureLog({base::Level::kOff, false});
    StorageOptions options;
    options.url = dir_.file("test.db");
    storage_ = std::make_unique<storage::FaultyStorage>(
        storage::OpenStorage(options).value(), 1,
        [this](storage::Method method) { asked_ += method == storage::Method::kLead ? 1 : 0; });
  }
  ~LeaderTest() override { base::ConfigureLog({}); }

  storage::WorkerRef Register(const std::string& id) {
    storage::WorkerInfo info;
    info.id = id;
    return storage_->RegisterWorker(info).value();
  }
  void Beat(const storage::WorkerRef& worker, Leader& leader) {
    const auto asked = Leader::Clock::now();
    const auto reply = storage_->Heartbeat(worker, storage::WorkerState::kActive, {}, leader.campaign()).value();
    if (reply.leadership) leader.Heard(*reply.leadership, asked);
  }
  std::string Holder() {
    const auto leaders = storage_->Leaders().value();
    return leaders.empty() ? "" : leaders.front().holder;
  }

  base::TestDir dir_;
  std::atomic<int> asked_ = 0;
  std::unique_ptr<storage::FaultyStorage> storage_;
  WorkerOptions options_;
};

TEST_F(LeaderTest, ALeadershipLastsThreeHeartbeatsAndEndsBeforeItsJobsAreRescued) {
  EXPECT_EQ(LeadershipTtl(options_), seconds(15));
  options_.stale_threshold = seconds(14);
  EXPECT_EQ(LeadershipTtl(options_), seconds(9)) << "a new leader is there before the jobs are due";
  options_.stale_threshold = seconds(6);
  EXPECT_EQ(LeadershipTtl(options_), milliseconds(7500)) << "but a heartbeat renews it in time";
}

TEST_F(LeaderTest, OneLeadsAndTheOthersAskWithTheirHeartbeatsAlone) {
  const auto a = Register("a");
  const auto b = Register("b");
  Leader first(*storage_, a, options_);
  Leader second(*storage_, b, options_);
  const auto led = first.Lead();
  ASSERT_TRUE(led);
  EXPECT_EQ(led->holder, "a");
  EXPECT_FALSE(second.Lead());
  EXPECT_EQ(asked_, 2);
  for (int i = 0; i < 5; ++i) {
    Beat(a, first);
    Beat(b, second);
    EXPECT_EQ(first.Lead()->epoch, led->epoch);
    EXPECT_FALSE(second.Lead());
  }
  EXPECT_EQ(asked_, 2) << "no call beside the heartbeats";
  first.Resign();
  EXPECT_FALSE(first.Lead());
  EXPECT_TRUE(first.campaign().scope.empty());
  Beat(a, first);
  EXPECT_EQ(Holder(), "");
  Beat(b, second);
  ASSERT_TRUE(second.Lead());
  EXPECT_EQ(second.Lead()->epoch, led->epoch + 1);
  EXPECT_EQ(asked_, 2);
  first.Resign();
  EXPECT_EQ(Holder(), "b") << "what a worker no longer has it cannot give back";
}

TEST_F(LeaderTest, WhoIsDeposedAsksAgain) {
  const auto a = Register("a");
  Leader first(*storage_, a, options_);
  const auto led = first.Lead();
  ASSERT_TRUE(storage_->Resign(a, led->scope));
  ASSERT_TRUE(first.Lead()) << "it cannot know";
  first.Deposed();
  const auto again = first.Lead();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->epoch, led->epoch + 1);
}

TEST_F(LeaderTest, AnOlderAnswerSaysNothing) {
  const auto a = Register("a");
  Leader first(*storage_, a, options_);
  const auto before = Leader::Clock::now();
  ASSERT_TRUE(first.Lead());
  storage::Leadership stale = *first.Lead();
  stale.leads = false;
  stale.holder = "b";
  first.Heard(stale, before);
  EXPECT_TRUE(first.Lead());
  first.Heard(stale, Leader::Clock::now());
  EXPECT_FALSE(first.Lead());
}

TEST_F(LeaderTest, AStorageThatFailsIsNotAskedOverAndOver) {
  const auto a = Register("a");
  Leader first(*storage_, a, options_);
  storage_->FailNext(storage::Method::kLead, storage::Fault::kBefore);
  EXPECT_FALSE(first.Lead());
  EXPECT_FALSE(first.Lead());
  EXPECT_EQ(asked_, 1);
  Beat(a, first);
  EXPECT_TRUE(first.Lead()) << "a heartbeat came through";
}

TEST_F(LeaderTest, ALeaderWhoseWorkIsStuckIsFollowedThoughItsHeartGoesOn) {
  options_.heartbeat_interval = milliseconds(20);
  const auto a = Register("stuck");
  Leader stuck(*storage_, a, options_);
  ASSERT_TRUE(stuck.Lead());
  Leader next(*storage_, Register("next"), options_);
  const auto until = Leader::Clock::now() + seconds(60);
  while (!next.Lead() && Leader::Clock::now() < until) {
    Beat(a, stuck);
    next.Wait({});
  }
  EXPECT_EQ(Holder(), "next");
}

// Nobody's heartbeat says that the leader is gone: the one that waits wakes when its time is up, and asks.
TEST_F(LeaderTest, TheNextOneWakesWhenASilentLeadersTimeIsUp) {
  options_.heartbeat_interval = milliseconds(20);
  Leader silent(*storage_, Register("silent"), options_);
  ASSERT_TRUE(silent.Lead());
  Leader next(*storage_, Register("next"), options_);
  std::optional<storage::Leadership> led;
  auto waits = std::async(std::launch::async, [&] {
    while (!(led = next.Lead())) next.Wait({});
  });
  ASSERT_EQ(waits.wait_for(seconds(60)), std::future_status::ready);
  EXPECT_EQ(led->epoch, 2);
  EXPECT_LE(asked_, 5) << "it slept meanwhile";
}

TEST_F(LeaderTest, WaitingEndsWithAStopAndWithALeadership) {
  const auto a = Register("a");
  const auto b = Register("b");
  Leader first(*storage_, a, options_);
  Leader second(*storage_, b, options_);
  ASSERT_TRUE(first.Lead());
  ASSERT_FALSE(second.Lead());
  std::stop_source stop;
  auto stopped = std::async(std::launch::async, [&] { first.Wait(stop.get_token()); });
  stop.request_stop();
  EXPECT_EQ(stopped.wait_for(seconds(4)), std::future_status::ready) << "less than a heartbeat's time";
  auto gained = std::async(std::launch::async, [&] { second.Wait({}); });
  first.Resign();
  Beat(b, second);
  ASSERT_EQ(gained.wait_for(seconds(14)), std::future_status::ready) << "less than the first one's time";
  EXPECT_TRUE(second.Lead());
}

}  // namespace
}  // namespace millrace::runtime
