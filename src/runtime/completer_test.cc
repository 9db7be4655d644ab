#include "runtime/completer.h"

#include <gtest/gtest.h>

#include <thread>

namespace millrace::runtime {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

std::vector<storage::Report> Reports(int count) {
  return std::vector<storage::Report>(static_cast<std::size_t>(count));
}

// With a linger of an hour, only the rule under test can end a Take.
TEST(CompleterTest, TakesNothingAtOnceWhenEmpty) {
  Completer completer(hours(1), 500);
  EXPECT_TRUE(completer.Take().empty());
}

TEST(CompleterTest, AFullBatchIsDueAtOnce) {
  Completer completer(hours(1), 3);
  completer.Add(Reports(2), false);
  std::thread adds([&] { completer.Add(Reports(2), false); });
  EXPECT_EQ(completer.Take().size(), 4U);
  adds.join();
}

TEST(CompleterTest, AnIdleSlotMakesItDueAtOnce) {
  Completer completer(hours(1), 500);
  completer.Add(Reports(1), true);
  EXPECT_EQ(completer.Take().size(), 1U);
}

TEST(CompleterTest, AFewAreDueAfterTheLinger) {
  Completer completer(milliseconds(5), 500);
  const auto begin = std::chrono::steady_clock::now();
  completer.Add(Reports(2), false);
  EXPECT_EQ(completer.Take().size(), 2U);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(5));
}

TEST(CompleterTest, AnOutcomeEndsAWaitElsewhere) {
  Completer completer(hours(1), 500);
  const std::stop_token armed = completer.Arm();
  EXPECT_FALSE(armed.stop_requested());
  completer.Add(Reports(1), false);
  EXPECT_TRUE(armed.stop_requested());
  completer.Disarm();
  EXPECT_TRUE(completer.Arm().stop_requested()) << "it is still there";
}

TEST(CompleterTest, AnIdleSlotWithoutOutcomesEndsAWaitToo) {
  Completer completer(hours(1), 500);
  completer.Add({}, true);
  EXPECT_TRUE(completer.Arm().stop_requested());
  completer.Disarm();
  completer.Wait(hours(1));
  EXPECT_TRUE(completer.Take().empty());
  EXPECT_FALSE(completer.Arm().stop_requested()) << "it was heard";
}

TEST(CompleterTest, AnInterruptBeforeTheWaitIsNotLost) {
  Completer completer(hours(1), 500);
  completer.Interrupt();
  completer.Wait(hours(1));
  completer.Interrupt();
  EXPECT_TRUE(completer.Arm().stop_requested());
}

}  // namespace
}  // namespace millrace::runtime
