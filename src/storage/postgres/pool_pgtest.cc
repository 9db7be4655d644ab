#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <thread>

#include "storage/postgres/pg_fixture.h"
#include "storage/postgres/pool.h"

namespace millrace::storage::postgres {
namespace {

using ::testing::HasSubstr;

class PgPoolTest : public PgTest {
 protected:
  void SetUp() override {
    PgTest::SetUp();
    pool_options_.connect = options_;
    pool_options_.size = 1;
    pool_options_.max_overflow = 1;
  }
  static Pool::Lease Take(Pool& pool) {
    auto lease = pool.Acquire();
    if (!lease) throw std::runtime_error(lease.error().message);
    return std::move(*lease);
  }
  // Until so many threads stand in the queue.
  static void AwaitWaiting(const Pool& pool, int count) {
    while (pool.stats().waiting != count) std::this_thread::yield();
  }
  PoolOptions pool_options_;
};

TEST_F(PgPoolTest, AReturnedConnectionIsHandedOutAgain) {
  Pool pool(pool_options_);
  int backend = 0;
  {
    auto lease = Take(pool);
    backend = lease->backend_pid();
    EXPECT_EQ(pool.stats().active, 1);
  }
  EXPECT_EQ(pool.stats().idle, 1);
  EXPECT_EQ(Take(pool)->backend_pid(), backend);
  EXPECT_EQ(pool.stats().opened, 1);
}

TEST_F(PgPoolTest, AnOpenTransactionIsRolledBackOnReturn) {
  Pool pool(pool_options_);
  Execute(*Take(pool), "CREATE TABLE t (x int8)");
  {
    auto lease = Take(pool);
    ASSERT_TRUE(lease->Begin().has_value());
    Execute(*lease, "INSERT INTO t VALUES (1)");
  }
  auto lease = Take(pool);
  EXPECT_FALSE(lease->in_transaction());
  EXPECT_EQ(Number(*lease, "SELECT count(*) FROM t"), 0);
  EXPECT_EQ(pool.stats().opened, 1);
}

TEST_F(PgPoolTest, OneMoreIsNeverWaitedFor) {
  Pool pool(pool_options_);
  auto one = Take(pool);
  auto two = pool.TryAcquire();
  ASSERT_TRUE(two.has_value());
  EXPECT_NE((*two)->backend_pid(), one->backend_pid());
  EXPECT_FALSE(pool.TryAcquire().has_value());
  EXPECT_EQ(pool.stats().active, 2);
  two->Return();
  EXPECT_TRUE(pool.TryAcquire().has_value());
}

TEST_F(PgPoolTest, OneMoreDoesNotGoBeforeThoseWhoWait) {
  Pool pool(pool_options_);
  auto one = Take(pool);
  auto two = Take(pool);
  auto third = std::async(std::launch::async, [&] { return Take(pool); });
  AwaitWaiting(pool, 1);
  EXPECT_FALSE(pool.TryAcquire().has_value());
  two.Return();
  third.get();
  EXPECT_EQ(pool.stats().active, 1);
}

TEST_F(PgPoolTest, WhenAllAreInUseTheMessageSaysSo) {
  pool_options_.timeout = std::chrono::milliseconds(30);
  Pool pool(pool_options_);
  auto one = Take(pool);
  auto two = Take(pool);
  auto third = pool.Acquire();
  ASSERT_FALSE(third.has_value());
  EXPECT_EQ(third.error().code, ErrorCode::kTimeout);
  EXPECT_THAT(third.error().message, HasSubstr(Database() + " became free within 30ms: 2 of 2 in use, 1 waiting; raise "
                                                            "storage.pool_size or max_overflow"));
  EXPECT_GE(pool.stats().total_wait, std::chrono::milliseconds(30));
  EXPECT_EQ(pool.stats().waiting, 0);
  EXPECT_EQ(pool.stats().timeouts, 1);
  EXPECT_EQ(pool.stats().min, 1);
  EXPECT_EQ(pool.stats().max, 2);
  one.Return();
  EXPECT_TRUE(pool.Acquire().has_value());
}

TEST_F(PgPoolTest, WaitersAreServedInTheOrderTheyCame) {
  pool_options_.max_overflow = 0;
  Pool pool(pool_options_);
  auto held = Take(pool);
  std::mutex mutex;
  std::vector<int> order;
  std::vector<std::thread> threads;
  for (int i = 0; i < 5; ++i) {
    threads.emplace_back([&, i] {
      auto lease = Take(pool);
      const std::lock_guard lock(mutex);
      order.push_back(i);
    });
    AwaitWaiting(pool, i + 1);
  }
  held.Return();
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(order, ::testing::ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(pool.stats().opened, 1);
}

TEST_F(PgPoolTest, ManyThreadsNeverHoldMoreThanThereAre) {
  pool_options_.size = 2;
  pool_options_.max_overflow = 2;
  Pool pool(pool_options_);
  std::atomic<int> holding{0};
  std::atomic<int> most{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        auto lease = Take(pool);
        const int now = ++holding;
        for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
        }
        EXPECT_EQ(Number(*lease, "SELECT 7"), 7);
        --holding;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most.load(), 4);
  EXPECT_LE(pool.stats().opened, 4);
  EXPECT_EQ(pool.stats().active, 0);
}

TEST_F(PgPoolTest, ATerminatedConnectionIsReplaced) {
  pool_options_.check_after = Duration(0);
  Pool pool(pool_options_);
  auto other = Open();
  int backend = 0;
  {
    auto lease = Take(pool);
    backend = lease->backend_pid();
  }
  Terminate(*other, backend);
  EXPECT_EQ(Number(*Take(pool), "SELECT 1"), 1) << "noticed before it is handed out";
  {
    auto lease = Take(pool);
    Terminate(*other, lease->backend_pid());
    EXPECT_EQ(RunError(*lease, "SELECT 1").code, ErrorCode::kDatabaseUnavailable);
  }
  EXPECT_EQ(pool.stats().idle, 0) << "a broken one is not kept";
  EXPECT_EQ(Number(*Take(pool), "SELECT 1"), 1);
  EXPECT_EQ(pool.stats().opened, 3);
}

TEST_F(PgPoolTest, AnOldConnectionIsReplaced) {
  pool_options_.recycle = Duration(1);
  Pool pool(pool_options_);
  const int first = Take(pool)->backend_pid();
  EXPECT_NE(Take(pool)->backend_pid(), first);
  EXPECT_EQ(pool.stats().recycled, 1);
  EXPECT_EQ(pool.stats().opened, 2);
}

TEST_F(PgPoolTest, ConnectionsBeyondTheSizeAreClosedWhenIdle) {
  pool_options_.overflow_idle = Duration(0);
  Pool pool(pool_options_);
  auto one = Take(pool);
  auto two = Take(pool);
  EXPECT_EQ(pool.stats().size, 2);
  one.Return();
  two.Return();
  EXPECT_EQ(pool.stats().size, 1);
  pool.CloseIdle();
  EXPECT_EQ(pool.stats().size, 0);
}

TEST_F(PgPoolTest, AfterAFailedConnectOthersFailAtOnce) {
  pool_options_.connect.url = TestCluster::Get().Url("millrace_later");
  pool_options_.connect_pause = std::chrono::hours(1);
  Pool pool(pool_options_);
  const auto first = pool.Acquire();
  ASSERT_FALSE(first.has_value());
  EXPECT_EQ(first.error().code, ErrorCode::kNotFound);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(pool.Acquire().error().message, first.error().message);
  EXPECT_EQ(pool.stats().failed, 1) << "the server was asked once";
  EXPECT_EQ(pool.stats().active, 0);

  pool_options_.connect_pause = Duration(0);
  Pool eager(pool_options_);
  EXPECT_FALSE(eager.Acquire().has_value());
  TestCluster::Get().Execute("CREATE DATABASE millrace_later");
  EXPECT_TRUE(eager.Acquire().has_value());
  eager.CloseIdle();
  TestCluster::Get().Execute("DROP DATABASE millrace_later WITH (FORCE)");
}

// The server lets this pool have one connection where it would open two.
TEST_F(PgPoolTest, WhenTheServerIsFullTheOpenOnesGoRound) {
  TestCluster::Get().Execute(
      "DROP ROLE IF EXISTS millrace_one; CREATE ROLE millrace_one LOGIN PASSWORD 'role-secret' CONNECTION LIMIT 1");
  pool_options_.connect.url = TestCluster::Get().Url(Database(), "millrace_one", "role-secret");
  Pool pool(pool_options_);
  auto only = Take(pool);
  const int backend = only->backend_pid();
  auto second = std::async(std::launch::async, [&] { return Take(pool)->backend_pid(); });
  AwaitWaiting(pool, 1);
  only.Return();
  EXPECT_EQ(second.get(), backend);
  EXPECT_EQ(pool.stats().opened, 1);
  EXPECT_EQ(pool.stats().active, 0);

  // Many more than there are: each is served.
  std::vector<std::future<int>> many;
  for (int i = 0; i < 8; ++i)
    many.push_back(std::async(std::launch::async, [&] {
      int served = 0;
      for (int round = 0; round < 50; ++round) served += static_cast<int>(Number(*Take(pool), "SELECT 1"));
      return served;
    }));
  for (auto& one : many) EXPECT_EQ(one.get(), 50);
  EXPECT_EQ(pool.stats().active, 0);
}

TEST_F(PgPoolTest, WhenTheServerHasRoomAgainItIsUsedThoughManyWait) {
  TestCluster::Get().Execute(
      "DROP ROLE IF EXISTS millrace_one; CREATE ROLE millrace_one LOGIN PASSWORD 'role-secret' CONNECTION LIMIT 1");
  pool_options_.connect.url = TestCluster::Get().Url(Database(), "millrace_one", "role-secret");
  pool_options_.connect_pause = std::chrono::milliseconds(1);
  Pool pool(pool_options_);
  // Of several that connect at once the server may refuse all, and then none is there to go round.
  Number(*Take(pool), "SELECT 1");
  std::atomic<bool> stop = false;
  std::vector<std::future<void>> many;
  for (int i = 0; i < 6; ++i)
    many.push_back(std::async(std::launch::async, [&] {
      while (!stop) Number(*Take(pool), "SELECT 1");
    }));
  const auto refused = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (pool.stats().failed == 0 && std::chrono::steady_clock::now() < refused) std::this_thread::yield();
  EXPECT_GT(pool.stats().failed, 0);
  EXPECT_EQ(pool.stats().opened, 1);
  TestCluster::Get().Execute("ALTER ROLE millrace_one CONNECTION LIMIT 2");
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (pool.stats().opened < 2 && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
  EXPECT_EQ(pool.stats().opened, 2);
  stop = true;
  for (auto& one : many) one.get();
}

TEST_F(PgPoolTest, AFullServerIsAnErrorWhenNoneOfThePoolsOwnComesBack) {
  TestCluster::Get().Execute(
      "DROP ROLE IF EXISTS millrace_one; CREATE ROLE millrace_one LOGIN PASSWORD 'role-secret' CONNECTION LIMIT 1");
  pool_options_.connect.url = TestCluster::Get().Url(Database(), "millrace_one", "role-secret");
  pool_options_.timeout = std::chrono::milliseconds(50);
  Pool pool(pool_options_);
  auto only = Take(pool);
  const auto late = pool.Acquire();
  ASSERT_FALSE(late.has_value());
  EXPECT_THAT(late.error().message, HasSubstr("max_connections"));
  EXPECT_EQ(pool.stats().waiting, 0);
  EXPECT_EQ(pool.stats().active, 1);

  // Nobody holds one that could come back: at once.
  pool_options_.timeout = std::chrono::hours(1);
  Pool other(pool_options_);
  EXPECT_THAT(other.Acquire().error().message, HasSubstr("max_connections"));
  EXPECT_EQ(other.stats().active, 0);
}

}  // namespace
}  // namespace millrace::storage::postgres
