// What is deleted by its age: counted first, then deleted up to a limit.
#include "storage/conformance/suite.h"

namespace millrace::storage {

void LinkOldSuite() {}

namespace {

constexpr int kAll = 1000;

RunSpec Pipeline(const std::string& identity) {
  RunSpec spec;
  spec.pipeline = "p";
  spec.identity = identity;
  spec.discovery.kind = "discover";
  return spec;
}

}  // namespace

TEST_P(Conformance, OldJobsAreCountedAsTheyAreDeleted) {
  const WorkerRef worker = Register("w");
  const JobId dead = AddDead(JobOf("k"));
  AddMany(3, JobOf("k"));
  for (const ClaimedJob& job : Claim(worker, 2)) EXPECT_TRUE(Complete(worker, job));
  Must(db().Cancel({}));
  const Time then = Now();
  Advance(kHour);
  AddDead(JobOf("k"));
  const JobId available = Add(JobOf("k"));
  EXPECT_EQ(Must(db().CountOld(Old::kFinishedJobs, then)), 0) << "before, not at";
  EXPECT_EQ(Must(db().CountOld(Old::kFinishedJobs, then + kMicro)), 3);
  EXPECT_EQ(Must(db().CountOld(Old::kDeadLetters, then + kMicro)), 1);
  EXPECT_EQ(Must(db().CountOld(Old::kDeadLetters, Now() + kMicro)), 2);
  EXPECT_EQ(AllJobs().size(), 6u) << "counting deletes nothing";
  EXPECT_EQ(Must(db().DeleteOld(Old::kFinishedJobs, Now(), 2)), 2);
  EXPECT_EQ(Must(db().CountOld(Old::kFinishedJobs, Now())), 1);
  EXPECT_EQ(Must(db().DeleteOld(Old::kFinishedJobs, Now(), kAll)), 1);
  EXPECT_EQ(Must(db().DeleteOld(Old::kDeadLetters, Now() + kMicro, 1)), 1) << "the limit";
  EXPECT_FALSE(Must(db().GetJob(dead))) << "the oldest first";
  EXPECT_EQ(Must(db().CountOld(Old::kDeadLetters, Now() + kMicro)), 1);
  EXPECT_EQ(StateOf(available), JobState::kAvailable);
}

// A driver may remember what it has seen, so as not to look through all of history every minute.
TEST_P(Conformance, OldJobsGoWhenTheirTimeComesHoweverOftenItWasLooked) {
  const WorkerRef worker = Register("w");
  const auto finish_one = [&] {
    Add(JobOf("k"));
    EXPECT_TRUE(Complete(worker, ClaimOne(worker)));
    const Time at = Now();
    Advance(kMinute);
    return at;
  };
  const auto deleted_before = [&](Time before, int most) {
    return Must(db().DeleteOld(Old::kFinishedJobs, before, most));
  };
  Add(JobOf("k"));
  const ClaimedJob late = ClaimOne(worker);
  const Time first = finish_one();
  const Time second = finish_one();
  EXPECT_EQ(deleted_before(first, kAll), 0) << "before, not at";
  EXPECT_EQ(deleted_before(first + kMicro, kAll), 1);
  EXPECT_EQ(deleted_before(second, kAll), 0);
  EXPECT_TRUE(Complete(worker, late));
  const Time third = Now();
  Advance(kMinute);
  EXPECT_EQ(deleted_before(second + kMicro, kAll), 1);
  EXPECT_EQ(deleted_before(third, kAll), 0);
  EXPECT_EQ(deleted_before(third + kMicro, kAll), 1) << "the smallest id, the last to finish";
  const Time fourth = finish_one();
  finish_one();
  EXPECT_EQ(deleted_before(Now(), 1), 1) << "the limit";
  EXPECT_EQ(deleted_before(fourth + kMicro, kAll), 0);
  EXPECT_EQ(deleted_before(Now(), kAll), 1) << "what a limit left";
}

TEST_P(Conformance, OldJobsAreFinishedOnesHoweverLateTheMoment) {
  const WorkerRef worker = Register("w");
  const JobId dead = AddDead(JobOf("k"));
  Add(JobOf("k"));
  const ClaimedJob running = ClaimOne(worker);
  const JobId waiting = Add(JobOf("k", [&](NewJob& j) { j.after = {running.id}; }));
  const JobId scheduled = Add(JobOf("k", [](NewJob& j) { j.delay = kMinute; }));
  const JobId available = Add(JobOf("k"));
  EXPECT_EQ(Must(db().DeleteOld(Old::kFinishedJobs, Now() + 100 * kHour, kAll)), 0);
  EXPECT_EQ(StateOf(dead), JobState::kDead);
  EXPECT_EQ(StateOf(waiting), JobState::kWaiting);
  EXPECT_EQ(StateOf(scheduled), JobState::kScheduled);
  EXPECT_EQ(StateOf(available), JobState::kAvailable);
  EXPECT_TRUE(Complete(worker, running));
}

TEST_P(Conformance, OldWorkersGoWhenTheyHaveEndedAndHoldNothing) {
  const WorkerRef stopped = Register("stopped");
  Must(db().StopWorker(stopped));
  const WorkerRef lost = Register("lost");
  Add(JobOf("k"));
  const JobId held = ClaimOne(lost).id;
  const WorkerRef first = Register("twice");
  const WorkerRef second = Register("twice");
  const WorkerRef active = Register("active");
  Register("newest");
  Advance(kStale + kMicro);
  Must(db().Heartbeat(second, WorkerState::kActive, {}));
  Must(db().Heartbeat(active, WorkerState::kActive, {}));
  EXPECT_EQ(Must(db().CountOld(Old::kWorkers, Now())), 2) << "stopped, and the first life of twice";
  Must(db().Rescue(kStale, kMinute));
  EXPECT_EQ(Must(db().CountOld(Old::kWorkers, Now())), 3) << "lost as well; the one registered last stays";
  EXPECT_EQ(Must(db().Workers()).size(), 5u) << "counting deletes nothing";
  EXPECT_EQ(Must(db().DeleteOld(Old::kWorkers, Now(), 1)), 1);
  EXPECT_EQ(Must(db().DeleteOld(Old::kWorkers, Now(), kAll)), 2);
  EXPECT_EQ(Must(db().CountOld(Old::kWorkers, Now())), 0);
  std::vector<std::string> left;
  for (const WorkerRow& row : Must(db().Workers())) left.push_back(row.info.id);
  EXPECT_EQ(left, (std::vector<std::string>{"active", "newest", "twice"}));
  // What went is as a worker that never was, and its number is never given to another.
  ClaimRequest request;
  request.worker = lost;
  request.max_jobs = 1;
  const auto claimed = db().Claim(request);
  ASSERT_FALSE(claimed);
  EXPECT_EQ(claimed.error().code, ErrorCode::kLeaseLost);
  EXPECT_TRUE(Must(db().Heartbeat(first, WorkerState::kActive, {})).superseded);
  EXPECT_GT(Register("lost").incarnation, active.incarnation);
  EXPECT_EQ(ClaimIds(second, 1), std::vector<JobId>{held});
}

TEST_P(Conformance, AWorkerThatHoldsAJobStaysHoweverOldItIs) {
  const WorkerRef first = Register("w");
  Add(JobOf("k"));
  const ClaimedJob job = ClaimOne(first);
  Register("w");  // supersedes it, until the rescue with its job
  Register("newest");
  Advance(kHour);
  EXPECT_EQ(Must(db().CountOld(Old::kWorkers, Now())), 0);
  EXPECT_EQ(Must(db().DeleteOld(Old::kWorkers, Now(), kAll)), 0);
  Must(db().Rescue(kStale, 2 * kHour));
  EXPECT_EQ(StateOf(job.id), JobState::kAvailable);
  EXPECT_GE(Must(db().CountOld(Old::kWorkers, Now())), 1);
  Must(db().DeleteOld(Old::kWorkers, Now(), kAll));
  const Job now = Get(job.id);
  EXPECT_TRUE(now.started_at) << "a job keeps what it says of itself";
  EXPECT_EQ(now.crashes, 1);
}

TEST_P(Conformance, OldRunsGoWithTheirLastJob) {
  const WorkerRef worker = Register("w");
  const auto run_once = [&](const std::string& identity) {
    const RunId id = Must(db().StartRun(Pipeline(identity))).id;
    Report done = ReportOf(ClaimOne(worker), Verdict::kCompleted);
    done.discovery_done = true;
    EXPECT_TRUE(Send(worker, done));
    EXPECT_EQ(Run(id).state, RunState::kCompleted);
    return id;
  };
  const RunId first = run_once("a");
  const RunId second = run_once("a");
  const RunId only = run_once("b");
  const RunId cancelled = Must(db().StartRun(Pipeline("c"))).id;
  Must(db().CancelRun(cancelled));
  const RunId open = Must(db().StartRun(Pipeline("c"))).id;
  Advance(kHour);
  EXPECT_EQ(Must(db().CountOld(Old::kRuns, Now())), 0) << "their jobs are still in the books";
  EXPECT_EQ(Must(db().DeleteOld(Old::kFinishedJobs, Now(), kAll)), 4);
  EXPECT_EQ(Must(db().CountOld(Old::kRuns, Now() - kHour)), 0) << "before, not at";
  EXPECT_EQ(Must(db().CountOld(Old::kRuns, Now())), 2) << "all but the latest of each identity";
  EXPECT_EQ(Must(db().DeleteOld(Old::kRuns, Now(), 1)), 1);
  EXPECT_FALSE(Must(db().GetRun(first)));
  EXPECT_EQ(Must(db().DeleteOld(Old::kRuns, Now(), kAll)), 1);
  EXPECT_FALSE(Must(db().GetRun(cancelled)));
  std::vector<RunId> left;
  for (const RunRow& row : Must(db().ListRuns(10))) left.push_back(row.id);
  EXPECT_EQ(left, (std::vector<RunId>{open, only, second}));
  const StartedRun next = Must(db().StartRun(Pipeline("a")));
  EXPECT_EQ(next.generation, 3) << "generations go on counting";
}

}  // namespace millrace::storage
