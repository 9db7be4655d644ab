// All or nothing: callers' transactions, and what is left after a crash.
#include "storage/conformance/suite.h"

namespace millrace::storage {

void LinkTransactionsSuite() {}

TEST_P(Conformance, ACommittedTransactionEnqueues) {
  std::vector<Enqueued> added;
  Must(db().Transact([&](Transaction& transaction) -> Result<void> {
    const std::vector<NewJob> jobs(2, JobOf("k"));
    auto result = transaction.enqueue(jobs);
    if (!result) return fail(result.error());
    added = *result;
    return {};
  }));
  ASSERT_EQ(added.size(), 2u);
  EXPECT_EQ(StateOf(added[1].id), JobState::kAvailable);
}

TEST_P(Conformance, ARolledBackTransactionLeavesNothing) {
  const auto result = db().Transact([&](Transaction& transaction) -> Result<void> {
    const NewJob job = JobOf("k", [](NewJob& j) {
      j.unique_key = "u";
      j.queue = "new queue";
    });
    if (auto added = transaction.enqueue({&job, 1}); !added) return fail(added.error());
    return fail(ErrorCode::kConflict, "changed my mind");
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kConflict);
  EXPECT_EQ(result.error().message, "changed my mind");
  EXPECT_TRUE(AllJobs().empty());
  const NewJob job = JobOf("k", [](NewJob& j) { j.unique_key = "u"; });
  EXPECT_FALSE(Must(db().Enqueue({&job, 1})).at(0).duplicate);
  EXPECT_EQ(Claim(Register("w"), 10).size(), 1u);
}

TEST_P(Conformance, AnExceptionRollsBack) {
  try {
    const auto result = db().Transact([&](Transaction& transaction) -> Result<void> {
      const NewJob job = JobOf("k");
      if (auto added = transaction.enqueue({&job, 1}); !added) return fail(added.error());
      throw std::runtime_error("a bug");
    });
    EXPECT_FALSE(result);
  } catch (const std::runtime_error&) {
  }
  EXPECT_TRUE(AllJobs().empty());
  Add(JobOf("k"));  // and the storage still works
}

TEST_P(Conformance, AReportInARolledBackTransactionIsNoReport) {
  const WorkerRef worker = Register("w");
  const RunId run = [&] {
    RunSpec spec;
    spec.identity = "id";
    spec.discovery = JobOf("discover");
    spec.finals = {JobOf("final")};
    return Must(db().StartRun(spec)).id;
  }();
  const ClaimedJob job = ClaimOne(worker);
  Report report = ReportOf(job, Verdict::kCompleted);
  report.discovery_done = true;
  const auto result = db().Transact([&](Transaction& transaction) -> Result<void> {
    auto accepted = transaction.ReportIn(worker, {&report, 1});
    if (!accepted) return fail(accepted.error());
    EXPECT_TRUE(accepted->at(0));
    return fail(ErrorCode::kConflict, "no");
  });
  EXPECT_FALSE(result);
  EXPECT_EQ(StateOf(job.id), JobState::kRunning);
  EXPECT_FALSE(Run(run).discovery_done);
  EXPECT_EQ(Run(run).finals_started, 0);
  EXPECT_TRUE(Send(worker, report)) << "the lease is still good";
  EXPECT_EQ(Run(run).finals_started, 1);
}

TEST_P(Conformance, AReportInACommittedTransactionCounts) {
  const WorkerRef worker = Register("w");
  Add(JobOf("k"));
  const ClaimedJob job = ClaimOne(worker);
  Must(db().Transact([&](Transaction& transaction) -> Result<void> {
    Report report = ReportOf(job, Verdict::kCompleted, Duration(0), "{}");
    report.emits = {JobOf("child")};
    auto accepted = transaction.ReportIn(worker, {&report, 1});
    if (!accepted) return fail(accepted.error());
    EXPECT_TRUE(accepted->at(0));
    return {};
  }));
  EXPECT_EQ(StateOf(job.id), JobState::kCompleted);
  EXPECT_EQ(ClaimOne(worker).kind, "child");
  EXPECT_FALSE(Complete(worker, job));
}

// A rollback must leave the driver's own memory as it was, for calls that write nothing as well.
TEST_P(Conformance, ARollbackIsForgottenAtOnce) {
  const WorkerRef worker = Register("w");
  AddMany(2, JobOf("k", [](NewJob& j) { j.partition_key = "p"; }));
  const std::vector<ClaimedJob> jobs = Claim(worker, 2);
  const auto roll_back = [&] {
    EXPECT_FALSE(db().Transact([&](Transaction& transaction) -> Result<void> {
      const NewJob other = JobOf("other", [](NewJob& j) { j.queue = "other"; });
      if (auto added = transaction.enqueue({&other, 1}); !added) return fail(added.error());
      const std::vector<Report> reports = {ReportOf(jobs[0], Verdict::kCompleted),
                                           ReportOf(jobs[1], Verdict::kReleased)};
      if (auto accepted = transaction.ReportIn(worker, reports); !accepted) return fail(accepted.error());
      return fail(ErrorCode::kConflict, "no");
    }));
  };
  roll_back();
  CheckCounts();
  roll_back();
  EXPECT_EQ(Must(db().Workers()).at(0).running, 2);
  roll_back();
  const NewJob child = JobOf("child");
  EXPECT_TRUE(db().EmitNow(worker, jobs[0].id, jobs[0].attempt, jobs[0].token, {&child, 1}));
  Must(db().Cancel(ByIds({jobs[0].id})));
  roll_back();
  EXPECT_EQ(Must(db().Heartbeat(worker, WorkerState::kActive, {})).cancelled, std::vector<JobId>{jobs[0].id});
  roll_back();
  Must(db().StopWorker(worker));
  EXPECT_EQ(StateOf(jobs[0].id), JobState::kCancelled);
  EXPECT_EQ(StateOf(jobs[1].id), JobState::kAvailable);
}

TEST_P(Conformance, TokensAreNotGivenTwiceAfterARollback) {
  const WorkerRef worker = Register("w");
  Add(JobOf("k"));
  std::set<std::int64_t> tokens;
  for (int round = 0; round < 10; ++round) {
    const ClaimedJob job = ClaimOne(worker);
    EXPECT_TRUE(tokens.insert(job.token).second) << "round " << round;
    EXPECT_TRUE(Send(worker, ReportOf(job, Verdict::kReleased)));
    EXPECT_FALSE(db().Transact([&](Transaction& transaction) -> Result<void> {
      const NewJob other = JobOf("other");
      if (auto added = transaction.enqueue({&other, 1}); !added) return fail(added.error());
      return fail(ErrorCode::kConflict, "no");
    }));
  }
}

TEST_P(Conformance, AFailedEnqueueInATransactionLeavesNothingOfItself) {
  QueueOptions full;
  full.name = "full";
  full.capacity = 1;
  options.queues = {full};
  Must(db().Transact([&](Transaction& transaction) -> Result<void> {
    const NewJob kept = JobOf("kept");
    if (auto added = transaction.enqueue({&kept, 1}); !added) return fail(added.error());
    std::vector<NewJob> jobs(2, JobOf("k"));
    jobs[1].kind = "";
    const auto invalid = transaction.enqueue(jobs);
    EXPECT_FALSE(invalid);
    const std::vector<NewJob> too_many(2, JobOf("k", [](NewJob& j) { j.queue = "full"; }));
    const auto rejected = transaction.enqueue(too_many);
    EXPECT_FALSE(rejected);
    if (!rejected) {
      EXPECT_EQ(rejected.error().code, ErrorCode::kQueueFull);
    }
    return {};
  }));
  const std::vector<Job> jobs = AllJobs();
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].kind, "kept");
}

