#include <gmock/gmock.h>

#include <condition_variable>
#include <mutex>

#include "storage/postgres/listener.h"
#include "storage/postgres/pg_fixture.h"

namespace millrace::storage::postgres {
namespace {

using std::chrono::seconds;

class PgListenerTest : public PgTest {};

TEST_F(PgListenerTest, HearsItsChannelAndNoOther) {
  Heard heard;
  Listener listener(options_, "Wake \"up\"", heard.Callback());
  EXPECT_THAT(heard.Await(1), ::testing::ElementsAre(""));
  EXPECT_TRUE(listener.healthy());
  auto connection = Open();
  Execute(*connection,
          "SELECT pg_notify('other', 'no'), pg_notify('Wake \"up\"', 'one'), pg_notify('Wake \"up\"', 'two')");
  EXPECT_THAT(heard.Await(3), ::testing::ElementsAre("", "one", "two"));
}

TEST_F(PgListenerTest, ReconnectsWhenItsSessionIsTerminated) {
  Heard heard;
  options_.application_name = "the_listener";
  Listener listener(options_, "wake", heard.Callback());
  heard.Await(1);
  options_.application_name = "other";
  auto connection = Open();
  const auto backend = [&] {
    return Number(*connection,
                  "SELECT pid FROM pg_stat_activity WHERE application_name = 'the_listener' AND datname = "
                  "current_database()");
  };
  Terminate(*connection, static_cast<int>(backend()));
  EXPECT_THAT(heard.Await(2), ::testing::ElementsAre("", "")) << "something may have been missed";
  EXPECT_TRUE(listener.healthy());
  Execute(*connection, "NOTIFY wake, 'again'");
  EXPECT_EQ(heard.Await(3).back(), "again");
}

TEST_F(PgListenerTest, OutlivesAnOutage) {
  if (!TestCluster::Get().CanStop()) GTEST_SKIP() << "the server is not ours to stop";
  Heard heard;
  Listener listener(options_, "wake", heard.Callback());
  heard.Await(1);
  TestCluster::Get().Stop(true);
  while (listener.healthy()) std::this_thread::yield();
  TestCluster::Get().Start();
  heard.Await(2);
  EXPECT_TRUE(listener.healthy());
}

TEST_F(PgListenerTest, StopsPromptlyWhateverItIsDoing) {
  Heard heard;
  ConnectOptions nowhere = options_;
  nowhere.url = "postgresql://ann@127.0.0.1:1/jobs";
  const auto began = std::chrono::steady_clock::now();
  {
    const Listener listening(options_, "wake", heard.Callback());
    heard.Await(1);
    const Listener pausing(nowhere, "wake", heard.Callback());
  }
  EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(20));
  EXPECT_EQ(heard.Await(1).size(), 1U);
}

}  // namespace
}  // namespace millrace::storage::postgres
