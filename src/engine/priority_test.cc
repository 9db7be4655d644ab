#include "engine/priority.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#if __has_include(<rapidcheck/gtest.h>)
#include <rapidcheck/gtest.h>
#define MILLRACE_HAS_RAPIDCHECK 1
#endif

namespace millrace::engine {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

constexpr std::array<Priority, kPriorityCount> kAll = {Priority::kCritical, Priority::kHigh, Priority::kDefault,
                                                       Priority::kLow, Priority::kBulk};

std::size_t Index(Priority priority) { return static_cast<std::size_t>(priority); }

// All five lanes have work that has just come.
LaneWaits AllFresh() {
  LaneWaits waits;
  waits.fill(Duration(0));
  return waits;
}

TEST(PrioritySetTest, HoldsWhatWasAdded) {
  PrioritySet set = PrioritySet::None();
  EXPECT_TRUE(set.Empty());
  set.Add(Priority::kLow);
  EXPECT_FALSE(set.Empty());
  for (const Priority priority : kAll) EXPECT_EQ(set.Has(priority), priority == Priority::kLow);
  for (const Priority priority : kAll) set.Add(priority);
  EXPECT_EQ(set, PrioritySet::All());
}

TEST(PriorityTest, WeightsAndTargetsAreTheContracts) {
  const std::array<int, kPriorityCount> weights = {16, 8, 4, 2, 1};
  const std::array<int, kPriorityCount> targets = {1, 5, 30, 120, 300};
  for (const Priority priority : kAll) {
    EXPECT_EQ(PriorityWeight(priority), weights[Index(priority)]);
    EXPECT_EQ(TargetWait(priority), seconds(targets[Index(priority)]));
  }
}

TEST(PriorityTest, EachFurtherTargetAgesOnce) {
  EXPECT_EQ(AgedPriority(Priority::kBulk, seconds(300) - microseconds(1)), Priority::kBulk);
  EXPECT_EQ(AgedPriority(Priority::kBulk, seconds(300)), Priority::kLow);
  EXPECT_EQ(AgedPriority(Priority::kBulk, seconds(600)), Priority::kDefault);
  EXPECT_EQ(AgedPriority(Priority::kBulk, seconds(900)), Priority::kHigh);
  EXPECT_EQ(AgedPriority(Priority::kBulk, seconds(1200)), Priority::kCritical);
  EXPECT_EQ(AgedPriority(Priority::kBulk, Duration::max()), Priority::kCritical);
  EXPECT_EQ(AgedPriority(Priority::kHigh, seconds(5)), Priority::kCritical);
  EXPECT_EQ(AgedPriority(Priority::kHigh, -seconds(100)), Priority::kHigh);
  EXPECT_EQ(AgedPriority(Priority::kCritical, seconds(100)), Priority::kCritical);
}

TEST(FairShareTest, NothingWhenNoLaneHasWork) {
  FairShare share;
  EXPECT_FALSE(share.Next({}));
}

TEST(FairShareTest, SharesAreTheWeightsOverEachRound) {
  FairShare share;
  for (int round = 0; round < 10; ++round) {
    std::array<int, kPriorityCount> turns{};
    for (int turn = 0; turn < 31; ++turn) ++turns[Index(share.Next(AllFresh()).value())];
    EXPECT_EQ(turns, (std::array<int, kPriorityCount>{16, 8, 4, 2, 1}));
  }
}

TEST(FairShareTest, AnIdleLaneSavesNothingUp) {
  FairShare share;
  LaneWaits only_critical;
  only_critical[0] = Duration(0);
  for (int i = 0; i < 10'000; ++i) EXPECT_EQ(share.Next(only_critical), Priority::kCritical);
  std::array<int, kPriorityCount> turns{};
  for (int turn = 0; turn < 31; ++turn) ++turns[Index(share.Next(AllFresh()).value())];
  EXPECT_LE(turns[Index(Priority::kBulk)], 2);
  EXPECT_GE(turns[Index(Priority::kCritical)], 15);
}

TEST(FairShareTest, AnAgedLaneGetsTheShareOfWhatItCountsAs) {
  FairShare share;
  LaneWaits waits = AllFresh();
  waits[Index(Priority::kBulk)] = seconds(1200);  // counts as critical
  std::array<int, kPriorityCount> turns{};
  for (int turn = 0; turn < 46 * 10; ++turn) ++turns[Index(share.Next(waits).value())];
  EXPECT_EQ(turns[Index(Priority::kBulk)], 160);
  EXPECT_EQ(turns[Index(Priority::kCritical)], 160);
}

#ifdef MILLRACE_HAS_RAPIDCHECK
LaneWaits AnyWaits() {
  LaneWaits waits;
  for (auto& wait : waits) {
    if (*rc::gen::arbitrary<bool>()) wait = seconds(*rc::gen::inRange(-10, 2000));
  }
  return waits;
}

RC_GTEST_PROP(PriorityLaws, WaitingLongerNeverCountsForLess, ()) {
  const Priority priority = *rc::gen::elementOf(std::vector<Priority>(kAll.begin(), kAll.end()));
  const Duration wait(*rc::gen::inRange<std::int64_t>(-1'000'000, 2'000'000'000));
  const Duration longer = wait + Duration(*rc::gen::inRange<std::int64_t>(0, 1'000'000'000));
  RC_ASSERT(AgedPriority(priority, longer) <= AgedPriority(priority, wait));
  RC_ASSERT(AgedPriority(priority, wait) <= priority);
}

RC_GTEST_PROP(FairShareLaws, WorkConserving, ()) {
  FairShare share;
  for (int turn = 0; turn < 200; ++turn) {
    const LaneWaits waits = AnyWaits();
    bool any = false;
    for (const auto& wait : waits) any |= wait.has_value();
    const auto lane = share.Next(waits);
    RC_ASSERT(lane.has_value() == any);
    if (lane) RC_ASSERT(waits[Index(*lane)].has_value());
  }
}

RC_GTEST_PROP(FairShareLaws, SharesOfLoadedLanesAreWithinAFifthOfTheWeights, ()) {
  FairShare share;
  // Whatever came before.
  for (int turn = *rc::gen::inRange(0, 50); turn > 0; --turn) (void)share.Next(AnyWaits());
  LaneWaits waits;
  int total = 0;
  for (const Priority priority : kAll) {
    if (!*rc::gen::arbitrary<bool>()) continue;
    waits[Index(priority)] = Duration(*rc::gen::inRange(0, 999'999));  // not aged
    total += PriorityWeight(priority);
  }
  RC_PRE(total > 0);
  constexpr int kTurns = 20'000;
  std::array<int, kPriorityCount> turns{};
  for (int turn = 0; turn < kTurns; ++turn) ++turns[Index(share.Next(waits).value())];
  for (const Priority priority : kAll) {
    if (!waits[Index(priority)]) continue;
    const double expected = static_cast<double>(kTurns) * PriorityWeight(priority) / total;
    RC_ASSERT(turns[Index(priority)] >= expected * 0.8);
    RC_ASSERT(turns[Index(priority)] <= expected * 1.2);
  }
}

RC_GTEST_PROP(FairShareLaws, NoLaneWithWorkStarves, ()) {
  FairShare share;
  const Priority lane = *rc::gen::elementOf(std::vector<Priority>(kAll.begin(), kAll.end()));
  // The others come and go and age as they like; this one always has work, never aged.
  int since = 0;
  for (int turn = 0; turn < 2000; ++turn) {
    LaneWaits waits = AnyWaits();
    waits[Index(lane)] = Duration(0);
    since = share.Next(waits) == lane ? 0 : since + 1;
    // At worst the four others all count as critical: 64 to its 1, and each may hold credit it has earned.
    RC_ASSERT(since <= 5 * 65);
  }
}

RC_GTEST_PROP(FairShareLaws, TheSameCallsGiveTheSameTurns, ()) {
  FairShare one;
  FairShare two;
  for (int turn = 0; turn < 200; ++turn) {
    const LaneWaits waits = AnyWaits();
    RC_ASSERT(one.Next(waits) == two.Next(waits));
  }
}
#endif

}  // namespace
}  // namespace millrace::engine