TEST_P(Conformance, AcknowledgedWorkSurvivesACrash) {
  const WorkerRef worker = Register("w");
  const std::vector<JobId> ids = AddMany(10, JobOf("k", [](NewJob& j) { j.args = R"({"a":[1,2]})"; }));
  const JobId later = Add(JobOf("k", [](NewJob& j) { j.delay = kHour; }));
  const std::vector<ClaimedJob> jobs = Claim(worker, 6);
  EXPECT_TRUE(Send(worker, ReportOf(jobs[0], Verdict::kCompleted, Duration(0), "1")));
  EXPECT_TRUE(Send(worker, ReportOf(jobs[1], Verdict::kRetry, kHour, "failed")));
  EXPECT_TRUE(Send(worker, ReportOf(jobs[2], Verdict::kDead, Duration(0), "dead")));
  Must(db().Cancel(ByIds({ids[9]})));
  Must(db().PauseQueue("paused", true));
  if (!Reopen()) GTEST_SKIP() << "this driver cannot be reopened";
  EXPECT_EQ(AllJobs().size(), 11u);
  EXPECT_EQ(StateOf(ids[0]), JobState::kCompleted);
  EXPECT_EQ(Get(ids[0]).result, "1");
  EXPECT_EQ(StateOf(ids[1]), JobState::kRetryable);
  EXPECT_EQ(AttemptsOf(ids[1]).size(), 1u);
  EXPECT_EQ(StateOf(ids[2]), JobState::kDead);
  EXPECT_EQ(Get(ids[2]).error, "dead");
  EXPECT_EQ(StateOf(ids[9]), JobState::kCancelled);
  EXPECT_EQ(StateOf(ids[8]), JobState::kAvailable);
  EXPECT_EQ(Get(ids[8]).args, R"({"a":[1,2]})");
  EXPECT_EQ(StateOf(later), JobState::kScheduled);
  EXPECT_TRUE(QueueNamed("paused").paused);
  CheckCounts();
}

