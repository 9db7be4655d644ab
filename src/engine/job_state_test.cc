#include "engine/job_state.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace millrace::engine {
namespace {

using S = JobState;
using E = JobEvent;

// The state machine as the architecture draws it, written down a second time.
const std::map<std::pair<S, E>, S> kDrawn = {
    {{S::kWaiting, E::kReady}, S::kAvailable},    {{S::kWaiting, E::kReadyLater}, S::kScheduled},
    {{S::kScheduled, E::kDue}, S::kAvailable},    {{S::kRetryable, E::kDue}, S::kAvailable},
    {{S::kAvailable, E::kClaim}, S::kRunning},    {{S::kRunning, E::kOk}, S::kCompleted},
    {{S::kRunning, E::kError}, S::kRetryable},    {{S::kRunning, E::kFatal}, S::kDead},
    {{S::kRunning, E::kSnooze}, S::kScheduled},   {{S::kRunning, E::kRelease}, S::kAvailable},
    {{S::kRunning, E::kCrash}, S::kAvailable},    {{S::kRunning, E::kPoison}, S::kDead},
    {{S::kWaiting, E::kCancel}, S::kCancelled},   {{S::kScheduled, E::kCancel}, S::kCancelled},
    {{S::kAvailable, E::kCancel}, S::kCancelled}, {{S::kRunning, E::kCancel}, S::kCancelled},
    {{S::kRetryable, E::kCancel}, S::kCancelled}, {{S::kDead, E::kRetryDead}, S::kAvailable},
};

TEST(JobStateTest, EveryPairOfStateAndEventIsAsDrawn) {
  for (int state = 0; state < kJobStateCount; ++state) {
    for (int event = 0; event < kJobEventCount; ++event) {
      const auto pair = std::pair(static_cast<S>(state), static_cast<E>(event));
      const auto drawn = kDrawn.find(pair);
      const std::optional<S> next = Next(pair.first, pair.second);
      if (drawn == kDrawn.end()) {
        EXPECT_FALSE(next) << job_state_name(pair.first) << " with event " << event;
      } else {
        EXPECT_EQ(next, drawn->second) << job_state_name(pair.first) << " with event " << event;
      }
    }
  }
}

TEST(JobStateTest, EveryEventHappensSomewhere) {
  std::set<int> happening;
  for (int state = 0; state < kJobStateCount; ++state) {
    for (int event = 0; event < kJobEventCount; ++event) {
      if (Next(static_cast<S>(state), static_cast<E>(event))) happening.insert(event);
    }
  }
  EXPECT_EQ(happening.size(), static_cast<std::size_t>(kJobEventCount));
}

// The states reached from `from`, itself included.
std::set<S> Reached(S from) {
  std::set<S> reached = {from};
  for (bool grown = true; grown;) {
    grown = false;
    for (const S state : std::set<S>(reached)) {
      for (int event = 0; event < kJobEventCount; ++event) {
        const auto next = Next(state, static_cast<E>(event));
        if (next && reached.insert(*next).second) grown = true;
      }
    }
  }
  return reached;
}

TEST(JobStateTest, EveryUnfinishedJobCanFinishEachWay) {
  for (int state = 0; state < kJobStateCount; ++state) {
    const S from = static_cast<S>(state);
    if (IsFinished(from)) continue;
    for (const S end : {S::kCompleted, S::kCancelled, S::kDead}) {
      EXPECT_TRUE(Reached(from).contains(end)) << job_state_name(from) << " to " << job_state_name(end);
    }
  }
}

TEST(JobStateTest, CompletedAndCancelledAreFinal) {
  EXPECT_EQ(Reached(S::kCompleted).size(), 1u);
  EXPECT_EQ(Reached(S::kCancelled).size(), 1u);
}

TEST(JobStateTest, FinishedAreTheLastThree) {
  for (int state = 0; state < kJobStateCount; ++state) {
    EXPECT_EQ(IsFinished(static_cast<S>(state)), state >= static_cast<int>(S::kCompleted)) << state;
  }
}

TEST(JobStateTest, OnlyOutcomesOfHandlersCountAsAttempts) {
  const std::set<E> counting = {E::kOk, E::kError, E::kFatal};
  for (int event = 0; event < kJobEventCount; ++event) {
    EXPECT_EQ(CountsAsAttempt(static_cast<E>(event)), counting.contains(static_cast<E>(event))) << event;
  }
}

}  // namespace
}  // namespace millrace::engine
