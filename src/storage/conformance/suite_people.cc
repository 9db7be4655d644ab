// What people ask for: cancel, retry, purge, look.
#include <algorithm>

#include "storage/conformance/suite.h"

namespace millrace::storage {

void LinkPeopleSuite() {}

TEST_P(Conformance, CancelEndsEveryJobThatIsNotRunning) {
  const WorkerRef worker = Register("w");
  const JobId retryable = Add(JobOf("k"));
  EXPECT_TRUE(Send(worker, ReportOf(ClaimOne(worker), Verdict::kRetry, kHour, "later")));
  const JobId scheduled = Add(JobOf("k", [](NewJob& j) { j.delay = kHour; }));
  const JobId available = Add(JobOf("k"));
  Advance(kSecond);
  const std::vector<JobId> ids = {retryable, scheduled, available};
  EXPECT_EQ(Must(db().Cancel(ByIds(ids))), ids);
  for (const JobId id : ids) {
    EXPECT_EQ(StateOf(id), JobState::kCancelled);
    EXPECT_EQ(Get(id).finished_at, Now());
  }
  Advance(2 * kHour);
  EXPECT_TRUE(Claim(worker, 10).empty());
}

TEST_P(Conformance, CancelOfARunningJobGoesThroughTheHeartbeat) {
  const WorkerRef worker = Register("w");
  const WorkerRef other = Register("other");
  AddMany(2, JobOf("k"));
  const ClaimedJob job = ClaimOne(worker);
  ClaimOne(other);
  EXPECT_TRUE(Must(db().Heartbeat(worker, WorkerState::kActive, {})).cancelled.empty());
  EXPECT_EQ(Must(db().Cancel(ByIds({job.id}))), std::vector<JobId>{job.id});
  EXPECT_EQ(StateOf(job.id), JobState::kRunning);
  EXPECT_TRUE(Get(job.id).cancel_requested);
  EXPECT_TRUE(Must(db().Heartbeat(other, WorkerState::kActive, {})).cancelled.empty());
  EXPECT_EQ(Must(db().Heartbeat(worker, WorkerState::kActive, {})).cancelled, std::vector<JobId>{job.id});
  EXPECT_TRUE(Send(worker, ReportOf(job, Verdict::kCancelled)));
  EXPECT_EQ(StateOf(job.id), JobState::kCancelled);
  EXPECT_TRUE(Must(db().Heartbeat(worker, WorkerState::kActive, {})).cancelled.empty());
}

TEST_P(Conformance, AJobThatCompletesInSpiteOfACancelIsCompleted) {
  const WorkerRef worker = Register("w");
  Add(JobOf("k"));
  const ClaimedJob job = ClaimOne(worker);
  Must(db().Cancel(ByIds({job.id})));
  EXPECT_TRUE(Complete(worker, job));
  EXPECT_EQ(StateOf(job.id), JobState::kCompleted);
}

// Somebody asked for the job to stop, so no way out of running leads it back to work.
TEST_P(Conformance, ACancelledJobDoesNotRunAgain) {
  for (const Verdict verdict : {Verdict::kRetry, Verdict::kSnooze, Verdict::kReleased}) {
    const WorkerRef worker = Register("w");
    Add(JobOf("k"));
    const ClaimedJob job = ClaimOne(worker);
    Must(db().Cancel(ByIds({job.id})));
    EXPECT_TRUE(Send(worker, ReportOf(job, verdict, kSecond, "x")));
    EXPECT_EQ(StateOf(job.id), JobState::kCancelled) << static_cast<int>(verdict);
  }
  const WorkerRef stopped = Register("stopped");
  const JobId released = Add(JobOf("k"));
  Claim(stopped, 1);
  Must(db().Cancel(ByIds({released})));
  Must(db().StopWorker(stopped));
  EXPECT_EQ(StateOf(released), JobState::kCancelled);
  const WorkerRef lost = Register("lost");
  const JobId crashed = Add(JobOf("k"));
  Claim(lost, 1);
  Must(db().Cancel(ByIds({crashed})));
  Advance(kStale + kMicro);
  Must(db().Rescue(kStale, kMinute));
  EXPECT_EQ(StateOf(crashed), JobState::kCancelled);
}

TEST_P(Conformance, CancelLeavesFinishedJobsAlone) {
  const WorkerRef worker = Register("w");
  const JobId dead = AddDead(JobOf("k"));
  const JobId completed = Add(JobOf("k"));
  EXPECT_TRUE(Complete(worker, ClaimOne(worker)));
  const JobId cancelled = Add(JobOf("k"));
  EXPECT_EQ(Must(db().Cancel({})), std::vector<JobId>{cancelled});
  EXPECT_TRUE(Must(db().Cancel({})).empty());
  EXPECT_EQ(StateOf(dead), JobState::kDead);
  EXPECT_EQ(StateOf(completed), JobState::kCompleted);
}

TEST_P(Conformance, FiltersSelect) {
  const WorkerRef worker = Register("w");
  const JobId a = Add(JobOf("one", [](NewJob& j) { j.queue = "a"; }));
  const JobId b = Add(JobOf("two", [](NewJob& j) {
    j.queue = "b";
    j.tags = {"red", "green"};
  }));
  const JobId c = Add(JobOf("two", [](NewJob& j) {
    j.queue = "b";
    j.priority = Priority::kBulk;
    j.tags = {"greenish"};
  }));
  const auto ids = [&](const JobFilter& filter) {
    std::vector<JobId> found;
    for (const Job& job : Must(db().ListJobs(filter))) found.push_back(job.id);
    return found;
  };
  JobFilter filter;
  EXPECT_EQ(ids(filter), (std::vector<JobId>{a, b, c}));
  filter.queue = "b";
  EXPECT_EQ(ids(filter), (std::vector<JobId>{b, c}));
  filter.priority = Priority::kBulk;
  EXPECT_EQ(ids(filter), std::vector<JobId>{c});
  filter = {};
  filter.kind = "two";
  filter.limit = 1;
  EXPECT_EQ(ids(filter), std::vector<JobId>{b});
  filter.after_id = b;
  EXPECT_EQ(ids(filter), std::vector<JobId>{c});
  filter = {};
  filter.tag = "green";
  EXPECT_EQ(ids(filter), std::vector<JobId>{b});
  EXPECT_EQ(ids(ByIds({c, a, 99999})), (std::vector<JobId>{a, c}));
  EXPECT_EQ(ClaimIds(worker, 1), std::vector<JobId>{a});
  filter = {};
  filter.states = {JobState::kRunning, JobState::kDead};
  EXPECT_EQ(ids(filter), std::vector<JobId>{a});
  filter.queue = "b";
  EXPECT_TRUE(ids(filter).empty());
}

TEST_P(Conformance, PagesCoverEverythingOnce) {
  AddMany(25, JobOf("k"));
  JobFilter filter;
  filter.limit = 10;
  std::set<JobId> seen;
  std::vector<std::size_t> pages;
  while (true) {
    const std::vector<Job> page = Must(db().ListJobs(filter));
    if (page.empty()) break;
    pages.push_back(page.size());
    for (const Job& job : page) EXPECT_TRUE(seen.insert(job.id).second);
    filter.after_id = page.back().id;
  }
  EXPECT_EQ(pages, (std::vector<std::size_t>{10, 10, 5}));
}

TEST_P(Conformance, CancelTakesAFilterAndALimit) {
  const std::vector<JobId> ids = AddMany(5, JobOf("k", [](NewJob& j) { j.queue = "q"; }));
  const JobId other = Add(JobOf("k"));
  JobFilter filter;
  filter.queue = "q";
  filter.limit = 2;
  EXPECT_EQ(Must(db().Cancel(filter)), (std::vector<JobId>{ids[0], ids[1]}));
  EXPECT_EQ(Must(db().Cancel(filter)), (std::vector<JobId>{ids[2], ids[3]})) << "cancelled ones do not fill the limit";
  EXPECT_EQ(StateOf(other), JobState::kAvailable);
}

TEST_P(Conformance, AnUnknownJobIsNotThere) {
  EXPECT_FALSE(Must(db().GetJob(4711)));
  EXPECT_TRUE(AttemptsOf(4711).empty());
  EXPECT_TRUE(Must(db().Cancel(ByIds({4711}))).empty());
  EXPECT_TRUE(Must(db().RetryDead(ByIds({4711}))).empty());
}

TEST_P(Conformance, RetryDeadStartsAgainWithItsHistory) {
  const JobId id = AddDead(JobOf("k"));
  const JobId other = AddDead(JobOf("k"));
  const WorkerRef worker = Register("w");
  EXPECT_EQ(Must(db().RetryDead(ByIds({id}))), std::vector<JobId>{id});
  const Job job = Get(id);
  EXPECT_EQ(job.state, JobState::kAvailable);
  EXPECT_EQ(job.attempt, 0);
  EXPECT_EQ(job.crashes, 0);
  EXPECT_FALSE(job.finished_at);
  EXPECT_EQ(AttemptsOf(id).size(), 1u);
  EXPECT_EQ(StateOf(other), JobState::kDead);
  const ClaimedJob claimed = ClaimOne(worker);
  EXPECT_EQ(claimed.id, id);
  EXPECT_EQ(claimed.attempt, 1);
  EXPECT_TRUE(Send(worker, ReportOf(claimed, Verdict::kDead, Duration(0), "still broken")));
  EXPECT_EQ(AttemptsOf(id).size(), 2u);
}

TEST_P(Conformance, RetryDeadStartsCrashesAgain) {
  const JobId id = Add(JobOf("k", [](NewJob& j) { j.max_crashes = 1; }));
  for (int round = 0; round < 2; ++round) {
    for (int crash = 1; crash <= 2; ++crash) {
      Claim(Register("w"), 1);
      Advance(kStale + kMicro);
      Must(db().Rescue(kStale, kMinute));
      EXPECT_EQ(StateOf(id), crash == 1 ? JobState::kAvailable : JobState::kDead);
    }
    EXPECT_EQ(Must(db().RetryDead({})), std::vector<JobId>{id});
  }
  EXPECT_EQ(AttemptsOf(id).size(), 4u);
}

TEST_P(Conformance, RetryDeadLeavesOthersAlone) {
  const WorkerRef worker = Register("w");
  Add(JobOf("k"));
  EXPECT_TRUE(Complete(worker, ClaimOne(worker)));
  Add(JobOf("k"));
  EXPECT_TRUE(Must(db().RetryDead({})).empty());
}

TEST_P(Conformance, RetryDeadKeepsUniqueKeysUnique) {
  const NewJob job = JobOf("k", [](NewJob& j) { j.unique_key = "u"; });
  const JobId dead = AddDead(job);
  const JobId successor = Add(job);
  EXPECT_TRUE(Must(db().RetryDead({})).empty());
  EXPECT_EQ(StateOf(dead), JobState::kDead);
  Must(db().Cancel(ByIds({successor})));
  EXPECT_EQ(Must(db().RetryDead({})), std::vector<JobId>{dead});
  const Enqueued again = Must(db().Enqueue({&job, 1})).at(0);
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.id, dead);
}

