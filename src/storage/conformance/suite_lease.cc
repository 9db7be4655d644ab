// Leases: whoever lost one can change nothing.
#include "storage/conformance/suite.h"

namespace millrace::storage {

void LinkLeaseSuite() {}

namespace {

// A transaction that enqueues and completes with a lost lease must leave nothing.
void ExpectTransactionRefused(Storage& db, const WorkerRef& worker, const ClaimedJob& job) {
  const auto result = db.Transact([&](Transaction& transaction) -> Result<void> {
    const NewJob other = JobOf("stale child");
    if (auto added = transaction.enqueue({&other, 1}); !added) return fail(added.error());
    const Report report = ReportOf(job, Verdict::kCompleted);
    auto accepted = transaction.ReportIn(worker, {&report, 1});
    if (!accepted) return fail(accepted.error());
    if (!accepted->at(0)) return fail(ErrorCode::kLeaseLost, "the lease is gone");
    return {};
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kLeaseLost) << result.error().message;
}

void ExpectSame(const Job& before, const Job& after) {
  EXPECT_EQ(after.state, before.state);
  EXPECT_EQ(after.attempt, before.attempt);
  EXPECT_EQ(after.crashes, before.crashes);
  EXPECT_EQ(after.worker, before.worker);
  EXPECT_EQ(after.error, before.error);
  EXPECT_EQ(after.result, before.result);
  EXPECT_EQ(after.run_at, before.run_at);
  EXPECT_EQ(after.started_at, before.started_at);
  EXPECT_EQ(after.finished_at, before.finished_at);
  EXPECT_EQ(after.progress, before.progress);
  EXPECT_EQ(after.progress_message, before.progress_message);
  EXPECT_EQ(after.cancel_requested, before.cancel_requested);
}

}  // namespace

// Tries every write that needs a lease.
void Conformance::ExpectRefused(const WorkerRef& worker, const ClaimedJob& job, const std::string& why) {
  SCOPED_TRACE(why);
  const Job before = Get(job.id);
  const std::size_t jobs = AllJobs().size();
  const std::size_t attempts = AttemptsOf(job.id).size();
  for (const Verdict verdict : {Verdict::kCompleted, Verdict::kRetry, Verdict::kDead, Verdict::kSnooze,
                                Verdict::kReleased, Verdict::kCancelled}) {
    Report report = ReportOf(job, verdict, kSecond, "stale");
    report.emits = {JobOf("stale child")};
    report.discovery_done = true;
    EXPECT_FALSE(Send(worker, report)) << static_cast<int>(verdict);
  }
  const NewJob child = JobOf("stale child");
  const auto emitted = db().EmitNow(worker, job.id, job.attempt, job.token, {&child, 1});
  EXPECT_FALSE(emitted);
  if (!emitted) {
    EXPECT_EQ(emitted.error().code, ErrorCode::kLeaseLost) << emitted.error().message;
  }
  const JobProgress progress{job.id, job.attempt, job.token, 0.75, "stale"};
  (void)db().Heartbeat(worker, WorkerState::kActive, {&progress, 1});
  ExpectTransactionRefused(db(), worker, job);
  ExpectSame(before, Get(job.id));
  EXPECT_EQ(AllJobs().size(), jobs);
  EXPECT_EQ(AttemptsOf(job.id).size(), attempts);
}

TEST_P(Conformance, AStaleLeaseChangesNothingWhileTheJobRuns) {
  const WorkerRef worker = Register("w");
  const WorkerRef other = Register("other");
  Add(JobOf("k"));
  const ClaimedJob job = ClaimOne(worker);
  ClaimedJob wrong = job;
  wrong.token = job.token + 1;
  ExpectRefused(worker, wrong, "wrong token");
  wrong = job;
  wrong.token = 0;
  ExpectRefused(worker, wrong, "no token");
  wrong = job;
  wrong.attempt = 2;
  ExpectRefused(worker, wrong, "a later attempt");
  wrong.attempt = 0;
  ExpectRefused(worker, wrong, "no attempt");
  ExpectRefused(other, job, "another worker");
  ExpectRefused({"unheard of", 1}, job, "an unknown worker");
  ExpectRefused({"w", worker.incarnation + 1}, job, "an incarnation that does not exist");
  EXPECT_TRUE(Complete(worker, job));
}

TEST_P(Conformance, ALeaseOfAJobThatDoesNotExistIsRefused) {
  const WorkerRef worker = Register("w");
  ClaimedJob job;
  job.id = 4711;
  job.attempt = 1;
  job.token = 1;
  EXPECT_FALSE(Complete(worker, job));
}

TEST_P(Conformance, ADoubleReportIsRefused) {
  const WorkerRef worker = Register("w");
  for (const Verdict verdict : {Verdict::kCompleted, Verdict::kRetry, Verdict::kDead, Verdict::kSnooze,
                                Verdict::kReleased, Verdict::kCancelled}) {
    Add(JobOf("k"));
    const ClaimedJob job = ClaimOne(worker);
    EXPECT_TRUE(Send(worker, ReportOf(job, verdict, kHour, "once")));
    ExpectRefused(worker, job, "reported before with verdict " + std::to_string(static_cast<int>(verdict)));
    Must(db().Cancel({}));
  }
}

TEST_P(Conformance, TheLeaseOfAnEarlierAttemptIsRefused) {
  const WorkerRef worker = Register("w");
  Add(JobOf("k"));
  const ClaimedJob first = ClaimOne(worker);
  EXPECT_TRUE(Send(worker, ReportOf(first, Verdict::kRetry, Duration(0), "again")));
  const ClaimedJob second = ClaimOne(worker);
  ExpectRefused(worker, first, "the first attempt's lease");
  EXPECT_TRUE(Send(worker, ReportOf(second, Verdict::kReleased)));
  const ClaimedJob third = ClaimOne(worker);
  EXPECT_EQ(third.attempt, second.attempt);
  ExpectRefused(worker, second, "the same attempt's released lease");
  EXPECT_TRUE(Complete(worker, third));
}

TEST_P(Conformance, ASupersededIncarnationCanDoNothing) {
  const WorkerRef old = Register("w");
  AddMany(2, JobOf("k"));
  const ClaimedJob job = ClaimOne(old);
  const WorkerRef fresh = Register("w");
  EXPECT_GT(fresh.incarnation, old.incarnation);
  ExpectRefused(old, job, "superseded");
  ExpectRefused(fresh, job, "the new incarnation does not inherit leases");
  EXPECT_TRUE(Must(db().Heartbeat(old, WorkerState::kActive, {})).superseded);
  EXPECT_FALSE(Must(db().Heartbeat(fresh, WorkerState::kActive, {})).superseded);
  ClaimRequest request;
  request.worker = old;
  request.max_jobs = 5;
  const auto claimed = db().Claim(request);
  EXPECT_TRUE(!claimed || claimed->jobs.empty());
  EXPECT_FALSE(Claim(fresh, 5).empty());
}

TEST_P(Conformance, ARescuedLeaseIsRefused) {
  const WorkerRef worker = Register("w");
  Add(JobOf("k"));
  const ClaimedJob job = ClaimOne(worker);
  Advance(kStale + kMicro);
  EXPECT_EQ(Must(db().Rescue(kStale, kSecond)).size(), 1u);
  ExpectRefused(worker, job, "rescued and available");
  const WorkerRef other = Register("other");
  const ClaimedJob again = ClaimOne(other);
  EXPECT_EQ(again.attempt, job.attempt);
  ExpectRefused(worker, job, "rescued and running elsewhere");
  EXPECT_TRUE(Complete(other, again));
}

TEST_P(Conformance, AStoppedWorkersLeaseIsRefused) {
  const WorkerRef worker = Register("w");
  Add(JobOf("k"));
  const ClaimedJob job = ClaimOne(worker);
  Must(db().StopWorker(worker));
  const Job before = Get(job.id);
  EXPECT_EQ(before.state, JobState::kAvailable);
  EXPECT_EQ(before.attempt, 0);
  EXPECT_FALSE(Complete(worker, job));
  EXPECT_EQ(StateOf(job.id), JobState::kAvailable);
}

TEST_P(Conformance, StoppingASupersededWorkerReleasesNothingOfTheNewOne) {
  const WorkerRef old = Register("w");
  const WorkerRef fresh = Register("w");
  Add(JobOf("k"));
  const ClaimedJob job = ClaimOne(fresh);
  (void)db().StopWorker(old);
  EXPECT_EQ(StateOf(job.id), JobState::kRunning);
  EXPECT_TRUE(Complete(fresh, job));
}

TEST_P(Conformance, ACancelledRunningJobsLeaseHoldsUntilItReports) {
  const WorkerRef worker = Register("w");
  Add(JobOf("k"));
  const ClaimedJob job = ClaimOne(worker);
  Must(db().Cancel(ByIds({job.id})));
  EXPECT_TRUE(Send(worker, ReportOf(job, Verdict::kCancelled)));
  ExpectRefused(worker, job, "cancelled");
}

}  // namespace millrace::storage