TEST_P(Conformance, ACrashInTheMiddleOfABatchGivesTheRestBack) {
  const WorkerRef worker = Register("w");
  AddMany(8, JobOf("k", [](NewJob& j) { j.partition_key = "p"; }));
  const std::vector<ClaimedJob> jobs = Claim(worker, 5);
  EXPECT_TRUE(Complete(worker, jobs[0]));
  EXPECT_TRUE(Complete(worker, jobs[1]));
  if (!Reopen()) GTEST_SKIP() << "this driver cannot be reopened";
  Advance(kStale + kMicro);
  Must(db().Rescue(kStale, kHour));
  for (int i = 2; i < 5; ++i) {
    EXPECT_EQ(StateOf(jobs[static_cast<std::size_t>(i)].id), JobState::kAvailable);
    EXPECT_EQ(Get(jobs[static_cast<std::size_t>(i)].id).crashes, 1);
    EXPECT_EQ(Get(jobs[static_cast<std::size_t>(i)].id).attempt, 0);
  }
  ExpectRefused(worker, jobs[2], "the dead process's lease");
  const WorkerRef next = Register("next");
  EXPECT_EQ(Claim(next, 10).size(), 6u);
}

TEST_P(Conformance, IdsAndTokensAreNotGivenTwiceAfterARestart) {
  const WorkerRef worker = Register("w");
  const JobId first = Add(JobOf("k"));
  const ClaimedJob job = ClaimOne(worker);
  EXPECT_TRUE(Complete(worker, job));
  Advance(kMicro);
  EXPECT_EQ(Must(db().DeleteFinished(Now(), 10)), 1);
  if (!Reopen()) GTEST_SKIP() << "this driver cannot be reopened";
  EXPECT_NE(Add(JobOf("k")), first);
  const WorkerRef again = Register("w");
  EXPECT_GT(again.incarnation, worker.incarnation);
  EXPECT_NE(ClaimOne(again).token, job.token);
}

}  // namespace millrace::storage
