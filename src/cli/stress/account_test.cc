#include "cli/stress/account.h"

#include <gtest/gtest.h>

#include "cli/stress/load.h"

namespace millrace::cli::stress {
namespace {

Job Finished(JobId id, std::string_view kind, std::int64_t number, JobState state, int attempt) {
  Job job;
  job.id = id;
  job.kind = kind;
  job.args = "{\"number\": " + std::to_string(number) + "}";
  job.state = state;
  job.attempt = attempt;
  return job;
}

Attempt Ended(const std::string& outcome) {
  Attempt attempt;
  attempt.outcome = outcome;
  return attempt;
}

// One of each kind, all as they should be.
class AccountTest : public ::testing::Test {
 protected:
  void SetUp() override {
    books_.orders = {{1, 101}, {2, 102}, {3, 103}, {4, 104}, {5, 105}};
    books_.jobs = {
        Finished(101, kDone, 1, JobState::kCompleted, 1),   Finished(102, kFatal, 2, JobState::kDead, 1),
        Finished(103, kSpent, 3, JobState::kDead, 2),       Finished(104, kAgain, 4, JobState::kCompleted, 2),
        Finished(105, kParent, 5, JobState::kCompleted, 1), Finished(106, kChild, -5, JobState::kCompleted, 1)};
    books_.witnesses = {{1, 101, 1}, {2, 102, 1}, {4, 104, 2}, {5, 105, 1}, {-5, 106, 1}};
    books_.attempts[102] = {Ended("fatal")};
    books_.attempts[103] = {Ended("failed"), Ended("failed")};
    books_.attempts[104] = {Ended("failed")};
    books_.receipts.Take(1, 3);
    books_.receipts.Take(4, 5);
  }
  Books books_;
};

using Ids = std::vector<JobId>;

TEST_F(AccountTest, BooksInOrderAreExact) {
  const Account account = Settle(books_);
  EXPECT_TRUE(account.exact());
  EXPECT_EQ(account.enqueued, 5);
  EXPECT_EQ(account.children, 1);
  EXPECT_EQ(account.completed, 4);
  EXPECT_EQ(account.dead, 2);
  EXPECT_EQ(account.attempts, (std::map<std::string, std::int64_t>{{"failed", 3}, {"fatal", 1}}));
}

TEST_F(AccountTest, AJobThatIsNotThereOrNotFinishedIsLost) {
  books_.jobs[3].state = JobState::kRunning;
  books_.jobs.erase(books_.jobs.begin());
  const Account account = Settle(books_);
  EXPECT_EQ(account.lost, (Ids{104, 101}));
  EXPECT_FALSE(account.exact());
}

TEST_F(AccountTest, AChildThatIsNotThereIsLostWithItsParentsId) {
  books_.jobs.pop_back();
  EXPECT_EQ(Settle(books_).lost, Ids{105});
}

TEST_F(AccountTest, AnOrderThatWasAcknowledgedAndIsGoneWithItsJobHasVanished) {
  books_.receipts.Take(6, 7);
  Account account = Settle(books_);
  EXPECT_EQ(account.vanished, (std::vector<std::int64_t>{6, 7}));
  EXPECT_FALSE(account.exact());
  // Or others took its numbers.
  books_.receipts = {};
  books_.receipts.Take(1, 4);
  books_.receipts.Take(3, 5);
  account = Settle(books_);
  EXPECT_EQ(account.vanished, (std::vector<std::int64_t>{3, 4}));
  EXPECT_FALSE(account.exact());
}

TEST_F(AccountTest, AnOrderThatWasNotAcknowledgedMayBeThere) {
  books_.receipts = {};
  books_.receipts.Take(1, 2);
  books_.receipts.Take(5, 5);  // the answer to 3 and 4 was lost
  EXPECT_TRUE(Settle(books_).exact());
}

TEST_F(AccountTest, AGapInTheOrdersHasVanished) {
  books_.orders.erase(2);
  std::erase_if(books_.jobs, [](const Job& job) { return job.id == 102; });
  EXPECT_EQ(Settle(books_).vanished, std::vector<std::int64_t>{2});
}

TEST_F(AccountTest, BooksWithoutAJobShowNothing) { EXPECT_FALSE(Settle(Books{}).exact()); }

TEST_F(AccountTest, AChildOfNoParentIsMisjudged) {
  books_.jobs.push_back(Finished(107, kChild, -1, JobState::kCompleted, 1));
  books_.witnesses.push_back({-1, 107, 1});
  const Account account = Settle(books_);
  EXPECT_EQ(account.misjudged, Ids{107});
  EXPECT_FALSE(account.exact());
}

TEST_F(AccountTest, TwoChildrenOfOneParentAreADuplicate) {
  books_.jobs.push_back(Finished(107, kChild, -5, JobState::kCompleted, 1));
  books_.witnesses.push_back({-5, 107, 1});
  const Account account = Settle(books_);
  EXPECT_EQ(account.duplicates, Ids{105});
  EXPECT_FALSE(account.exact());
}

TEST_F(AccountTest, AJobListedTwiceOrDoneTwiceIsADuplicate) {
  books_.jobs.push_back(books_.jobs[0]);
  books_.witnesses.push_back({4, 104, 2});
  const Account account = Settle(books_);
  EXPECT_EQ(account.duplicates, (Ids{104, 101}));
  EXPECT_FALSE(account.exact());
}

TEST_F(AccountTest, AFinishedJobNeedsItsHandlersWrite) {
  books_.witnesses.erase(books_.witnesses.begin());
  const Account account = Settle(books_);
  EXPECT_EQ(account.unwitnessed, Ids{101});
  EXPECT_FALSE(account.exact());
}

TEST_F(AccountTest, AWrongEndOrAJobNobodyOrderedIsMisjudged) {
  books_.jobs[1].state = JobState::kCompleted;
  books_.jobs.push_back(Finished(200, kDone, 77, JobState::kCompleted, 1));
  const Account account = Settle(books_);
  EXPECT_EQ(account.misjudged, (Ids{102, 200}));
  EXPECT_FALSE(account.exact());
}

TEST_F(AccountTest, AttemptsMustBeTold) {
  books_.jobs[0].attempt = 2;
  books_.jobs[3].crashes = 1;
  const Account account = Settle(books_);
  EXPECT_EQ(account.unexplained, (Ids{101, 104}));
  EXPECT_FALSE(account.exact());
}

TEST_F(AccountTest, CrashesDoNotCountAsAttempts) {
  books_.jobs[0].crashes = 1;
  books_.attempts[101] = {Ended("crashed")};
  EXPECT_TRUE(Settle(books_).exact());
}

TEST_F(AccountTest, OverlapsAndBrokenUniqueKeysAreNotExact) {
  books_.overlaps = {{1, 2}};
  Account account = Settle(books_);
  EXPECT_FALSE(account.exact());
  account.overlaps.clear();
  EXPECT_TRUE(account.exact());
  account.broken_unique = {3};
  EXPECT_FALSE(account.exact());
}

TEST_F(AccountTest, AWriteOfAnotherAttemptThanTheLastOrWithoutALeaseIsLate) {
  books_.witnesses[0].held = false;
  books_.witnesses[1].worker = "another";
  books_.witnesses[2].attempt = 1;
  const Account account = Settle(books_);
  EXPECT_EQ(account.late, (Ids{101, 102, 104}));
  EXPECT_FALSE(account.exact());
}

TEST_F(AccountTest, FallingTokensAreNotExact) {
  books_.falling_tokens = {{1, 4}};
  const Account account = Settle(books_);
  EXPECT_EQ(account.falling_tokens, books_.falling_tokens);
  EXPECT_FALSE(account.exact());
}

TEST_F(AccountTest, HandlersBeyondTheQueuesConcurrencyAreCounted) {
  books_.concurrency = 3;
  books_.most_at_once = 3;
  EXPECT_TRUE(Settle(books_).exact());
  books_.most_at_once = 5;
  const Account account = Settle(books_);
  EXPECT_EQ(account.over_concurrency, 2);
  EXPECT_FALSE(account.exact());
}

TEST_F(AccountTest, StartsBeyondTheQueuesRateAreCountedWithThoseThatFailed) {
  books_.rate = 1;
  for (std::size_t i = 0; i < books_.jobs.size(); ++i) books_.jobs[i].started_at = Time(std::chrono::seconds(10 * i));
  // The latest attempt of a dead job is both its own and among its attempts: one start.
  books_.attempts[102][0].started_at = *books_.jobs[1].started_at;
  books_.attempts[103][0].started_at = Time(std::chrono::seconds(25));
  books_.attempts[103][1].started_at = *books_.jobs[2].started_at;
  books_.attempts[104][0].started_at = Time(std::chrono::seconds(35));
  EXPECT_TRUE(Settle(books_).exact());
  books_.attempts[104][0].started_at = *books_.jobs[3].started_at + std::chrono::milliseconds(1);
  const Account account = Settle(books_);
  EXPECT_EQ(account.over_rate, 1);
  EXPECT_FALSE(account.exact());
}

TEST(OverRateTest, IsTheWorstStretch) {
  const auto at = [](std::int64_t milliseconds) { return Time(std::chrono::milliseconds(milliseconds)); };
  EXPECT_EQ(OverRate({}, 5), 0);
  EXPECT_EQ(OverRate({at(0), at(0), at(0), at(0), at(0), at(200)}, 5), 0) << "a full bucket, and one more token";
  EXPECT_EQ(OverRate({at(0), at(0), at(0), at(0), at(0), at(199)}, 5), 1);
  EXPECT_EQ(OverRate({at(9000), at(0), at(9000), at(9000), at(9000), at(9000), at(9000)}, 5), 1)
      << "not what was saved";
  EXPECT_EQ(OverRate({at(0), at(2000), at(4000)}, 0.5), 0);
  EXPECT_EQ(OverRate({at(0), at(2000), at(3000)}, 0.5), 1);
}

}  // namespace
}  // namespace millrace::cli::stress
