// Reports: each way out of running, the attempts it counts and the history it leaves.
#include "storage/conformance/suite.h"

namespace millrace::storage {

void LinkReportSuite() {}

TEST_P(Conformance, CompletedKeepsTheResult) {
  const WorkerRef worker = Register("w");
  const JobId id = Add(JobOf("k"));
  const ClaimedJob job = ClaimOne(worker);
  Advance(kSecond);
  EXPECT_TRUE(Send(worker, ReportOf(job, Verdict::kCompleted, Duration(0), R"({"ok":true})")));
  const Job stored = Get(id);
  EXPECT_EQ(stored.state, JobState::kCompleted);
  EXPECT_EQ(stored.result, R"({"ok":true})");
  EXPECT_EQ(stored.attempt, 1);
  EXPECT_EQ(stored.worker, "w");
  EXPECT_EQ(stored.started_at, Now() - kSecond);
  EXPECT_EQ(stored.finished_at, Now());
  EXPECT_TRUE(AttemptsOf(id).empty());
  EXPECT_TRUE(Claim(worker, 10).empty());
}

TEST_P(Conformance, ARetryIsReallyWaitedByTheDatabasesClock) {
  const WorkerRef worker = Register("w");
  const JobId id = Add(JobOf("k"));
  EXPECT_TRUE(Send(worker, ReportOf(ClaimOne(worker), Verdict::kRetry, kMinute, "try again")));
  EXPECT_EQ(StateOf(id), JobState::kRetryable);
  EXPECT_EQ(Get(id).error, "try again");
  EXPECT_EQ(Get(id).run_at, Now() + kMinute);
  EXPECT_FALSE(Get(id).finished_at);
  Advance(kMinute - kMicro);
  EXPECT_TRUE(Claim(worker, 1).empty());
  EXPECT_EQ(StateOf(id), JobState::kRetryable);
  Advance(kMicro);
  EXPECT_EQ(StateOf(id), JobState::kAvailable);
  EXPECT_EQ(ClaimOne(worker).attempt, 2);
}

TEST_P(Conformance, ARetryIsWaitedAcrossARestart) {
  const WorkerRef worker = Register("w");
  const JobId id = Add(JobOf("k"));
  EXPECT_TRUE(Send(worker, ReportOf(ClaimOne(worker), Verdict::kRetry, kMinute, "try again")));
  if (!Reopen()) GTEST_SKIP() << "this driver cannot be reopened";
  EXPECT_EQ(StateOf(id), JobState::kRetryable);
  Advance(kMinute - kMicro);
  const WorkerRef next = Register("next");
  EXPECT_TRUE(Claim(next, 1).empty());
  Advance(kMicro);
  const ClaimedJob job = ClaimOne(next);
  EXPECT_EQ(job.id, id);
  EXPECT_EQ(job.attempt, 2);
}

TEST_P(Conformance, ARetryWithoutDelayIsAvailableAtOnce) {
  const WorkerRef worker = Register("w");
  const JobId id = Add(JobOf("k"));
  EXPECT_TRUE(Send(worker, ReportOf(ClaimOne(worker), Verdict::kRetry, Duration(0), "again")));
  EXPECT_EQ(StateOf(id), JobState::kAvailable);
  EXPECT_EQ(ClaimOne(worker).attempt, 2);
}

TEST_P(Conformance, DeadIsDead) {
  const WorkerRef worker = Register("w");
  const JobId id = Add(JobOf("k"));
  EXPECT_TRUE(Send(worker, ReportOf(ClaimOne(worker), Verdict::kDead, Duration(0), "no such host")));
  EXPECT_EQ(StateOf(id), JobState::kDead);
  EXPECT_EQ(Get(id).error, "no such host");
  EXPECT_EQ(Get(id).finished_at, Now());
  Advance(kHour);
  EXPECT_TRUE(Claim(worker, 1).empty());
}

TEST_P(Conformance, ASnoozeIsWaitedAndIsNoAttempt) {
  const WorkerRef worker = Register("w");
  const JobId id = Add(JobOf("k"));
  for (int round = 0; round < 5; ++round) {
    const ClaimedJob job = ClaimOne(worker);
    EXPECT_EQ(job.attempt, 1);
    EXPECT_TRUE(Send(worker, ReportOf(job, Verdict::kSnooze, kMinute)));
    EXPECT_EQ(StateOf(id), JobState::kScheduled);
    EXPECT_EQ(Get(id).attempt, 0);
    Advance(kMinute - kMicro);
    EXPECT_TRUE(Claim(worker, 1).empty());
    Advance(kMicro);
  }
  EXPECT_TRUE(AttemptsOf(id).empty());
}

TEST_P(Conformance, ASnoozeMaySayWhy) {
  const WorkerRef worker = Register("w");
  const JobId id = Add(JobOf("k"));
  Report why = ReportOf(ClaimOne(worker), Verdict::kSnooze, kSecond);
  why.text = "no handler here";
  EXPECT_TRUE(Send(worker, why));
  EXPECT_EQ(StateOf(id), JobState::kScheduled);
  EXPECT_EQ(Get(id).error, "no handler here");
  Advance(kSecond);
  EXPECT_TRUE(Send(worker, ReportOf(ClaimOne(worker), Verdict::kSnooze, kSecond)));
  EXPECT_EQ(Get(id).error, "no handler here") << "one without a reason leaves the latest";
  EXPECT_TRUE(AttemptsOf(id).empty());
}

TEST_P(Conformance, AReleaseIsAvailableAtOnceAndNoAttempt) {
  const WorkerRef worker = Register("w");
  const JobId first = Add(JobOf("k"));
  Advance(kSecond);
  Add(JobOf("k"));
  for (int round = 0; round < 5; ++round) {
    const ClaimedJob job = ClaimOne(worker);
    EXPECT_EQ(job.id, first) << "it keeps its place";
    EXPECT_EQ(job.attempt, 1);
    EXPECT_TRUE(Send(worker, ReportOf(job, Verdict::kReleased)));
    EXPECT_EQ(StateOf(first), JobState::kAvailable);
    EXPECT_EQ(Get(first).attempt, 0);
  }
  EXPECT_TRUE(AttemptsOf(first).empty());
}

TEST_P(Conformance, EachLeaseHasItsOwnToken) {
  const WorkerRef worker = Register("w");
  Add(JobOf("k"));
  std::set<std::int64_t> tokens;
  for (int round = 0; round < 5; ++round) {
    const ClaimedJob job = ClaimOne(worker);
    EXPECT_TRUE(tokens.insert(job.token).second);
    EXPECT_TRUE(Send(worker, ReportOf(job, Verdict::kReleased)));
  }
}

TEST_P(Conformance, TheHistoryOfAttemptsIsExact) {
  const WorkerRef one = Register("one");
  const WorkerRef two = Register("two");
  const JobId id = Add(JobOf("k"));
  const Time start = Now();
  ClaimedJob job = ClaimOne(one);
  Advance(kSecond);
  EXPECT_TRUE(Send(one, ReportOf(job, Verdict::kRetry, kSecond, "first")));
  Advance(kSecond);
  job = ClaimOne(two);
  EXPECT_TRUE(Send(two, ReportOf(job, Verdict::kSnooze, kSecond)));
  Advance(kSecond);
  job = ClaimOne(two);
  Report timeout = ReportOf(job, Verdict::kRetry, kSecond, "second");
  timeout.timed_out = true;
  EXPECT_TRUE(Send(two, timeout));
  Advance(kSecond);
  job = ClaimOne(one);
  Report fatal = ReportOf(job, Verdict::kDead, Duration(0), "third");
  fatal.fatal = true;
  EXPECT_TRUE(Send(one, fatal));

  const std::vector<Attempt> attempts = AttemptsOf(id);
  ASSERT_EQ(attempts.size(), 3u);
  EXPECT_EQ(attempts[0].attempt, 1);
  EXPECT_EQ(attempts[0].outcome, "failed");
  EXPECT_EQ(attempts[0].error, "first");
  EXPECT_EQ(attempts[0].worker, "one");
  EXPECT_EQ(attempts[0].started_at, start);
  EXPECT_EQ(attempts[0].finished_at, start + kSecond);
  EXPECT_EQ(attempts[1].attempt, 2);
  EXPECT_EQ(attempts[1].outcome, "timeout");
  EXPECT_EQ(attempts[1].error, "second");
  EXPECT_EQ(attempts[1].worker, "two");
  EXPECT_EQ(attempts[1].started_at, start + 3 * kSecond);
  EXPECT_EQ(attempts[2].attempt, 3);
  EXPECT_EQ(attempts[2].outcome, "fatal");
  EXPECT_EQ(attempts[2].error, "third");
  EXPECT_EQ(attempts[2].worker, "one");
  EXPECT_EQ(attempts[2].finished_at, start + 4 * kSecond);
  EXPECT_EQ(Get(id).error, "third");
}

TEST_P(Conformance, DeadWithoutFatalIsAFailedAttempt) {
  const JobId id = AddDead(JobOf("k"));
  ASSERT_EQ(AttemptsOf(id).size(), 1u);
  EXPECT_EQ(AttemptsOf(id)[0].outcome, "failed");
  EXPECT_EQ(AttemptsOf(id)[0].error, "broken");
}

TEST_P(Conformance, CancelledByItsWorkerLeavesHistory) {
  const WorkerRef worker = Register("w");
  const JobId id = Add(JobOf("k"));
  EXPECT_TRUE(Send(worker, ReportOf(ClaimOne(worker), Verdict::kCancelled, Duration(0), "on request")));
  EXPECT_EQ(StateOf(id), JobState::kCancelled);
  EXPECT_EQ(Get(id).finished_at, Now());
  ASSERT_EQ(AttemptsOf(id).size(), 1u);
  EXPECT_EQ(AttemptsOf(id)[0].outcome, "cancelled");
}

TEST_P(Conformance, EmitsComeWithTheirReport) {
  const WorkerRef worker = Register("w");
  Add(JobOf("parent"));
  Report report = ReportOf(ClaimOne(worker), Verdict::kCompleted);
  report.emits = {JobOf("child"), JobOf("child", [](NewJob& j) { j.queue = "b"; })};
  EXPECT_TRUE(Send(worker, report));
  JobFilter children;
  children.kind = "child";
  EXPECT_EQ(AllJobs(children).size(), 2u);
  EXPECT_EQ(Claim(worker, 10).size(), 2u);
}

TEST_P(Conformance, EmitsAreNeverRejectedForCapacity) {
  QueueOptions full;
  full.name = "full";
  full.capacity = 1;
  options.queues = {full};
  const WorkerRef worker = Register("w");
  Add(JobOf("parent"));
  Report report = ReportOf(ClaimOne(worker), Verdict::kCompleted);
  report.emits.assign(5, JobOf("child", [](NewJob& j) { j.queue = "full"; }));
  EXPECT_TRUE(Send(worker, report));
  EXPECT_EQ(AllJobs().size(), 6u);
}

TEST_P(Conformance, AJobMayEmitItsSuccessorUnderItsOwnUniqueKey) {
  const WorkerRef worker = Register("w");
  const NewJob job = JobOf("k", [](NewJob& j) { j.unique_key = "u"; });
  const JobId id = Add(job);
  Report report = ReportOf(ClaimOne(worker), Verdict::kCompleted);
  report.emits = {job};
  EXPECT_TRUE(Send(worker, report));
  EXPECT_NE(ClaimOne(worker).id, id);
}

TEST_P(Conformance, AnInvalidEmitFailsTheCallAndChangesNothing) {
  const WorkerRef worker = Register("w");
  const JobId id = Add(JobOf("k"));
  const ClaimedJob job = ClaimOne(worker);
  Report report = ReportOf(job, Verdict::kCompleted);
  report.emits = {JobOf("child"), JobOf("")};
  const auto result = db().ReportOutcomes(worker, {&report, 1});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(StateOf(id), JobState::kRunning);
  EXPECT_EQ(AllJobs().size(), 1u);
  EXPECT_TRUE(Complete(worker, job));
}

TEST_P(Conformance, EmitNowEnqueuesForARunningAttempt) {
  const WorkerRef worker = Register("w");
  Add(JobOf("parent"));
  const ClaimedJob job = ClaimOne(worker);
  const std::vector<NewJob> children(3, JobOf("child"));
  EXPECT_EQ(Must(db().EmitNow(worker, job.id, job.attempt, job.token, children)).size(), 3u);
  EXPECT_EQ(Claim(worker, 10).size(), 3u);
  EXPECT_EQ(StateOf(job.id), JobState::kRunning);
}

TEST_P(Conformance, ABatchOfReportsIsAnsweredInOrder) {
  const WorkerRef worker = Register("w");
  AddMany(4, JobOf("k"));
  const std::vector<ClaimedJob> jobs = Claim(worker, 4);
  std::vector<Report> reports;
  for (const ClaimedJob& job : jobs) reports.push_back(ReportOf(job, Verdict::kCompleted));
  reports[1].token ^= 1 << 20;
  reports.push_back(reports[0]);
  EXPECT_EQ(Must(db().ReportOutcomes(worker, reports)), (Accepted{true, false, true, true, false}));
  EXPECT_EQ(StateOf(jobs[1].id), JobState::kRunning);
}

TEST_P(Conformance, TheLaterOfTwoProgressStepsCounts) {
  const WorkerRef worker = Register("w");
  const JobId id = Add(JobOf("k"));
  const ClaimedJob job = ClaimOne(worker);
  const std::vector<JobProgress> steps = {{job.id, job.attempt, job.token, 0.75, "first"},
                                          {job.id, job.attempt, job.token, 0.5, "second"}};
  Must(db().Heartbeat(worker, WorkerState::kActive, steps));
  EXPECT_EQ(Get(id).progress, 0.5);
  EXPECT_EQ(Get(id).progress_message, "second");
}

TEST_P(Conformance, ANewAttemptStartsWithoutProgress) {
  const WorkerRef worker = Register("w");
  const JobId id = Add(JobOf("k"));
  ClaimedJob job = ClaimOne(worker);
  const JobProgress progress{job.id, job.attempt, job.token, 0.5, "half"};
  Must(db().Heartbeat(worker, WorkerState::kActive, {&progress, 1}));
  EXPECT_EQ(Get(id).progress, 0.5);
  EXPECT_EQ(Get(id).progress_message, "half");
  EXPECT_TRUE(Send(worker, ReportOf(job, Verdict::kRetry, Duration(0), "again")));
  ClaimOne(worker);
  EXPECT_EQ(Get(id).progress, 0);
  EXPECT_EQ(Get(id).progress_message, "");
}

}  // namespace millrace::storage