TEST_P(Conformance, PurgeDeadDeletesOldLetters) {
  const JobId old = AddDead(JobOf("k"));
  Advance(kHour);
  const JobId fresh = AddDead(JobOf("k"));
  const JobId available = Add(JobOf("k"));
  EXPECT_EQ(Must(db().PurgeDead(Now() - kHour)), 0) << "before, not at";
  EXPECT_EQ(Must(db().PurgeDead(Now())), 1);
  EXPECT_FALSE(Must(db().GetJob(old)));
  EXPECT_TRUE(AttemptsOf(old).empty());
  EXPECT_EQ(StateOf(fresh), JobState::kDead);
  EXPECT_EQ(StateOf(available), JobState::kAvailable);
}

TEST_P(Conformance, DeleteFinishedDeletesCompletedAndCancelledUpToALimit) {
  const WorkerRef worker = Register("w");
  const JobId dead = AddDead(JobOf("k"));
  AddMany(4, JobOf("k"));
  for (const ClaimedJob& job : Claim(worker, 2)) EXPECT_TRUE(Complete(worker, job));
  Must(db().Cancel({}));
  const JobId available = Add(JobOf("k"));
  EXPECT_EQ(Must(db().DeleteFinished(Now(), 100)), 0);
  Advance(kMicro);
  EXPECT_EQ(Must(db().DeleteFinished(Now(), 3)), 3);
  EXPECT_EQ(AllJobs().size(), 3u);
  EXPECT_EQ(Must(db().DeleteFinished(Now(), 3)), 1);
  EXPECT_EQ(StateOf(dead), JobState::kDead);
  EXPECT_EQ(StateOf(available), JobState::kAvailable);
}

}  // namespace millrace::storage
