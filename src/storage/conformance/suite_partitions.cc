// Partitions: a key's jobs are held by at most one worker at a time.
#include "storage/conformance/suite.h"

namespace millrace::storage {

void LinkPartitionsSuite() {}

namespace {

NewJob Of(const std::string& partition, const std::string& queue = "default") {
  return JobOf("k", [&](NewJob& j) {
    j.partition_key = partition;
    j.queue = queue;
  });
}

}  // namespace

TEST_P(Conformance, APartitionIsHeldByOneWorker) {
  const WorkerRef one = Register("one");
  const WorkerRef two = Register("two");
  AddMany(3, Of("p"));
  const JobId elsewhere = Add(Of("p", "another queue"));
  EXPECT_EQ(Claim(one, 1).size(), 1u);
  EXPECT_TRUE(Claim(two, 10).empty()) << "over all queues";
  EXPECT_EQ(Claim(one, 10).size(), 3u) << "the holder may take more";
  EXPECT_EQ(StateOf(elsewhere), JobState::kRunning);
}

TEST_P(Conformance, APartitionIsFreeWhenItsLastJobIsReported) {
  const WorkerRef one = Register("one");
  const WorkerRef two = Register("two");
  AddMany(6, Of("p"));
  const std::vector<ClaimedJob> held = Claim(one, 5);
  ASSERT_EQ(held.size(), 5u);
  const std::vector<Verdict> verdicts = {Verdict::kCompleted, Verdict::kDead, Verdict::kRetry, Verdict::kSnooze,
                                         Verdict::kCancelled};
  for (std::size_t i = 0; i < held.size(); ++i) {
    EXPECT_TRUE(Claim(two, 10).empty()) << "still held: " << held.size() - i;
    EXPECT_TRUE(Send(one, ReportOf(held[i], verdicts[i], kHour, "x")));
  }
  EXPECT_EQ(Claim(two, 10).size(), 1u);
}

TEST_P(Conformance, APartitionIsFreeAfterRelease) {
  const WorkerRef one = Register("one");
  const WorkerRef two = Register("two");
  const JobId id = Add(Of("p"));
  EXPECT_TRUE(Send(one, ReportOf(ClaimOne(one), Verdict::kReleased)));
  EXPECT_EQ(ClaimIds(two, 1), std::vector<JobId>{id});
}

TEST_P(Conformance, APartitionIsFreeAfterRescue) {
  const WorkerRef one = Register("one");
  const JobId id = Add(Of("p"));
  Claim(one, 1);
  Advance(kStale + kMicro);
  const WorkerRef two = Register("two");
  EXPECT_TRUE(Claim(two, 1).empty());
  EXPECT_EQ(Must(db().Rescue(kStale, kSecond)).size(), 1u);
  EXPECT_EQ(ClaimIds(two, 1), std::vector<JobId>{id});
}

TEST_P(Conformance, APartitionIsFreeAfterItsWorkerStops) {
  const WorkerRef one = Register("one");
  const WorkerRef two = Register("two");
  AddMany(3, Of("p"));
  EXPECT_EQ(Claim(one, 2).size(), 2u);
  EXPECT_TRUE(Claim(two, 10).empty());
  Must(db().StopWorker(one));
  EXPECT_EQ(Claim(two, 10).size(), 3u);
}

TEST_P(Conformance, AHeldPartitionDoesNotBlockTheJobsBehindIt) {
  const WorkerRef one = Register("one");
  const WorkerRef two = Register("two");
  AddMany(200, Of("p"));
  Claim(one, 1);
  const JobId other_partition = Add(Of("q"));
  const JobId none = Add(JobOf("k"));
  EXPECT_EQ(ClaimIds(two, 10), (std::vector<JobId>{other_partition, none}));
}

TEST_P(Conformance, APartitionsJobsGoInOrder) {
  const WorkerRef worker = Register("w");
  const std::vector<JobId> ids = AddMany(5, Of("p"));
  EXPECT_EQ(ClaimIds(worker, 2), (std::vector<JobId>{ids[0], ids[1]}));
  EXPECT_EQ(ClaimIds(worker, 3), (std::vector<JobId>{ids[2], ids[3], ids[4]}));
}

TEST_P(Conformance, APartitionDoesNotStandWhereItsCancelledJobStood) {
  const WorkerRef worker = Register("w");
  const JobId cancelled = Add(Of("p"));
  Advance(kSecond);
  const JobId next = Add(Of("q"));
  Advance(kSecond);
  const JobId last = Add(Of("p"));
  Must(db().Cancel(ByIds({cancelled})));
  EXPECT_EQ(ClaimIds(worker, 1), std::vector<JobId>{next});
  EXPECT_EQ(ClaimIds(worker, 1), std::vector<JobId>{last});
}

TEST_P(Conformance, MaxHeldLimitsPartitionedJobsOfAClaim) {
  ClaimRequest request;
  request.worker = Register("w");
  request.max_jobs = 10;
  request.max_held = 2;
  AddMany(4, Of("p"));
  AddMany(3, JobOf("k"));
  int held = 0;
  const std::vector<ClaimedJob> jobs = Must(db().Claim(request)).jobs;
  for (const ClaimedJob& job : jobs) held += job.partition_key.empty() ? 0 : 1;
  EXPECT_EQ(held, 2);
  EXPECT_EQ(jobs.size(), 5u);
  request.max_held = 0;
  EXPECT_TRUE(Must(db().Claim(request)).jobs.empty());
  request.max_held = -1;
  EXPECT_EQ(Must(db().Claim(request)).jobs.size(), 2u);
}

TEST_P(Conformance, MaxHeldLimitsJobsOfLimitedQueues) {
  QueueOptions limited;
  limited.name = "limited";
  limited.concurrency = 10;
  options.queues = {limited};
  ClaimRequest request;
  request.worker = Register("w");
  request.max_jobs = 10;
  request.max_held = 1;
  AddMany(4, JobOf("k", [](NewJob& j) { j.queue = "limited"; }));
  AddMany(2, JobOf("k"));
  EXPECT_EQ(Must(db().Claim(request)).jobs.size(), 3u);
}

TEST_P(Conformance, ASupersededHolderStillHoldsUntilItsJobsAreBack) {
  const WorkerRef old = Register("w");
  AddMany(2, Of("p"));
  Claim(old, 1);
  const WorkerRef fresh = Register("w");
  // Whether its jobs come back at registration or at the next rescue, no two incarnations hold the partition at once.
  const std::vector<ClaimedJob> claimed = Claim(fresh, 10);
  std::size_t running = 0;
  for (const Job& job : AllJobs()) running += job.state == JobState::kRunning ? 1 : 0;
  EXPECT_EQ(running, claimed.empty() ? 1u : claimed.size());
}

}  // namespace millrace::storage
