#include "engine/dependencies.h"

#include <gtest/gtest.h>

namespace millrace::engine {
namespace {

using P = DependencyPolicy;
using E = JobEvent;

TEST(DependenciesTest, EveryPolicyInEverySituation) {
  struct Row {
    P policy;
    DependencyProgress progress;
    std::optional<E> event;
  };
  for (const Row& row : {
           Row{P::kAllSucceeded, {2, 0}, std::nullopt},
           Row{P::kAllSucceeded, {2, 7}, E::kCancel},
           Row{P::kAllSucceeded, {0, 0}, E::kReady},
           Row{P::kAllSucceeded, {0, 7}, E::kCancel},
           Row{P::kAnyFailed, {2, 0}, std::nullopt},
           Row{P::kAnyFailed, {2, 7}, std::nullopt},
           Row{P::kAnyFailed, {0, 0}, E::kCancel},
           Row{P::kAnyFailed, {0, 7}, E::kReady},
           Row{P::kAllFinished, {2, 0}, std::nullopt},
           Row{P::kAllFinished, {2, 7}, std::nullopt},
           Row{P::kAllFinished, {0, 0}, E::kReady},
           Row{P::kAllFinished, {0, 7}, E::kReady},
       }) {
    EXPECT_EQ(Decide(row.policy, row.progress), row.event)
        << dependency_policy_name(row.policy) << " open " << row.progress.open << " failed " << row.progress.failed;
  }
}

TEST(DependenciesTest, TheReasonNamesTheJobThatFailed) {
  EXPECT_NE(WhyCancelled({3, 42}).find("job 42"), std::string::npos);
  EXPECT_EQ(WhyCancelled({0, 0}).find("job 0"), std::string::npos);
}

TEST(DependenciesTest, PolicyNamesGoBothWays) {
  for (int i = 0; i < kDependencyPolicyCount; ++i) {
    const auto policy = static_cast<P>(i);
    EXPECT_EQ(parse_dependency_policy(dependency_policy_name(policy)), policy);
  }
  EXPECT_EQ(parse_dependency_policy("FAILED"), P::kAnyFailed);
  const auto unknown = parse_dependency_policy("done");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("succeeded, failed, finished"), std::string::npos);
}

}  // namespace
}  // namespace millrace::engine
