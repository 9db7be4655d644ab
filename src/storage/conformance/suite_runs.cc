// Runs: one at a time per identity, open work counted exactly, finals once and in order.
#include "storage/conformance/suite.h"

namespace millrace::storage {

void LinkRunsSuite() {}

namespace {

RunSpec Spec(const std::string& identity, int finals) {
  RunSpec spec;
  spec.pipeline = "documents";
  spec.identity = identity;
  spec.spec = R"({"sources":[]})";
  spec.discovery = JobOf("discover");
  for (int i = 1; i <= finals; ++i) spec.finals.push_back(JobOf("final" + std::to_string(i)));
  return spec;
}

Report DoneDiscovering(const ClaimedJob& job, int children) {
  Report report = ReportOf(job, Verdict::kCompleted);
  report.discovery_done = true;
  report.emits.assign(static_cast<std::size_t>(children), JobOf("child"));
  return report;
}

}  // namespace

TEST_P(Conformance, ARunStartsWithItsDiscovery) {
  const WorkerRef worker = Register("w");
  const StartedRun started = Must(db().StartRun(Spec("id", 1)));
  EXPECT_GT(started.id, 0);
  EXPECT_FALSE(started.joined);
  const RunRow run = Run(started.id);
  EXPECT_EQ(run.pipeline, "documents");
  EXPECT_EQ(run.identity, "id");
  EXPECT_EQ(run.spec, R"({"sources":[]})");
  EXPECT_EQ(run.generation, started.generation);
  EXPECT_EQ(run.state, RunState::kActive);
  EXPECT_FALSE(run.discovery_done);
  EXPECT_EQ(run.finals_started, 0);
  EXPECT_EQ(run.open, 1);
  EXPECT_EQ(run.counts[static_cast<int>(JobState::kAvailable)], 1);
  EXPECT_EQ(run.started_at, Now());
  EXPECT_FALSE(run.finished_at);
  const ClaimedJob job = ClaimOne(worker);
  EXPECT_EQ(job.kind, "discover");
  EXPECT_EQ(job.run_id, started.id);
}

TEST_P(Conformance, AnActiveRunIsJoinedAndAFinishedOneIsFollowed) {
  const WorkerRef worker = Register("w");
  const StartedRun first = Must(db().StartRun(Spec("id", 0)));
  const StartedRun joined = Must(db().StartRun(Spec("id", 0)));
  EXPECT_TRUE(joined.joined);
  EXPECT_EQ(joined.id, first.id);
  EXPECT_EQ(joined.generation, first.generation);
  EXPECT_EQ(AllJobs().size(), 1u);
  const StartedRun other = Must(db().StartRun(Spec("another", 0)));
  EXPECT_FALSE(other.joined);
  EXPECT_NE(other.id, first.id);
  EXPECT_TRUE(Send(worker, DoneDiscovering(ClaimOne(worker), 0)));
  EXPECT_EQ(Run(first.id).state, RunState::kCompleted);
  const StartedRun second = Must(db().StartRun(Spec("id", 0)));
  EXPECT_FALSE(second.joined);
  EXPECT_NE(second.id, first.id);
  EXPECT_EQ(second.generation, first.generation + 1);
  EXPECT_EQ(Must(db().ListRuns(100)).size(), 3u);
  EXPECT_EQ(Must(db().ListRuns(2)).size(), 2u);
}

TEST_P(Conformance, ARunWithoutWorkOrFinalsIsCompletedByItsDiscovery) {
  const WorkerRef worker = Register("w");
  const RunId id = Must(db().StartRun(Spec("id", 0))).id;
  const ClaimedJob job = ClaimOne(worker);
  Advance(kSecond);
  EXPECT_TRUE(Send(worker, DoneDiscovering(job, 0)));
  const RunRow run = Run(id);
  EXPECT_EQ(run.state, RunState::kCompleted);
  EXPECT_TRUE(run.discovery_done);
  EXPECT_EQ(run.open, 0);
  EXPECT_EQ(run.finished_at, Now());
}

TEST_P(Conformance, ARunWhoseDiscoveryDiedGetsItAgainWhenItIsStartedAgain) {
  const WorkerRef worker = Register("w");
  const StartedRun first = Must(db().StartRun(Spec("id", 0)));
  EXPECT_TRUE(Send(worker, ReportOf(ClaimOne(worker), Verdict::kDead)));
  EXPECT_EQ(Run(first.id).state, RunState::kActive);
  EXPECT_EQ(Run(first.id).open, 0);
  EXPECT_TRUE(Must(db().StartRun(Spec("id", 0))).joined);
  EXPECT_EQ(Run(first.id).open, 1);
  EXPECT_TRUE(Must(db().StartRun(Spec("id", 0))).joined);
  EXPECT_EQ(Run(first.id).open, 1) << "it is there already";
  EXPECT_TRUE(Send(worker, DoneDiscovering(ClaimOne(worker), 0)));
  EXPECT_EQ(Run(first.id).state, RunState::kCompleted);
}

TEST_P(Conformance, FinalsStartOnceEachInOrderWhenNothingIsOpen) {
  const WorkerRef worker = Register("w");
  const RunId id = Must(db().StartRun(Spec("id", 2))).id;
  EXPECT_TRUE(Send(worker, DoneDiscovering(ClaimOne(worker), 3)));
  EXPECT_EQ(Run(id).open, 3);
  std::vector<ClaimedJob> children = Claim(worker, 10);
  ASSERT_EQ(children.size(), 3u);
  EXPECT_EQ(children[0].run_id, id);
  EXPECT_TRUE(Complete(worker, children[0]));
  EXPECT_TRUE(Complete(worker, children[1]));
  EXPECT_EQ(Run(id).open, 1);
  EXPECT_EQ(Run(id).finals_started, 0);
  EXPECT_TRUE(Claim(worker, 10).empty());
  EXPECT_TRUE(Complete(worker, children[2]));
  EXPECT_EQ(Run(id).finals_started, 1);
  const ClaimedJob first = ClaimOne(worker);
  EXPECT_EQ(first.kind, "final1");
  EXPECT_EQ(first.run_id, id);
  EXPECT_TRUE(Claim(worker, 10).empty());
  EXPECT_TRUE(Complete(worker, first));
  const ClaimedJob second = ClaimOne(worker);
  EXPECT_EQ(second.kind, "final2");
  EXPECT_EQ(Run(id).finals_started, 2);
  EXPECT_EQ(Run(id).state, RunState::kActive);
  EXPECT_TRUE(Complete(worker, second));
  EXPECT_EQ(Run(id).state, RunState::kCompleted);
  EXPECT_EQ(Run(id).counts[static_cast<int>(JobState::kCompleted)], 6);
  EXPECT_TRUE(Claim(worker, 10).empty());
}

TEST_P(Conformance, NothingFinalBeforeDiscoveryIsDone) {
  const WorkerRef worker = Register("w");
  const RunId id = Must(db().StartRun(Spec("id", 1))).id;
  const ClaimedJob discovery = ClaimOne(worker);
  const std::vector<NewJob> children(2, JobOf("child"));
  Must(db().EmitNow(worker, discovery.id, discovery.attempt, discovery.token, children));
  EXPECT_EQ(Run(id).open, 3);
  for (const ClaimedJob& child : Claim(worker, 10)) {
    EXPECT_EQ(child.run_id, id);
    EXPECT_TRUE(Complete(worker, child));
  }
  EXPECT_EQ(Run(id).open, 1);
  EXPECT_EQ(Run(id).finals_started, 0);
  EXPECT_TRUE(Complete(worker, discovery));  // without saying that discovery is done
  EXPECT_EQ(Run(id).open, 0);
  EXPECT_EQ(Run(id).state, RunState::kActive);
  EXPECT_TRUE(Claim(worker, 10).empty());
}

TEST_P(Conformance, DiscoveryMayGoOnInAnEmittedJob) {
  const WorkerRef worker = Register("w");
  const RunId id = Must(db().StartRun(Spec("id", 1))).id;
  Report more = ReportOf(ClaimOne(worker), Verdict::kCompleted);
  more.emits = {JobOf("discover")};
  EXPECT_TRUE(Send(worker, more));
  EXPECT_EQ(Run(id).finals_started, 0);
  EXPECT_TRUE(Send(worker, DoneDiscovering(ClaimOne(worker), 0)));
  EXPECT_EQ(ClaimOne(worker).kind, "final1");
}

TEST_P(Conformance, EmitsKeepARunOpenEvenThoseOfAFinal) {
  const WorkerRef worker = Register("w");
  const RunId id = Must(db().StartRun(Spec("id", 2))).id;
  EXPECT_TRUE(Send(worker, DoneDiscovering(ClaimOne(worker), 1)));
  Report child = ReportOf(ClaimOne(worker), Verdict::kCompleted);
  child.emits = {JobOf("grandchild")};
  EXPECT_TRUE(Send(worker, child));
  EXPECT_EQ(Run(id).finals_started, 0);
  EXPECT_TRUE(Complete(worker, ClaimOne(worker)));
  Report final = ReportOf(ClaimOne(worker), Verdict::kCompleted);
  final.emits = {JobOf("fan-out"), JobOf("fan-out")};
  EXPECT_TRUE(Send(worker, final));
  EXPECT_EQ(Run(id).finals_started, 1);
  EXPECT_EQ(Run(id).open, 2);
  for (const ClaimedJob& job : Claim(worker, 10)) EXPECT_TRUE(Complete(worker, job));
  EXPECT_EQ(ClaimOne(worker).kind, "final2");
}

TEST_P(Conformance, ARetriedChildKeepsItsRunOpen) {
  const WorkerRef worker = Register("w");
  const RunId id = Must(db().StartRun(Spec("id", 1))).id;
  EXPECT_TRUE(Send(worker, DoneDiscovering(ClaimOne(worker), 1)));
  EXPECT_TRUE(Send(worker, ReportOf(ClaimOne(worker), Verdict::kRetry, kMinute, "again")));
  EXPECT_EQ(Run(id).open, 1);
  EXPECT_EQ(Run(id).finals_started, 0);
  Advance(kMinute);
  EXPECT_TRUE(Complete(worker, ClaimOne(worker)));
  EXPECT_EQ(Run(id).finals_started, 1);
}

TEST_P(Conformance, DeadLettersDoNotBlockARun) {
  const WorkerRef worker = Register("w");
  const RunId id = Must(db().StartRun(Spec("id", 1))).id;
  EXPECT_TRUE(Send(worker, DoneDiscovering(ClaimOne(worker), 2)));
  for (const ClaimedJob& job : Claim(worker, 10)) {
    EXPECT_TRUE(Send(worker, ReportOf(job, Verdict::kDead, Duration(0), "broken")));
  }
  EXPECT_EQ(Run(id).counts[static_cast<int>(JobState::kDead)], 2);
  EXPECT_TRUE(Send(worker, ReportOf(ClaimOne(worker), Verdict::kDead, Duration(0), "the final, too")));
  EXPECT_EQ(Run(id).state, RunState::kCompleted);
}

TEST_P(Conformance, PoisonJobsDoNotBlockARun) {
  options.max_crashes = 1;
  const RunId id = Must(db().StartRun(Spec("id", 1))).id;
  WorkerRef worker = Register("w");
  EXPECT_TRUE(Send(worker, DoneDiscovering(ClaimOne(worker), 1)));
  for (int crash = 0; crash < 2; ++crash) {
    EXPECT_EQ(ClaimOne(worker).kind, "child");
    Advance(kStale + kMicro);
    Must(db().Rescue(kStale, kMinute));
    worker = Register("w");
  }
  EXPECT_EQ(Run(id).finals_started, 1);
}

TEST_P(Conformance, CancellingARunsLastOpenJobLetsItGoOn) {
  const WorkerRef worker = Register("w");
  const RunId id = Must(db().StartRun(Spec("id", 1))).id;
  EXPECT_TRUE(Send(worker, DoneDiscovering(ClaimOne(worker), 2)));
  JobFilter filter;
  filter.run_id = id;
  filter.kind = "child";
  EXPECT_EQ(Must(db().Cancel(filter)).size(), 2u);
  EXPECT_EQ(Run(id).finals_started, 1);
  EXPECT_EQ(ClaimOne(worker).kind, "final1");
}

TEST_P(Conformance, ACancelledRunStartsNothingMore) {
  const WorkerRef worker = Register("w");
  const RunId id = Must(db().StartRun(Spec("id", 1))).id;
  EXPECT_TRUE(Send(worker, DoneDiscovering(ClaimOne(worker), 3)));
  const ClaimedJob running = ClaimOne(worker);
  Must(db().CancelRun(id));
  EXPECT_EQ(Run(id).state, RunState::kCancelled);
  EXPECT_EQ(Run(id).finished_at, Now());
  EXPECT_TRUE(Claim(worker, 10).empty());
  EXPECT_EQ(Must(db().Heartbeat(worker, WorkerState::kActive, {})).cancelled, std::vector<JobId>{running.id});
  EXPECT_TRUE(Send(worker, ReportOf(running, Verdict::kCancelled)));
  EXPECT_EQ(Run(id).open, 0);
  EXPECT_EQ(Run(id).finals_started, 0);
  EXPECT_EQ(Run(id).counts[static_cast<int>(JobState::kCancelled)], 3);
  EXPECT_TRUE(Claim(worker, 10).empty());
  const StartedRun next = Must(db().StartRun(Spec("id", 1)));
  EXPECT_FALSE(next.joined);
}

TEST_P(Conformance, ACancelledRunTakesNoMoreJobs) {
  const WorkerRef worker = Register("w");
  const RunId id = Must(db().StartRun(Spec("id", 1))).id;
  const ClaimedJob discovery = ClaimOne(worker);
  Must(db().CancelRun(id));
  const NewJob child = JobOf("child");
  const auto emitted = db().EmitNow(worker, discovery.id, discovery.attempt, discovery.token, {&child, 1});
  ASSERT_FALSE(emitted);
  EXPECT_EQ(emitted.error().code, ErrorCode::kConflict) << emitted.error().message;
  EXPECT_TRUE(Send(worker, DoneDiscovering(discovery, 3))) << "it had finished its work before it heard of it";
  EXPECT_EQ(Run(id).open, 0);
  EXPECT_EQ(AllJobs().size(), 1u);
  Must(db().CancelRun(id));
  EXPECT_EQ(Run(id).state, RunState::kCancelled);
}

TEST_P(Conformance, EmitsBelongToTheEmittersRunAlsoWhenThatIsOver) {
  const WorkerRef worker = Register("w");
  const RunId id = Must(db().StartRun(Spec("id", 0))).id;
  Report report = DoneDiscovering(ClaimOne(worker), 1);
  EXPECT_TRUE(Send(worker, report));
  const ClaimedJob child = ClaimOne(worker);
  EXPECT_TRUE(Send(worker, ReportOf(child, Verdict::kDead, Duration(0), "broken")));
  EXPECT_EQ(Run(id).state, RunState::kCompleted);
  EXPECT_EQ(Must(db().RetryDead(ByIds({child.id}))).size(), 1u);
  report = ReportOf(ClaimOne(worker), Verdict::kCompleted);
  report.emits = {JobOf("late child")};
  EXPECT_TRUE(Send(worker, report));
  EXPECT_EQ(ClaimOne(worker).run_id, id);
}

TEST_P(Conformance, RunsAreListedAndUnknownOnesAreNotThere) {
  EXPECT_FALSE(Must(db().GetRun(4711)));
  EXPECT_TRUE(Must(db().ListRuns(10)).empty());
}

TEST_P(Conformance, ARunWithAnInvalidJobDoesNotStart) {
  RunSpec spec = Spec("id", 1);
  spec.finals[0].kind = "";
  const auto bad_final = db().StartRun(spec);
  ASSERT_FALSE(bad_final);
  EXPECT_EQ(bad_final.error().code, ErrorCode::kInvalidArgument);
  spec = Spec("id", 0);
  spec.discovery.args = "not json";
  EXPECT_FALSE(db().StartRun(spec));
  EXPECT_TRUE(Must(db().ListRuns(10)).empty());
  EXPECT_TRUE(AllJobs().empty());
}

TEST_P(Conformance, JobsOfARunAreFoundByIt) {
  const RunId id = Must(db().StartRun(Spec("id", 0))).id;
  Add(JobOf("k", [&](NewJob& j) { j.run_id = id; }));
  Add(JobOf("k"));
  JobFilter filter;
  filter.run_id = id;
  EXPECT_EQ(AllJobs(filter).size(), 2u);
  EXPECT_EQ(Run(id).open, 2);
}

TEST_P(Conformance, ARunGoesOnAfterARestart) {
  const WorkerRef worker = Register("w");
  const RunId id = Must(db().StartRun(Spec("id", 2))).id;
  EXPECT_TRUE(Send(worker, DoneDiscovering(ClaimOne(worker), 1)));
  if (!Reopen()) GTEST_SKIP() << "this driver cannot be reopened";
  EXPECT_TRUE(Must(db().StartRun(Spec("id", 2))).joined);
  EXPECT_EQ(Run(id).open, 1);
  const WorkerRef next = Register("next");
  EXPECT_TRUE(Complete(next, ClaimOne(next)));
  EXPECT_EQ(ClaimOne(next).kind, "final1");
}

}  // namespace millrace::storage
