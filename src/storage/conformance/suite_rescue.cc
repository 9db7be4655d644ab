// Workers that vanish, attempts that never end, and worker rows.
#include <algorithm>

#include "storage/conformance/suite.h"

namespace millrace::storage {

void LinkRescueSuite() {}

TEST_P(Conformance, ASilentWorkersJobsComeBackWithACrashEach) {
  const WorkerRef worker = Register("w");
  AddMany(3, JobOf("k"));
  const std::vector<ClaimedJob> jobs = Claim(worker, 2);
  const Time claimed = Now();
  Advance(kStale);
  EXPECT_TRUE(Must(db().Rescue(kStale, kMinute)).empty()) << "not longer than the threshold yet";
  Advance(kMicro);
  std::vector<Rescued> rescued = Must(db().Rescue(kStale, kMinute));
  ASSERT_EQ(rescued.size(), 2u);
  for (const Rescued& one : rescued) {
    EXPECT_EQ(one.worker, "w");
    EXPECT_EQ(one.state, JobState::kAvailable);
    EXPECT_FALSE(one.expired);
  }
  for (const ClaimedJob& job : jobs) {
    EXPECT_EQ(StateOf(job.id), JobState::kAvailable);
    EXPECT_EQ(Get(job.id).crashes, 1);
    EXPECT_EQ(Get(job.id).attempt, 0) << "a crash is not an attempt";
    const std::vector<Attempt> attempts = AttemptsOf(job.id);
    ASSERT_EQ(attempts.size(), 1u);
    EXPECT_EQ(attempts[0].outcome, "crashed");
    EXPECT_EQ(attempts[0].worker, "w");
    EXPECT_EQ(attempts[0].started_at, claimed);
    EXPECT_EQ(attempts[0].finished_at, Now());
  }
  EXPECT_TRUE(Must(db().Rescue(kStale, kMinute)).empty()) << "once";
}

TEST_P(Conformance, AHeartbeatKeepsAWorkersJobs) {
  const WorkerRef worker = Register("w");
  Add(JobOf("k", [](NewJob& j) { j.timeout = 10 * kHour; }));
  const ClaimedJob job = ClaimOne(worker);
  for (int i = 0; i < 10; ++i) {
    Advance(kStale);
    EXPECT_FALSE(Must(db().Heartbeat(worker, WorkerState::kActive, {})).superseded);
    EXPECT_TRUE(Must(db().Rescue(kStale, kMinute)).empty());
  }
  EXPECT_TRUE(Complete(worker, job));
}

TEST_P(Conformance, APoisonJobIsDeadAfterMaxCrashes) {
  options.max_crashes = 3;
  const JobId id = Add(JobOf("k"));
  for (int crash = 1; crash <= 4; ++crash) {
    const WorkerRef worker = Register("w" + std::to_string(crash));
    const ClaimedJob job = ClaimOne(worker);
    EXPECT_EQ(job.crashes, crash - 1);
    EXPECT_EQ(job.attempt, 1);
    Advance(kStale + kMicro);
    const std::vector<Rescued> rescued = Must(db().Rescue(kStale, kMinute));
    ASSERT_EQ(rescued.size(), 1u);
    EXPECT_EQ(rescued[0].state, crash <= 3 ? JobState::kAvailable : JobState::kDead);
    EXPECT_EQ(StateOf(id), rescued[0].state);
    EXPECT_EQ(Get(id).crashes, crash);
  }
  EXPECT_EQ(Get(id).error, "worker lost");
  EXPECT_EQ(AttemptsOf(id).size(), 4u);
}

TEST_P(Conformance, AJobMaySetItsOwnMaxCrashes) {
  options.max_crashes = 5;
  const JobId id = Add(JobOf("k", [](NewJob& j) { j.max_crashes = 1; }));
  for (int crash = 1; crash <= 2; ++crash) {
    Claim(Register("w" + std::to_string(crash)), 1);
    Advance(kStale + kMicro);
    Must(db().Rescue(kStale, kMinute));
    EXPECT_EQ(StateOf(id), crash == 1 ? JobState::kAvailable : JobState::kDead);
  }
}

TEST_P(Conformance, CrashesAndAttemptsAreCountedApart) {
  const JobId id = Add(JobOf("k"));
  WorkerRef worker = Register("w");
  EXPECT_TRUE(Send(worker, ReportOf(ClaimOne(worker), Verdict::kRetry, Duration(0), "failed")));
  EXPECT_EQ(ClaimOne(worker).attempt, 2);
  Advance(kStale + kMicro);
  Must(db().Rescue(kStale, kMinute));
  EXPECT_EQ(Get(id).attempt, 1);
  EXPECT_EQ(Get(id).crashes, 1);
  const ClaimedJob job = ClaimOne(Register("next"));
  EXPECT_EQ(job.attempt, 2);
  EXPECT_EQ(job.crashes, 1);
}

TEST_P(Conformance, AnExpiredAttemptIsATimeoutAndIsRetried) {
  const WorkerRef worker = Register("w");
  const JobId id = Add(JobOf("k", [](NewJob& j) { j.timeout = kSecond; }));
  ClaimOne(worker);
  const Duration grace = 2 * kSecond;
  Advance(3 * kSecond - kMicro);
  EXPECT_TRUE(Must(db().Rescue(kHour, grace)).empty());
  Advance(2 * kMicro);
  const std::vector<Rescued> rescued = Must(db().Rescue(kHour, grace));
  ASSERT_EQ(rescued.size(), 1u);
  EXPECT_TRUE(rescued[0].expired);
  EXPECT_EQ(rescued[0].id, id);
  EXPECT_EQ(rescued[0].worker, "w");
  EXPECT_EQ(rescued[0].state, JobState::kRetryable);
  const Job job = Get(id);
  EXPECT_EQ(job.state, JobState::kRetryable);
  EXPECT_EQ(job.attempt, 1) << "it counts";
  EXPECT_EQ(job.crashes, 0);
  EXPECT_EQ(job.error, "timeout");
  EXPECT_EQ(job.run_at, Now() + kSecond) << "the default policy's first delay, without jitter";
  const std::vector<Attempt> attempts = AttemptsOf(id);
  ASSERT_EQ(attempts.size(), 1u);
  EXPECT_EQ(attempts[0].outcome, "timeout");
  Advance(kSecond);
  EXPECT_EQ(ClaimOne(worker).attempt, 2);
}

TEST_P(Conformance, TimeoutsUseUpAttempts) {
  const WorkerRef worker = Register("w");
  const JobId id = Add(JobOf("k", [](NewJob& j) {
    j.timeout = kSecond;
    j.max_attempts = 2;
  }));
  for (int attempt = 1; attempt <= 2; ++attempt) {
    EXPECT_EQ(ClaimOne(worker).attempt, attempt);
    Advance(kMinute);
    Must(db().Rescue(kHour, kSecond));
    EXPECT_EQ(StateOf(id), attempt == 1 ? JobState::kRetryable : JobState::kDead);
    Advance(kMinute);
  }
  EXPECT_EQ(Get(id).error, "timeout");
}

TEST_P(Conformance, ABulkJobHasOneAttempt) {
  const WorkerRef worker = Register("w");
  const JobId id = Add(JobOf("k", [](NewJob& j) {
    j.timeout = kSecond;
    j.priority = Priority::kBulk;
  }));
  ClaimOne(worker);
  Advance(kMinute);
  Must(db().Rescue(kHour, kSecond));
  EXPECT_EQ(StateOf(id), JobState::kDead);
}

TEST_P(Conformance, TheOptionsAttemptsByPriorityDecideOverTimeouts) {
  options.max_attempts = 1;
  options.max_attempts_by_priority[static_cast<std::size_t>(Priority::kHigh)] = 2;
  const WorkerRef worker = Register("w");
  const JobId high = Add(JobOf("k", [](NewJob& j) { j.priority = Priority::kHigh; }));
  const JobId low = Add(JobOf("k", [](NewJob& j) { j.priority = Priority::kLow; }));
  EXPECT_EQ(Claim(worker, 2).size(), 2u);
  Advance(kHour);
  Must(db().Rescue(10 * kHour, kSecond));
  EXPECT_EQ(StateOf(high), JobState::kRetryable);
  EXPECT_EQ(StateOf(low), JobState::kDead);
}

TEST_P(Conformance, AQueuesRetryPolicyDecidesOverTimeouts) {
  QueueOptions queue;
  queue.name = "q";
  queue.retry = RetryPolicy{2, kHour, 1.0, kHour, 0.0};
  options.queues = {queue};
  const WorkerRef worker = Register("w");
  const JobId id = Add(JobOf("k", [](NewJob& j) {
    j.timeout = kSecond;
    j.queue = "q";
  }));
  ClaimOne(worker);
  Advance(kMinute);
  Must(db().Rescue(10 * kHour, kSecond));
  EXPECT_EQ(Get(id).run_at, Now() + kHour);
  Advance(kHour);
  ClaimOne(worker);
  Advance(kMinute);
  Must(db().Rescue(10 * kHour, kSecond));
  EXPECT_EQ(StateOf(id), JobState::kDead);
}

TEST_P(Conformance, TheOptionsTimeoutHoldsForJobsThatSayNone) {
  options.claim_timeout = kMinute;
  const WorkerRef worker = Register("w");
  const JobId id = Add(JobOf("k"));
  ClaimOne(worker);
  Advance(kMinute);
  EXPECT_TRUE(Must(db().Rescue(kHour, kSecond)).empty());
  Advance(kSecond + kMicro);
  EXPECT_EQ(Must(db().Rescue(kHour, kSecond)).size(), 1u);
  EXPECT_EQ(StateOf(id), JobState::kRetryable);
}

TEST_P(Conformance, AKindsTimeoutHoldsForJobsThatSayNone) {
  options.claim_timeout = kHour;
  WorkerInfo info;
  info.id = "w";
  info.timeouts = {{"quick", kSecond}};
  const WorkerRef worker = Must(db().RegisterWorker(info));
  const JobId quick = Add(JobOf("quick"));
  const JobId own = Add(JobOf("quick", [](NewJob& j) { j.timeout = kMinute; }));
  const JobId slow = Add(JobOf("slow"));
  EXPECT_EQ(Claim(worker, 3).size(), 3u);
  Advance(kSecond + kMicro);
  Must(db().Rescue(kHour, Duration(0)));
  EXPECT_EQ(StateOf(quick), JobState::kRetryable);
  EXPECT_EQ(StateOf(own), JobState::kRunning);
  EXPECT_EQ(StateOf(slow), JobState::kRunning);
  Advance(kMinute);
  Must(db().Rescue(kHour, Duration(0)));
  EXPECT_EQ(StateOf(own), JobState::kRetryable);
  EXPECT_EQ(StateOf(slow), JobState::kRunning);
}

TEST_P(Conformance, WorkersAreListed) {
  WorkerInfo info;
  info.id = "w";
  info.type = "documents";
  info.host = "node-1";
  info.pid = 77;
  info.slots = 4;
  info.kinds = {"a", "b"};
  const WorkerRef worker = Must(db().RegisterWorker(info));
  Add(JobOf("k"));
  Claim(worker, 1);
  const Time start = Now();
  Advance(kSecond);
  Must(db().Heartbeat(worker, WorkerState::kDraining, {}));
  const std::vector<WorkerRow> rows = Must(db().Workers());
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].info.id, "w");
  EXPECT_EQ(rows[0].info.type, "documents");
  EXPECT_EQ(rows[0].info.host, "node-1");
  EXPECT_EQ(rows[0].info.pid, 77);
  EXPECT_EQ(rows[0].info.slots, 4);
  EXPECT_EQ(rows[0].incarnation, worker.incarnation);
  EXPECT_EQ(rows[0].state, WorkerState::kDraining);
  EXPECT_EQ(rows[0].started_at, start);
  EXPECT_EQ(rows[0].last_heartbeat, start + kSecond);
  EXPECT_EQ(rows[0].running, 1);
}

