// Jobs that wait for others: when they run, when they are cancelled, and that no release is lost.
#include <atomic>
#include <future>
#include <random>

#include "storage/conformance/suite.h"

namespace millrace::storage {

void LinkDependenciesSuite() {}

namespace {

using Policy = DependencyPolicy;

NewJob After(std::vector<JobId> ids, Policy when = Policy::kAllSucceeded, const std::string& kind = "after") {
  return JobOf(kind, [&](NewJob& j) {
    j.after = std::move(ids);
    j.when = when;
  });
}

NewJob AfterEntries(std::vector<std::size_t> entries) {
  return JobOf("after", [&](NewJob& j) { j.after_in_batch = std::move(entries); });
}

// The names of kinds of claimed jobs.
std::vector<std::string> Kinds(const std::vector<ClaimedJob>& jobs) {
  std::vector<std::string> kinds;
  kinds.reserve(jobs.size());
  for (const ClaimedJob& job : jobs) kinds.push_back(job.kind);
  return kinds;
}

const ClaimedJob& ById(const std::vector<ClaimedJob>& jobs, JobId id) {
  for (const ClaimedJob& job : jobs) {
    if (job.id == id) return job;
  }
  throw std::runtime_error("job " + std::to_string(id) + " was not claimed");
}

}  // namespace

TEST_P(Conformance, AJobWaitsUntilTheLastOfItsDependenciesIsDone) {
  const JobId a = Add(JobOf("a"));
  const JobId b = Add(JobOf("b"));
  const JobId c = Add(After({b, a, b}));
  const Time enqueued = Now();
  const Job waiting = Get(c);
  EXPECT_EQ(waiting.state, JobState::kWaiting);
  EXPECT_EQ(waiting.after, (std::vector<JobId>{a, b}));
  EXPECT_EQ(waiting.when, Policy::kAllSucceeded);
  Advance(kSecond);
  const WorkerRef worker = Register("w");
  const std::vector<ClaimedJob> jobs = Claim(worker, 10);
  EXPECT_EQ(IdsOf(jobs), (std::vector<JobId>{a, b}));
  EXPECT_TRUE(Complete(worker, jobs[0]));
  EXPECT_EQ(Get(c).after, std::vector<JobId>{b});
  EXPECT_TRUE(Claim(worker, 10).empty());
  EXPECT_TRUE(Send(worker, ReportOf(jobs[1], Verdict::kRetry)));  // not finished
  EXPECT_EQ(StateOf(c), JobState::kWaiting);
  EXPECT_TRUE(Complete(worker, ClaimOne(worker)));
  const Job ready = Get(c);
  EXPECT_EQ(ready.state, JobState::kAvailable);
  EXPECT_EQ(ready.run_at, enqueued) << "a waiting job's run_at is kept";
  EXPECT_TRUE(ready.after.empty());
  const ClaimedJob claimed = ClaimOne(worker);
  EXPECT_EQ(claimed.id, c);
  EXPECT_EQ(claimed.attempt, 1);
  EXPECT_TRUE(Complete(worker, claimed));
}

TEST_P(Conformance, ThePolicySaysWhatBecomesOfAWaitingJob) {
  struct Row {
    Policy policy;
    Verdict one, other;
    JobState after_one, after_both;
  };
  constexpr auto kOk = Verdict::kCompleted;
  constexpr auto kDead = Verdict::kDead;
  constexpr auto kGone = Verdict::kCancelled;
  constexpr auto kWaiting = JobState::kWaiting;
  constexpr auto kRuns = JobState::kAvailable;
  constexpr auto kCancelled = JobState::kCancelled;
  const WorkerRef worker = Register("w");
  for (const Row& row : {
           Row{Policy::kAllSucceeded, kOk, kOk, kWaiting, kRuns},
           Row{Policy::kAllSucceeded, kOk, kDead, kWaiting, kCancelled},
           Row{Policy::kAllSucceeded, kGone, kOk, kCancelled, kCancelled},
           Row{Policy::kAnyFailed, kOk, kOk, kWaiting, kCancelled},
           Row{Policy::kAnyFailed, kOk, kGone, kWaiting, kRuns},
           Row{Policy::kAnyFailed, kDead, kOk, kWaiting, kRuns},
           Row{Policy::kAllFinished, kOk, kOk, kWaiting, kRuns},
           Row{Policy::kAllFinished, kDead, kGone, kWaiting, kRuns},
       }) {
    SCOPED_TRACE(std::string(dependency_policy_name(row.policy)) + " " + std::to_string(static_cast<int>(row.one)) +
                 " " + std::to_string(static_cast<int>(row.other)));
    const JobId a = Add(JobOf("a"));
    const JobId b = Add(JobOf("b"));
    const JobId c = Add(After({a, b}, row.policy));
    EXPECT_EQ(Get(c).when, row.policy);
    const std::vector<ClaimedJob> jobs = Claim(worker, 10);
    EXPECT_TRUE(Send(worker, ReportOf(ById(jobs, a), row.one)));
    EXPECT_EQ(StateOf(c), row.after_one);
    EXPECT_TRUE(Send(worker, ReportOf(ById(jobs, b), row.other)));
    const Job done = Get(c);
    EXPECT_EQ(done.state, row.after_both);
    if (row.after_both == kRuns) {
      EXPECT_EQ(done.error, "");
      EXPECT_TRUE(Complete(worker, ClaimOne(worker)));
    } else if (row.policy == Policy::kAllSucceeded) {
      const JobId failed = row.one == kOk ? b : a;
      EXPECT_NE(done.error.find("job " + std::to_string(failed) + ","), std::string::npos) << done.error;
    } else {
      EXPECT_NE(done.error.find("all jobs it waited for succeeded"), std::string::npos) << done.error;
    }
  }
}

TEST_P(Conformance, EntriesOfABatchWaitForEarlierOnes) {
  const WorkerRef worker = Register("w");
  // A diamond.
  const std::vector<NewJob> batch = {JobOf("top"), AfterEntries({0}), AfterEntries({0}), AfterEntries({1, 2})};
  const std::vector<Enqueued> ids = Must(db().Enqueue(batch));
  EXPECT_EQ(Get(ids[3].id).after, (std::vector<JobId>{ids[1].id, ids[2].id}));
  EXPECT_TRUE(Complete(worker, ClaimOne(worker)));
  const std::vector<ClaimedJob> sides = Claim(worker, 10);
  EXPECT_EQ(IdsOf(sides), (std::vector<JobId>{ids[1].id, ids[2].id}));
  for (const ClaimedJob& side : sides) EXPECT_TRUE(Complete(worker, side));
  EXPECT_EQ(ClaimIds(worker, 10), std::vector<JobId>{ids[3].id});
}

TEST_P(Conformance, AnUnknownDependencyIsNamedAndNothingIsEnqueued) {
  const JobId a = Add(JobOf("a"));
  const std::vector<NewJob> batch = {JobOf("first"), After({a, a + 1'000'000})};
  const auto refused = db().Enqueue(batch);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(refused.error().message.find("job 1 of the batch: after: there is no job " + std::to_string(a + 1'000'000)),
            std::string::npos)
      << refused.error().message;
  const std::vector<NewJob> itself = {AfterEntries({0})};
  EXPECT_EQ(db().Enqueue(itself).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(AllJobs().size(), 1u);
  const WorkerRef worker = Register("w");
  EXPECT_TRUE(Complete(worker, ClaimOne(worker)));
  Advance(kHour);
  EXPECT_EQ(Must(db().DeleteFinished(Now(), 10)), 1);
  const NewJob late = After({a});
  const auto deleted = db().Enqueue({&late, 1});
  ASSERT_FALSE(deleted);
  EXPECT_EQ(deleted.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(deleted.error().message.find("history was deleted"), std::string::npos) << deleted.error().message;
  RunSpec spec;
  spec.identity = "id";
  spec.discovery = After({a});
  EXPECT_EQ(db().StartRun(spec).error().code, ErrorCode::kInvalidArgument);
}

TEST_P(Conformance, AFinishedDependencyCountsByWhatBecameOfIt) {
  const JobId dead = AddDead(JobOf("dead"));
  const WorkerRef worker = Register("w");
  const JobId done = Add(JobOf("done"));
  EXPECT_TRUE(Complete(worker, ClaimOne(worker)));
  EXPECT_EQ(StateOf(Add(After({done}))), JobState::kAvailable);
  EXPECT_EQ(StateOf(Add(After({done}, Policy::kAnyFailed))), JobState::kCancelled);
  EXPECT_EQ(StateOf(Add(After({done, dead}, Policy::kAnyFailed))), JobState::kAvailable);
  EXPECT_EQ(StateOf(Add(After({done, dead}, Policy::kAllFinished))), JobState::kAvailable);
  // Cancelled when it is enqueued, and so is what waits for it in the same batch.
  const std::vector<NewJob> batch = {After({done, dead}), AfterEntries({0})};
  const std::vector<Enqueued> ids = Must(db().Enqueue(batch));
  EXPECT_EQ(StateOf(ids[0].id), JobState::kCancelled);
  EXPECT_NE(Get(ids[0].id).error.find("job " + std::to_string(dead)), std::string::npos) << Get(ids[0].id).error;
  EXPECT_TRUE(Get(ids[0].id).finished_at);
  EXPECT_EQ(StateOf(ids[1].id), JobState::kCancelled);
  EXPECT_NE(Get(ids[1].id).error.find("job " + std::to_string(ids[0].id)), std::string::npos) << Get(ids[1].id).error;
}

TEST_P(Conformance, AWaitingJobThatMayRunBeforeItsTimeIsScheduled) {
  const WorkerRef worker = Register("w");
  const JobId a = Add(JobOf("a"));
  NewJob job = After({a});
  job.delay = kMinute;
  const JobId later = Add(job);
  job.delay = kSecond;
  const JobId soon = Add(job);
  EXPECT_EQ(StateOf(later), JobState::kWaiting);
  const ClaimedJob claimed = ClaimOne(worker);
  Advance(2 * kSecond);
  EXPECT_EQ(StateOf(soon), JobState::kWaiting) << "its time alone does not make it run";
  EXPECT_TRUE(Complete(worker, claimed));
  EXPECT_EQ(StateOf(later), JobState::kScheduled);
  EXPECT_EQ(ClaimIds(worker, 10), std::vector<JobId>{soon});
  Advance(kMinute);
  EXPECT_EQ(ClaimIds(worker, 10), std::vector<JobId>{later});
}

TEST_P(Conformance, AChainRunsLinkByLinkAndIsCancelledAtOnce) {
  constexpr std::size_t kLinks = 100;
  const WorkerRef worker = Register("w");
  std::vector<NewJob> chain(kLinks, JobOf("link"));
  for (std::size_t i = 1; i < kLinks; ++i) chain[i].after_in_batch = {i - 1};
  const std::vector<Enqueued> ids = Must(db().Enqueue(chain));
  for (std::size_t i = 0; i < kLinks / 2; ++i) {
    const std::vector<ClaimedJob> jobs = Claim(worker, 10);
    ASSERT_EQ(IdsOf(jobs), std::vector<JobId>{ids[i].id});
    EXPECT_TRUE(Complete(worker, jobs[0]));
  }
  EXPECT_TRUE(Send(worker, ReportOf(ClaimOne(worker), Verdict::kDead)));
  for (std::size_t i = kLinks / 2 + 1; i < kLinks; ++i) {
    const Job job = Get(ids[i].id);
    ASSERT_EQ(job.state, JobState::kCancelled) << i;
    EXPECT_NE(job.error.find("job " + std::to_string(ids[i - 1].id)), std::string::npos) << job.error;
  }
  EXPECT_EQ(QueueNamed("default").counts[2][static_cast<int>(JobState::kWaiting)], 0);
}

TEST_P(Conformance, OneJobReleasesAThousandAndAThousandReleaseOne) {
  constexpr std::size_t kWide = 1000;
  const WorkerRef worker = Register("w");
  std::vector<NewJob> batch(1, JobOf("first"));
  batch.resize(1 + kWide, AfterEntries({0}));
  batch.push_back(JobOf("last"));
  for (std::size_t i = 1; i <= kWide; ++i) batch.back().after_in_batch.push_back(i);
  const JobId last = Must(db().Enqueue(batch)).back().id;
  EXPECT_TRUE(Complete(worker, ClaimOne(worker)));
  std::size_t done = 0;
  while (done < kWide) {
    std::vector<Report> reports;
    for (const ClaimedJob& job : Claim(worker, 300)) reports.push_back(ReportOf(job, Verdict::kCompleted));
    ASSERT_FALSE(reports.empty());
    EXPECT_EQ(StateOf(last), JobState::kWaiting);
    Must(db().ReportOutcomes(worker, reports));
    done += reports.size();
  }
  EXPECT_EQ(done, kWide);
  EXPECT_EQ(ClaimIds(worker, 10), std::vector<JobId>{last});
}

TEST_P(Conformance, CancellingAJobCancelsWhatWaitsForIt) {
  const WorkerRef worker = Register("w");
  const JobId root = Add(JobOf("root"));
  const JobId middle = Add(After({root}));
  const JobId leaf = Add(After({middle}));
  const JobId cleanup = Add(After({leaf}, Policy::kAnyFailed));
  EXPECT_EQ(Must(db().Cancel(ByIds({middle}))), std::vector<JobId>{middle});
  EXPECT_EQ(StateOf(middle), JobState::kCancelled);
  EXPECT_EQ(Get(middle).error, "") << "somebody's wish needs no reason";
  EXPECT_EQ(StateOf(leaf), JobState::kCancelled);
  EXPECT_NE(Get(leaf).error.find("job " + std::to_string(middle)), std::string::npos);
  EXPECT_EQ(StateOf(cleanup), JobState::kAvailable);
  EXPECT_TRUE(Complete(worker, ClaimOne(worker)));  // the root, which nobody waits for any more
  EXPECT_EQ(StateOf(middle), JobState::kCancelled);
  // A job that runs is asked to stop; what waits for it hears when it has.
  const JobId running = Add(JobOf("running"));
  const JobId waiting = Add(After({running}));
  EXPECT_EQ(ClaimIds(worker, 10), (std::vector<JobId>{cleanup, running}));
  Must(db().Cancel(ByIds({running})));
  EXPECT_EQ(StateOf(waiting), JobState::kWaiting);
  Must(db().StopWorker(worker));
  EXPECT_EQ(StateOf(running), JobState::kCancelled);
  EXPECT_EQ(StateOf(waiting), JobState::kCancelled);
}

TEST_P(Conformance, ADeadDependencyStartedAgainBringsNobodyBack) {
  const WorkerRef worker = Register("w");
  const JobId a = Add(JobOf("a"));
  const JobId b = Add(After({a}));
  EXPECT_TRUE(Send(worker, ReportOf(ClaimOne(worker), Verdict::kDead)));
  EXPECT_EQ(StateOf(b), JobState::kCancelled);
  EXPECT_EQ(Must(db().RetryDead(ByIds({a}))), std::vector<JobId>{a});
  const JobId c = Add(After({a}));
  EXPECT_EQ(StateOf(c), JobState::kWaiting) << "it is not dead any more";
  EXPECT_TRUE(Complete(worker, ClaimOne(worker)));
  EXPECT_EQ(StateOf(b), JobState::kCancelled);
  EXPECT_EQ(StateOf(c), JobState::kAvailable);
}

TEST_P(Conformance, AWaitingJobTakesRoomAndHoldsItsUniqueKey) {
  options.queues.emplace_back().name = "small";
  options.queues.back().capacity = 1;
  const JobId a = Add(JobOf("a"));
  NewJob job = After({a});
  job.queue = "small";
  job.unique_key = "u";
  const JobId waiting = Add(job);
  const NewJob more = JobOf("k", [](NewJob& j) { j.queue = "small"; });
  EXPECT_EQ(db().Enqueue({&more, 1}).error().code, ErrorCode::kQueueFull);
  const Enqueued again = Must(db().Enqueue({&job, 1})).at(0);
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.id, waiting);
  // An entry that turns out a duplicate stands for the job that has its key.
  std::vector<NewJob> batch = {job, AfterEntries({0})};
  const std::vector<Enqueued> ids = Must(db().Enqueue(batch));
  EXPECT_EQ(Get(ids[1].id).after, std::vector<JobId>{waiting});
  Must(db().Cancel(ByIds({waiting})));
  EXPECT_FALSE(Must(db().Enqueue({&job, 1})).at(0).duplicate);
}

TEST_P(Conformance, AWaitingJobOfAPartitionTakesItsTurn) {
  const WorkerRef worker = Register("w");
  const WorkerRef other = Register("o");
  const JobId a = Add(JobOf("a"));
  NewJob job = After({a});
  job.partition_key = "p";
  const JobId waiting = Add(job);
  job.partition_key = "free";
  const JobId alone = Add(job);
  const ClaimedJob first = ClaimOne(worker);
  const JobId holder = Add(JobOf("k", [](NewJob& j) { j.partition_key = "p"; }));
  const ClaimedJob held = ClaimOne(worker);
  EXPECT_EQ(held.id, holder);
  EXPECT_TRUE(Complete(worker, first));
  EXPECT_EQ(ClaimIds(other, 10), std::vector<JobId>{alone}) << "the other one's partition is held";
  EXPECT_TRUE(Complete(worker, held));
  EXPECT_EQ(ClaimIds(other, 10), std::vector<JobId>{waiting});
}

TEST_P(Conformance, AHandlerEmitsAFanAndTheJobThatJoinsIt) {
  const WorkerRef worker = Register("w");
  const JobId parent = Add(JobOf("parent"));
  const ClaimedJob running = ClaimOne(worker);
  // While it runs: after its own end.
  const NewJob next = After({parent}, Policy::kAllSucceeded, "next");
  const JobId next_id = Must(db().EmitNow(worker, running.id, running.attempt, running.token, {&next, 1})).at(0).id;
  EXPECT_EQ(StateOf(next_id), JobState::kWaiting);
  Add(JobOf("other"));
  const ClaimedJob other = ClaimOne(worker);
  std::vector<Report> reports = {ReportOf(other, Verdict::kCompleted), ReportOf(running, Verdict::kCompleted)};
  reports[0].emits = {JobOf("b0"), JobOf("b1")};  // entries are counted within each report
  reports[1].emits = {JobOf("c0"), JobOf("c1"), JobOf("join", [](NewJob& j) { j.after_in_batch = {0, 1}; })};
  EXPECT_EQ(Must(db().ReportOutcomes(worker, reports)), (Accepted{true, true}));
  const std::vector<ClaimedJob> jobs = Claim(worker, 10);
  EXPECT_EQ(Kinds(jobs), (std::vector<std::string>{"next", "b0", "b1", "c0", "c1"}));
  for (const ClaimedJob& job : jobs) {
    if (!job.kind.starts_with("c")) continue;
    EXPECT_TRUE(Complete(worker, job));
  }
  EXPECT_EQ(Kinds(Claim(worker, 10)), std::vector<std::string>{"join"});
}

TEST_P(Conformance, OfSeveralReportsOnlyTheAcceptedEmitJobsThatWait) {
  const WorkerRef worker = Register("w");
  Add(JobOf("lost"));
  Add(JobOf("kept"));
  std::vector<Report> reports;
  for (const ClaimedJob& job : Claim(worker, 2)) reports.push_back(ReportOf(job, Verdict::kCompleted));
  for (Report& report : reports) report.emits = {JobOf("first"), AfterEntries({0})};
  reports[0].token += 1'000'003;
  reports[0].emits[1].after = {987'654'321};  // nobody looks at it
  EXPECT_EQ(Must(db().ReportOutcomes(worker, reports)), (Accepted{false, true}));
  EXPECT_EQ(Kinds(Claim(worker, 10)), std::vector<std::string>{"first"});
  EXPECT_EQ(AllJobs().back().state, JobState::kWaiting);
}

TEST_P(Conformance, AnEmitThatWaitsForNothingThereRefusesTheReport) {
  const WorkerRef worker = Register("w");
  const JobId a = Add(JobOf("a"));
  Report report = ReportOf(ClaimOne(worker), Verdict::kCompleted);
  report.emits = {After({987'654'321})};
  EXPECT_EQ(db().ReportOutcomes(worker, {&report, 1}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(StateOf(a), JobState::kRunning);
  EXPECT_EQ(AllJobs().size(), 1u);
}

TEST_P(Conformance, AWaitingJobKeepsItsRunOpen) {
  const WorkerRef worker = Register("w");
  RunSpec spec;
  spec.pipeline = "p";
  spec.identity = "id";
  spec.discovery = JobOf("discover");
  spec.finals = {JobOf("final")};
  const RunId run = Must(db().StartRun(spec)).id;
  const JobId outside = Add(JobOf("outside", [](NewJob& j) { j.queue = "elsewhere"; }));
  Report report = ReportOf(ClaimOne(worker, {"default"}), Verdict::kCompleted);
  report.discovery_done = true;
  report.emits = {After({outside})};
  EXPECT_TRUE(Send(worker, report));
  EXPECT_EQ(Run(run).open, 1);
  EXPECT_EQ(Run(run).counts[static_cast<int>(JobState::kWaiting)], 1);
  EXPECT_TRUE(Claim(worker, 10, {"default"}).empty());
  // A job of no run dies, one of the run is cancelled for it, and that was the last the run had open.
  EXPECT_TRUE(Send(worker, ReportOf(ClaimOne(worker), Verdict::kDead)));
  EXPECT_EQ(Run(run).counts[static_cast<int>(JobState::kCancelled)], 1);
  EXPECT_EQ(Kinds(Claim(worker, 10)), std::vector<std::string>{"final"});
}

TEST_P(Conformance, ARescueTellsWhatWaits) {
  const WorkerRef worker = Register("w");
  const JobId poison = Add(JobOf("poison", [](NewJob& j) { j.max_crashes = 1; }));
  const JobId waiting = Add(After({poison}));
  const JobId cleanup = Add(After({poison}, Policy::kAnyFailed));
  for (int crash = 0; crash < 2; ++crash) {
    EXPECT_EQ(StateOf(waiting), JobState::kWaiting);
    const WorkerRef next = Register("w" + std::to_string(crash));
    EXPECT_EQ(ClaimIds(next, 1), std::vector<JobId>{poison});
    Advance(kStale + kSecond);
    Must(db().Rescue(kStale, kSecond));
  }
  EXPECT_EQ(StateOf(poison), JobState::kDead);
  EXPECT_EQ(StateOf(waiting), JobState::kCancelled);
  EXPECT_EQ(StateOf(cleanup), JobState::kAvailable);
}

TEST_P(Conformance, ARollbackLeavesWaitingJobsAsTheyWere) {
  if (db().Name() == "memory") GTEST_SKIP() << "the memory storage has the same code for both";
  const WorkerRef worker = Register("w");
  const JobId a = Add(JobOf("a"));
  const JobId b = Add(After({a}));
  const ClaimedJob running = ClaimOne(worker);
  const Report report = ReportOf(running, Verdict::kCompleted);
  const auto body = [&](bool commit) {
    return [&, commit](Transaction& tx) -> Result<void> {
      const NewJob job = After({a});
      if (auto added = tx.enqueue({&job, 1}); !added) return fail(added.error());
      if (auto accepted = tx.ReportIn(worker, {&report, 1}); !accepted) return fail(accepted.error());
      if (!commit) return fail(ErrorCode::kConflict, "rolled back");
      return {};
    };
  };
  EXPECT_FALSE(db().Transact(body(false)));
  EXPECT_EQ(StateOf(b), JobState::kWaiting);
  EXPECT_EQ(Get(b).after, std::vector<JobId>{a});
  EXPECT_EQ(AllJobs().size(), 2u);
  Must(db().Transact(body(true)));
  EXPECT_EQ(StateOf(b), JobState::kAvailable);
  EXPECT_EQ(AllJobs().back().state, JobState::kAvailable);
}

TEST_P(Conformance, WaitingJobsOutliveTheProcess) {
  const JobId a = Add(JobOf("a"));
  const JobId b = Add(After({a}));
  if (!Reopen()) GTEST_SKIP() << "this driver cannot be reopened";
  const WorkerRef worker = Register("w");
  EXPECT_EQ(Get(b).after, std::vector<JobId>{a});
  EXPECT_TRUE(Complete(worker, ClaimOne(worker)));
  EXPECT_EQ(ClaimIds(worker, 10), std::vector<JobId>{b});
}

// Dependencies finish on several workers at once, while producers name jobs that are just being finished.
TEST_P(Conformance, NoReleaseIsLostWhenAllHappensAtOnce) {
  constexpr int kWorkers = 3;
  constexpr int kBatches = 60;
  std::vector<NewJob> roots(50, JobOf("root"));
  std::vector<JobId> known;
  for (const Enqueued& one : Must(db().Enqueue(roots))) known.push_back(one.id);
  std::atomic<bool> producing = true;
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  const auto produce = [&] {
    std::mt19937_64 random(seed);
    for (int batch = 0; batch < kBatches; ++batch) {
      std::vector<NewJob> jobs;
      for (std::size_t i = 0; i < 8; ++i) {
        NewJob job = After({}, static_cast<Policy>(random() % kDependencyPolicyCount));
        const std::size_t near = std::min<std::size_t>(known.size(), 30);
        for (std::size_t n = 1 + random() % 3; n > 0; --n)
          job.after.push_back(known[known.size() - 1 - random() % near]);
        if (i > 0) job.after_in_batch = {random() % i};
        jobs.push_back(job);
      }
      for (const Enqueued& one : Must(db().Enqueue(jobs))) known.push_back(one.id);
    }
    producing = false;
  };
  const auto work = [&](int number) {
    std::mt19937_64 random(seed + static_cast<std::uint64_t>(number) + 1);
    const WorkerRef worker = Register("w" + std::to_string(number));
    while (true) {
      const bool last = !producing;
      const std::vector<ClaimedJob> jobs = Claim(worker, 5);
      std::vector<Report> reports;
      reports.reserve(jobs.size());
      for (const ClaimedJob& job : jobs)
        reports.push_back(ReportOf(job, random() % 10 == 0 ? Verdict::kDead : Verdict::kCompleted));
      if (!reports.empty()) Must(db().ReportOutcomes(worker, reports));
      const auto is_open = [](const QueueRow& queue) {
        std::int64_t open = 0;
        for (const auto& lane : queue.counts) open += lane[2] + lane[3];
        return open > 0;
      };
      if (last && jobs.empty() && !is_open(QueueNamed("default"))) return;
    }
  };
  std::vector<std::future<void>> threads;
  threads.push_back(std::async(std::launch::async, produce));
  for (int i = 0; i < kWorkers; ++i) threads.push_back(std::async(std::launch::async, work, i));
  for (auto& thread : threads) thread.get();
  std::map<JobState, int> states;
  for (const Job& job : AllJobs()) ++states[job.state];
  EXPECT_EQ(states[JobState::kWaiting], 0) << "a release was lost";
  EXPECT_EQ(states[JobState::kAvailable] + states[JobState::kRunning], 0);
  EXPECT_GT(states[JobState::kCompleted], 0);
}

}  // namespace millrace::storage
