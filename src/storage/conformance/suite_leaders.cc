// Leadership: one worker an epoch, renewed, resigned, taken over; and what a leader that leads no more may still write.
#include <atomic>
#include <future>
#include <latch>
#include <mutex>

#include "storage/conformance/suite.h"

namespace millrace::storage {

void LinkLeadersSuite() {}

namespace {

const Campaign kScope{"scope", kMinute};

// Why a Result failed; kInternal, which no test here expects, when it did not.
template <class T>
ErrorCode CodeOf(const Result<T>& result) {
  return result ? ErrorCode::kInternal : result.error().code;
}

}  // namespace

TEST_P(Conformance, TheFirstToAskLeadsAndOthersAreToldWho) {
  const WorkerRef first = Register("first");
  const WorkerRef second = Register("second");
  const Leadership led = Must(db().Lead(first, kScope));
  EXPECT_TRUE(led.leads);
  EXPECT_EQ(led.scope, "scope");
  EXPECT_EQ(led.holder, "first");
  EXPECT_EQ(led.incarnation, first.incarnation);
  EXPECT_GT(led.epoch, 0);
  EXPECT_EQ(led.left, kMinute);
  Advance(kSecond);
  const Leadership seen = Must(db().Lead(second, kScope));
  EXPECT_FALSE(seen.leads);
  EXPECT_EQ(seen.holder, "first");
  EXPECT_EQ(seen.incarnation, first.incarnation);
  EXPECT_EQ(seen.epoch, led.epoch);
  EXPECT_EQ(seen.left, kMinute - kSecond);
  const Leadership other = Must(db().Lead(second, {"another scope", kMinute}));
  EXPECT_TRUE(other.leads);
  const std::vector<Leadership> leaders = Must(db().Leaders());
  ASSERT_EQ(leaders.size(), 2u);
  EXPECT_EQ(leaders[0].scope, "another scope");
  EXPECT_EQ(leaders[0].holder, "second");
  EXPECT_EQ(leaders[1].scope, "scope");
  EXPECT_EQ(leaders[1].holder, "first");
  EXPECT_EQ(leaders[1].epoch, led.epoch);
  EXPECT_EQ(leaders[1].left, kMinute - kSecond);
}

TEST_P(Conformance, ARenewedLeadershipKeepsItsEpoch) {
  const WorkerRef first = Register("first");
  const WorkerRef second = Register("second");
  const std::int64_t epoch = Must(db().Lead(first, kScope)).epoch;
  for (int i = 0; i < 5; ++i) {
    Advance(kMinute - kMicro);
    EXPECT_FALSE(Must(db().Lead(second, kScope)).leads);
    const Leadership renewed = Must(db().Lead(first, kScope));
    EXPECT_TRUE(renewed.leads);
    EXPECT_EQ(renewed.epoch, epoch);
    EXPECT_EQ(renewed.left, kMinute);
  }
}

TEST_P(Conformance, ASilentLeaderLosesTheLeadershipWhenItsTimeIsUp) {
  const WorkerRef first = Register("first");
  const WorkerRef second = Register("second");
  const std::int64_t epoch = Must(db().Lead(first, kScope)).epoch;
  Advance(kMinute - kMicro);
  EXPECT_FALSE(Must(db().Lead(second, kScope)).leads);
  Advance(kMicro);
  EXPECT_TRUE(Must(db().Leaders()).empty());
  const Leadership taken = Must(db().Lead(second, kScope));
  EXPECT_TRUE(taken.leads);
  EXPECT_EQ(taken.epoch, epoch + 1);
  EXPECT_FALSE(Must(db().Lead(first, kScope)).leads);
  Advance(kMinute);
  EXPECT_EQ(Must(db().Lead(second, kScope)).epoch, epoch + 2) << "it was nobody's for a while";
}

TEST_P(Conformance, AHeartbeatCampaigns) {
  const WorkerRef first = Register("first");
  const WorkerRef second = Register("second");
  const auto beat = [&](const WorkerRef& worker, const Campaign& campaign) {
    return Must(db().Heartbeat(worker, WorkerState::kActive, {}, campaign));
  };
  EXPECT_FALSE(beat(first, {}).leadership) << "nobody asked";
  const HeartbeatReply led = beat(first, kScope);
  ASSERT_TRUE(led.leadership);
  EXPECT_TRUE(led.leadership->leads);
  const HeartbeatReply seen = beat(second, kScope);
  ASSERT_TRUE(seen.leadership);
  EXPECT_FALSE(seen.leadership->leads);
  EXPECT_EQ(seen.leadership->holder, "first");
  Advance(kMinute - kMicro);
  EXPECT_EQ(beat(first, kScope).leadership->epoch, led.leadership->epoch);
  Advance(kMinute);
  EXPECT_TRUE(beat(second, kScope).leadership->leads);
  Register("second");
  const HeartbeatReply late = beat(second, kScope);
  EXPECT_TRUE(late.superseded);
  EXPECT_FALSE(late.leadership);
}

TEST_P(Conformance, WhoResignsStopsOrIsSupersededLeadsNoMore) {
  const WorkerRef next = Register("next");
  const auto leads_no_more = [&](const WorkerRef& old, const Leadership& led, const std::string& how) {
    EXPECT_TRUE(Must(db().Leaders()).empty()) << how;
    EXPECT_EQ(CodeOf(db().Rescue(kHour, kHour, led)), ErrorCode::kLeaseLost) << how;
    const Leadership taken = Must(db().Lead(next, kScope));
    EXPECT_TRUE(taken.leads) << how;
    EXPECT_EQ(taken.epoch, led.epoch + 1) << how;
    Must(db().Resign(old, "scope"));
    EXPECT_EQ(Must(db().Leaders()).size(), 1u) << "one cannot resign for another";
    Must(db().Resign(next, "scope"));
  };
  WorkerRef worker = Register("w");
  Leadership led = Must(db().Lead(worker, kScope));
  Must(db().Resign(worker, "another"));
  EXPECT_TRUE(Must(db().Lead(worker, kScope)).leads);
  Must(db().Resign(worker, "scope"));
  leads_no_more(worker, led, "resigned");
  led = Must(db().Lead(worker, kScope));
  Must(db().StopWorker(worker));
  EXPECT_EQ(CodeOf(db().Lead(worker, kScope)), ErrorCode::kLeaseLost);
  leads_no_more(worker, led, "stopped");
  worker = Register("w");
  led = Must(db().Lead(worker, kScope));
  Register("w");
  EXPECT_EQ(CodeOf(db().Lead(worker, kScope)), ErrorCode::kLeaseLost);
  leads_no_more(worker, led, "superseded");
  EXPECT_EQ(CodeOf(db().Lead({"nobody", 4711}, kScope)), ErrorCode::kLeaseLost);
}

TEST_P(Conformance, ALeadershipNeedsAScopeAndATime) {
  const WorkerRef worker = Register("w");
  EXPECT_EQ(CodeOf(db().Lead(worker, {"", kMinute})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(db().Lead(worker, {"scope", Duration(0)})), ErrorCode::kInvalidArgument);
}

// The work a leader's maintenance would find: a job of a silent worker, and one that finished long ago.
TEST_P(Conformance, ADeposedLeadersMaintenanceIsRefused) {
  const WorkerRef old = Register("old");
  const WorkerRef next = Register("next");
  const WorkerRef silent = Register("silent");
  Add(JobOf("k"));
  EXPECT_TRUE(Complete(silent, ClaimOne(silent)));
  const JobId held = Add(JobOf("k"));
  ClaimOne(silent);
  const Leadership led = Must(db().Lead(old, kScope));
  EXPECT_TRUE(Must(db().Rescue(kHour, kHour, led)).empty()) << "it leads, and there is nothing to do";
  Advance(kMinute);
  const Time late = Now();
  const auto refused = [&](const Leadership& as, const std::string& why) {
    EXPECT_EQ(CodeOf(db().Rescue(kStale, kHour, as)), ErrorCode::kLeaseLost) << why;
    EXPECT_EQ(CodeOf(db().DeleteFinished(late, 100, as)), ErrorCode::kLeaseLost) << why;
    EXPECT_EQ(StateOf(held), JobState::kRunning) << why;
    EXPECT_EQ(AllJobs().size(), 2u) << why;
  };
  refused(led, "its time is up, though nobody has taken over");
  const Leadership taken = Must(db().Lead(next, kScope));
  refused(led, "another leads");
  Leadership forged = taken;
  forged.epoch = led.epoch;
  refused(forged, "of another epoch");
  forged = taken;
  forged.holder = "old";
  forged.incarnation = old.incarnation;
  refused(forged, "of another worker");
  forged = taken;
  forged.scope = "another";
  refused(forged, "of another scope");
  EXPECT_EQ(Must(db().DeleteFinished(late, 100, taken)), 1);
  EXPECT_EQ(Must(db().Rescue(kStale, kHour, taken)).size(), 1u);
  EXPECT_EQ(StateOf(held), JobState::kAvailable);
}

TEST_P(Conformance, EpochsGoOnAfterARestart) {
  const std::int64_t epoch = Must(db().Lead(Register("w"), kScope)).epoch;
  if (!Reopen()) GTEST_SKIP() << "this driver cannot be reopened";
  Advance(kMinute);
  EXPECT_GT(Must(db().Lead(Register("next"), kScope)).epoch, epoch);
}

// Many ask at once, over and over, while the leadership is resigned and runs out: nobody but its one leader may lead in
// an epoch, whatever the order.
TEST_P(Conformance, ConcurrentCandidatesGiveEachEpochOneLeader) {
  constexpr int kCandidates = 6;
  constexpr int kRounds = 40;
  std::vector<WorkerRef> workers;
  workers.reserve(kCandidates);
  for (int i = 0; i < kCandidates; ++i) workers.push_back(Register("w" + std::to_string(i)));
  std::mutex mutex;
  std::map<std::int64_t, std::set<std::string>> leaders;  // by epoch
  std::int64_t last_epoch = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::latch start(kCandidates);
    std::atomic<int> leading = 0;
    const auto campaign = [&](const WorkerRef& worker) {
      start.arrive_and_wait();
      for (int i = 0; i < 3; ++i) {
        const Leadership answer = Must(db().Lead(worker, kScope));
        if (!answer.leads) continue;
        leading += i == 2 ? 1 : 0;
        const std::lock_guard lock(mutex);
        leaders[answer.epoch].insert(worker.id);
      }
    };
    std::vector<std::future<void>> threads;
    threads.reserve(kCandidates);
    for (const WorkerRef& worker : workers) threads.push_back(std::async(std::launch::async, campaign, worker));
    for (std::future<void>& thread : threads) thread.get();
    EXPECT_EQ(leading, 1) << "one of all has it after each round";
    const std::vector<Leadership> rows = Must(db().Leaders());
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_GT(rows[0].epoch, last_epoch);
    last_epoch = rows[0].epoch;
    if (round % 2 == 0) {
      Advance(kMinute);
    } else {
      Must(db().Resign({rows[0].holder, rows[0].incarnation}, "scope"));
    }
  }
  EXPECT_EQ(leaders.size(), static_cast<std::size_t>(kRounds));
  for (const auto& [epoch, ids] : leaders) EXPECT_EQ(ids.size(), 1u) << "epoch " << epoch;
}

// ---- A run's leader: the worker that has the lease of its stage

TEST_P(Conformance, ARunsLeaderIsTheWorkerAtItsStage) {
  RunSpec spec;
  spec.pipeline = "documents";
  spec.identity = "id";
  spec.discovery = JobOf("discover", [](NewJob& j) { j.max_crashes = 100; });
  spec.finals = {JobOf("final", [](NewJob& j) { j.max_crashes = 100; })};
  const RunId id = Must(db().StartRun(spec)).id;
  const auto expect_nobody = [&](const std::string& when) {
    EXPECT_EQ(Run(id).leader, "") << when;
    EXPECT_EQ(Run(id).epoch, 0) << when;
  };
  expect_nobody("nothing is claimed");
  // A stage is claimed; its worker dies, and another takes its place.
  std::int64_t epoch = 0;
  const auto hand_over = [&](const std::string& kind) {
    const WorkerRef dying = Register("dying");
    const ClaimedJob lost = ClaimOne(dying);
    EXPECT_EQ(lost.kind, kind);
    EXPECT_EQ(Run(id).stage_job, lost.id);
    EXPECT_EQ(Run(id).leader, "dying");
    EXPECT_EQ(Run(id).epoch, lost.token);
    Advance(kStale + kMicro);
    Must(db().Rescue(kStale, kHour));
    expect_nobody("rescued");
    const WorkerRef next = Register("next");
    const ClaimedJob job = ClaimOne(next);
    EXPECT_EQ(job.id, lost.id);
    EXPECT_EQ(Run(id).leader, "next");
    EXPECT_EQ(Run(id).epoch, job.token);
    EXPECT_NE(job.token, lost.token);
    epoch = job.token;
    ExpectRefused(dying, lost, "its leadership is over");
    EXPECT_EQ(Run(id).epoch, epoch);
    return std::pair(next, job);
  };
  const auto [leader, discovery] = hand_over("discover");
  Report report = ReportOf(discovery, Verdict::kCompleted);
  report.discovery_done = true;
  report.emits = {JobOf("child")};
  EXPECT_TRUE(Send(leader, report));
  const WorkerRef other = Register("other");
  const ClaimedJob child = ClaimOne(other);
  expect_nobody("between the stages");
  EXPECT_TRUE(Complete(other, child));
  const auto [last, final] = hand_over("final");
  EXPECT_TRUE(Complete(last, final));
  expect_nobody("over");
  EXPECT_EQ(Run(id).state, RunState::kCompleted);
}

TEST_P(Conformance, AStageThatIsAnotherRunsJobHasNoLeaderHere) {
  const WorkerRef worker = Register("w");
  RunSpec spec;
  spec.pipeline = "documents";
  spec.identity = "one";
  spec.discovery = JobOf("discover", [](NewJob& j) { j.unique_key = "the same"; });
  const RunId one = Must(db().StartRun(spec)).id;
  spec.identity = "two";
  const RunId two = Must(db().StartRun(spec)).id;
  ClaimOne(worker);
  EXPECT_EQ(Run(one).leader, "w");
  EXPECT_EQ(Run(two).leader, "");
  EXPECT_EQ(Run(two).stage_job, 0);
}

}  // namespace millrace::storage