TEST_P(Conformance, WorkerStatesFollowTheirLife) {
  const auto state = [&](const std::string& id) {
    for (const WorkerRow& row : Must(db().Workers())) {
      if (row.info.id == id) return row.state;
    }
    throw std::runtime_error("no worker " + id);
  };
  const WorkerRef quiet = Register("quiet");
  const WorkerRef stopped = Register("stopped");
  const WorkerRef alive = Register("alive");
  EXPECT_EQ(state("quiet"), WorkerState::kActive);
  Must(db().StopWorker(stopped));
  EXPECT_EQ(state("stopped"), WorkerState::kStopped);
  Advance(kStale + kMicro);
  Must(db().Heartbeat(alive, WorkerState::kActive, {}));
  Must(db().Rescue(kStale, kMinute));
  EXPECT_EQ(state("quiet"), WorkerState::kLost);
  EXPECT_EQ(state("stopped"), WorkerState::kStopped);
  EXPECT_EQ(state("alive"), WorkerState::kActive);
  EXPECT_GT(Register("stopped").incarnation, stopped.incarnation);
  EXPECT_EQ(state("stopped"), WorkerState::kActive);
}

TEST_P(Conformance, KnownKindsAreRememberedFromAllWorkers) {
  const auto with_kinds = [&](const std::string& id, std::vector<std::string> kinds) {
    WorkerInfo info;
    info.id = id;
    info.kinds = std::move(kinds);
    return Must(db().RegisterWorker(info));
  };
  EXPECT_TRUE(Must(db().KnownKinds()).empty());
  const WorkerRef first = with_kinds("one", {"a", "b"});
  with_kinds("two", {"b", "c"});
  Must(db().StopWorker(first));
  with_kinds("one", {"d"});
  EXPECT_EQ(Must(db().KnownKinds()), (std::set<std::string>{"a", "b", "c", "d"}));
}

TEST_P(Conformance, StoppingReleasesWhatIsHeldWithoutAnAttempt) {
  const WorkerRef worker = Register("w");
  const std::vector<JobId> ids = AddMany(3, JobOf("k"));
  Claim(worker, 2);
  Must(db().StopWorker(worker));
  for (const JobId id : ids) {
    EXPECT_EQ(StateOf(id), JobState::kAvailable);
    EXPECT_EQ(Get(id).attempt, 0);
    EXPECT_EQ(Get(id).crashes, 0);
    EXPECT_TRUE(AttemptsOf(id).empty());
  }
}

}  // namespace millrace::storage
