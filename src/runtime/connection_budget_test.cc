#include "runtime/connection_budget.h"

#include <gtest/gtest.h>

#include "base/test_dir.h"
#include "storage/open.h"

namespace millrace::runtime {
namespace {

TEST(ConnectionBudgetTest, AProcessOpensItsPoolInFullAndOneForNotifications) {
  StorageOptions options;
  options.pool_size = 3;
  options.max_overflow = 4;
  EXPECT_EQ(ConnectionsOfProcess(options), 8);
}

TEST(ConnectionBudgetTest, AFleetFitsUpToTheLastConnectionThatIsNotReserved) {
  EXPECT_TRUE(BudgetOf(8, 12, {.max = 100, .reserved = 4}).fits());
  EXPECT_FALSE(BudgetOf(8, 12, {.max = 100, .reserved = 5}).fits());
  EXPECT_EQ(BudgetOf(8, 12, {.max = 100, .reserved = 5}).needed(), 96);
  EXPECT_EQ(BudgetOf(8, 12, {.max = 100, .reserved = 5}).allowed, 95);
}

TEST(ConnectionBudgetTest, TheLeastLimitCountsAndIsNamed) {
  const ServerConnections server{.max = 100, .reserved = 3, .of_login = 40, .of_database = 30};
  EXPECT_EQ(BudgetOf(1, 10, server).allowed, 30);
  EXPECT_EQ(BudgetOf(1, 10, server).why, "the database's own limit");
  EXPECT_EQ(BudgetOf(1, 10, {.max = 100, .reserved = 3, .of_login = 40}).why, "the login's own limit");
  EXPECT_EQ(BudgetOf(1, 10, {.max = 100, .reserved = 3, .of_login = 400}).allowed, 97);
}

TEST(ConnectionBudgetTest, TheSentenceSaysTheSumAndWhatToDo) {
  EXPECT_EQ(BudgetOf(2, 11, {.max = 100, .reserved = 3}).Text(),
            "2 workers with up to 11 connections each may open 22; there is room for 97 (max_connections 100 less 3 "
            "reserved)");
  EXPECT_EQ(BudgetOf(10, 11, {.max = 100, .reserved = 3}).Text(),
            "10 workers with up to 11 connections each may open 110; there is room for 97 (max_connections 100 less 3 "
            "reserved): lower storage.pool_size or max_overflow, run fewer workers, raise the limit, or put a "
            "PgBouncer between");
}

TEST(ConnectionBudgetTest, AFileHasNone) {
  const base::TestDir dir;
  StorageOptions options;
  options.url = dir.file("m.db");
  const auto storage = storage::OpenStorage(options).value();
  EXPECT_EQ(LookAtConnections(*storage, options, 1).value(), std::nullopt);
}

}  // namespace
}  // namespace millrace::runtime
