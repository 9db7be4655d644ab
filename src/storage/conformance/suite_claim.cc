// Claim: order, filters, shares and aging.
#include <algorithm>

#include "storage/conformance/suite.h"

namespace millrace::storage {

void LinkClaimSuite() {}

TEST_P(Conformance, ClaimHandsOutTheJobAndALease) {
  const WorkerRef worker = Register("w");
  const JobId id = Add(JobOf("k", [](NewJob& j) {
    j.args = R"({"a":1})";
    j.queue = "q";
    j.priority = Priority::kLow;
    j.max_attempts = 5;
    j.timeout = kMinute;
    j.partition_key = "p";
    j.unique_key = "u";
    j.tags = {"t"};
  }));
  Advance(kSecond);
  const ClaimedJob job = ClaimOne(worker);
  EXPECT_EQ(job.id, id);
  EXPECT_NE(job.token, 0);
  EXPECT_EQ(job.kind, "k");
  EXPECT_EQ(job.args, R"({"a":1})");
  EXPECT_EQ(job.queue, "q");
  EXPECT_EQ(job.priority, Priority::kLow);
  EXPECT_EQ(job.attempt, 1);
  EXPECT_EQ(job.max_attempts, 5);
  EXPECT_EQ(job.crashes, 0);
  EXPECT_EQ(job.timeout, kMinute);
  EXPECT_EQ(job.created_at, Now() - kSecond);
  EXPECT_EQ(job.run_at, Now() - kSecond);
  EXPECT_EQ(job.claimed_at, Now());
  EXPECT_EQ(job.partition_key, "p");
  EXPECT_EQ(job.unique_key, "u");
  EXPECT_EQ(job.tags, std::vector<std::string>{"t"});
  const Job stored = Get(id);
  EXPECT_EQ(stored.state, JobState::kRunning);
  EXPECT_EQ(stored.worker, "w");
  EXPECT_EQ(stored.attempt, 1);
  EXPECT_EQ(stored.started_at, Now());
}

TEST_P(Conformance, ARunningJobIsNotClaimedAgain) {
  const WorkerRef one = Register("one");
  const WorkerRef two = Register("two");
  Add(JobOf("k"));
  EXPECT_EQ(Claim(one, 10).size(), 1u);
  EXPECT_TRUE(Claim(one, 10).empty());
  EXPECT_TRUE(Claim(two, 10).empty());
}

TEST_P(Conformance, WithinAPriorityByRunAtThenIdOverAllQueues) {
  const WorkerRef worker = Register("w");
  const auto add = [&](const char* queue, Duration delay) {
    return Add(JobOf("k", [&](NewJob& j) {
      j.queue = queue;
      j.delay = delay;
    }));
  };
  const JobId third = add("a", 3 * kSecond);
  const JobId first = add("b", 1 * kSecond);
  const JobId second = add("c", 2 * kSecond);
  const JobId fourth = add("b", 3 * kSecond);
  Advance(3 * kSecond);
  EXPECT_EQ(ClaimIds(worker, 10), (std::vector<JobId>{first, second, third, fourth}));
}

TEST_P(Conformance, ClaimNeverGivesMoreThanAsked) {
  const WorkerRef worker = Register("w");
  const std::vector<JobId> ids = AddMany(10, JobOf("k"));
  ClaimRequest request;
  request.worker = worker;
  request.max_jobs = 3;
  const Claimed claimed = Must(db().Claim(request));
  EXPECT_EQ(IdsOf(claimed.jobs), std::vector<JobId>(ids.begin(), ids.begin() + 3));
  EXPECT_TRUE(claimed.more);
  request.max_jobs = 0;
  EXPECT_TRUE(Must(db().Claim(request)).jobs.empty());
  EXPECT_EQ(Claim(worker, 100).size(), 7u);
}

TEST_P(Conformance, ClaimOfNothingSaysWhenSomethingIsDue) {
  ClaimRequest request;
  request.worker = Register("w");
  request.max_jobs = 5;
  Claimed nothing = Must(db().Claim(request));
  EXPECT_TRUE(nothing.jobs.empty());
  EXPECT_FALSE(nothing.next_due);
  const Time now = Now();
  Add(JobOf("k", [](NewJob& j) { j.delay = kHour; }));
  Add(JobOf("k", [](NewJob& j) { j.delay = kMinute; }));
  nothing = Must(db().Claim(request));
  EXPECT_EQ(nothing.next_due, now + kMinute);
  Add(JobOf("k"));
  EXPECT_TRUE(Send(request.worker, ReportOf(ClaimOne(request.worker), Verdict::kRetry, kSecond, "again")));
  EXPECT_EQ(Must(db().Claim(request)).next_due, now + kSecond);
}

TEST_P(Conformance, PrioritiesFilterExactly) {
  const WorkerRef worker = Register("w");
  for (int p = 0; p < kPriorityCount; ++p) {
    AddMany(3, JobOf("k", [&](NewJob& j) { j.priority = static_cast<Priority>(p); }));
  }
  Advance(kHour);  // aged through every lane, and still not taken by a worker that does not serve it
  ClaimRequest request;
  request.worker = worker;
  request.max_jobs = 100;
  request.priorities = engine::PrioritySet::None();
  EXPECT_TRUE(Must(db().Claim(request)).jobs.empty());
  request.priorities.Add(Priority::kHigh);
  request.priorities.Add(Priority::kBulk);
  const std::vector<ClaimedJob> jobs = Must(db().Claim(request)).jobs;
  EXPECT_EQ(jobs.size(), 6u);
  for (const ClaimedJob& job : jobs) {
    EXPECT_TRUE(job.priority == Priority::kHigh || job.priority == Priority::kBulk) << priority_name(job.priority);
  }
}

TEST_P(Conformance, QueuesFilterExactly) {
  const WorkerRef worker = Register("w");
  for (const char* queue : {"a", "b", "c"}) AddMany(2, JobOf("k", [&](NewJob& j) { j.queue = queue; }));
  for (const ClaimedJob& job : Claim(worker, 3, {"c", "a"})) EXPECT_NE(job.queue, "b");
  EXPECT_EQ(Claim(worker, 100, {"a", "c"}).size(), 1u);
  EXPECT_TRUE(Claim(worker, 100, {"a", "c", "unheard of"}).empty());
  EXPECT_EQ(Claim(worker, 100, {"b"}).size(), 2u);
}

// What FairShare says of these lanes, all their jobs having waited equally long.
std::vector<Priority> Expected(std::array<int, kPriorityCount> jobs, Duration wait, int turns) {
  engine::FairShare share;
  std::vector<Priority> order;
  for (int turn = 0; turn < turns; ++turn) {
    engine::LaneWaits waits;
    for (std::size_t lane = 0; lane < jobs.size(); ++lane) {
      if (jobs[lane] > 0) waits[lane] = wait;
    }
    const auto lane = share.Next(waits);
    if (!lane) break;
    order.push_back(*lane);
    --jobs[static_cast<std::size_t>(*lane)];
  }
  return order;
}

std::vector<Priority> PrioritiesOf(const std::vector<ClaimedJob>& jobs) {
  std::vector<Priority> order;
  for (const ClaimedJob& job : jobs) order.push_back(job.priority);
  return order;
}

TEST_P(Conformance, ClaimFollowsFairShareInOneBatch) {
  const WorkerRef worker = Register("w");
  const std::array<int, kPriorityCount> jobs = {40, 30, 20, 10, 5};
  for (std::size_t p = 0; p < jobs.size(); ++p) {
    AddMany(jobs[p], JobOf("k", [&](NewJob& j) { j.priority = static_cast<Priority>(p); }));
  }
  EXPECT_EQ(PrioritiesOf(Claim(worker, 105)), Expected(jobs, Duration(0), 105));
}

TEST_P(Conformance, ClaimFollowsFairShareOverManyBatches) {
  const WorkerRef worker = Register("w");
  const std::array<int, kPriorityCount> jobs = {40, 30, 20, 10, 5};
  for (std::size_t p = 0; p < jobs.size(); ++p) {
    AddMany(jobs[p], JobOf("k", [&](NewJob& j) { j.priority = static_cast<Priority>(p); }));
  }
  std::vector<Priority> order;
  for (int batch = 1; order.size() < 105; batch = batch % 7 + 1) {
    const std::vector<ClaimedJob> claimed = Claim(worker, batch);
    ASSERT_FALSE(claimed.empty());
    for (const ClaimedJob& job : claimed) order.push_back(job.priority);
  }
  EXPECT_EQ(order, Expected(jobs, Duration(0), 105));
}

TEST_P(Conformance, NoLaneStarvesUnderCriticalLoad) {
  const WorkerRef worker = Register("w");
  AddMany(10, JobOf("k", [](NewJob& j) { j.priority = Priority::kBulk; }));
  AddMany(400, JobOf("k", [](NewJob& j) { j.priority = Priority::kCritical; }));
  const std::vector<ClaimedJob> claimed = Claim(worker, 100);
  const auto bulk = std::count_if(claimed.begin(), claimed.end(),
                                  [](const ClaimedJob& job) { return job.priority == Priority::kBulk; });
  EXPECT_GE(bulk, 4);  // a 17th of 100 is nearly 6
  EXPECT_LE(bulk, 7);
}

TEST_P(Conformance, AWaitingLaneAges) {
  const WorkerRef worker = Register("w");
  const std::array<int, kPriorityCount> jobs = {0, 0, 30, 30, 30};
  for (std::size_t p = 0; p < jobs.size(); ++p) {
    if (jobs[p] > 0) AddMany(jobs[p], JobOf("k", [&](NewJob& j) { j.priority = static_cast<Priority>(p); }));
  }
  const Duration wait = std::chrono::seconds(601);  // bulk has aged twice, default and low all the way
  Advance(wait);
  EXPECT_EQ(PrioritiesOf(Claim(worker, 90)), Expected(jobs, wait, 90));
}

TEST_P(Conformance, AgingNeedsTheOldestJobOnly) {
  const WorkerRef worker = Register("w");
  AddMany(1, JobOf("k", [](NewJob& j) { j.priority = Priority::kBulk; }));
  Advance(std::chrono::seconds(1201));  // counts as critical now
  AddMany(20, JobOf("k", [](NewJob& j) { j.priority = Priority::kCritical; }));
  AddMany(5, JobOf("k", [](NewJob& j) { j.priority = Priority::kBulk; }));
  // Its turn comes within two, as equals take turns; the young bulk jobs behind it wait for theirs.
  const std::vector<ClaimedJob> claimed = Claim(worker, 10);
  ASSERT_EQ(claimed.size(), 10u);
  EXPECT_TRUE(claimed[0].priority == Priority::kBulk || claimed[1].priority == Priority::kBulk);
  EXPECT_LE(std::count_if(claimed.begin(), claimed.end(),
                          [](const ClaimedJob& job) { return job.priority == Priority::kBulk; }),
            2);
}

}  // namespace millrace::storage
