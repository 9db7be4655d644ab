#include <gtest/gtest.h>

#include "storage/postgres/driver_impl.h"

namespace millrace::storage::postgres {
namespace {

TEST(LookEvery, IsTheRarerTheMoreAreIdle) {
  using std::chrono::milliseconds;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_GE(LookEvery(0), milliseconds(1600));
    EXPECT_LE(LookEvery(4), milliseconds(2000));
    EXPECT_GE(LookEvery(50), milliseconds(20'000));
    EXPECT_LE(LookEvery(50), milliseconds(25'000));
  }
}

TEST(LookEvery, IsNotTheSameForAll) {
  const Duration first = LookEvery(50);
  bool differs = false;
  for (int i = 0; i < 1000 && !differs; ++i) differs = LookEvery(50) != first;
  EXPECT_TRUE(differs);
}

}  // namespace
}  // namespace millrace::storage::postgres
