// Enqueue: all or none, mistakes named, unique keys, due times.
#include "storage/conformance/suite.h"

namespace millrace::storage {

void LinkEnqueueSuite() {}

TEST_P(Conformance, EnqueueKeepsEveryField) {
  const NewJob job = JobOf("mail.send", [](NewJob& j) {
    j.args = R"({"to":"a@example.org","n":3})";
    j.queue = "mail";
    j.priority = Priority::kHigh;
    j.max_attempts = 7;
    j.max_crashes = 2;
    j.timeout = std::chrono::seconds(9);
    j.partition_key = "tenant-1";
    j.unique_key = "welcome-17";
    j.tags = {"welcome", "de"};
  });
  const Time before = Now();
  const std::vector<Enqueued> result = Must(db().Enqueue({&job, 1}));
  ASSERT_EQ(result.size(), 1u);
  EXPECT_GT(result[0].id, 0);
  EXPECT_FALSE(result[0].duplicate);
  const Job stored = Get(result[0].id);
  EXPECT_EQ(stored.kind, job.kind);
  EXPECT_EQ(stored.args, job.args);
  EXPECT_EQ(stored.queue, job.queue);
  EXPECT_EQ(stored.priority, job.priority);
  EXPECT_EQ(stored.state, JobState::kAvailable);
  EXPECT_EQ(stored.created_at, before);
  EXPECT_EQ(stored.run_at, before);
  EXPECT_EQ(stored.attempt, 0);
  EXPECT_EQ(stored.max_attempts, 7);
  EXPECT_EQ(stored.crashes, 0);
  EXPECT_EQ(stored.max_crashes, 2);
  EXPECT_EQ(stored.timeout, job.timeout);
  EXPECT_EQ(stored.partition_key, job.partition_key);
  EXPECT_EQ(stored.unique_key, job.unique_key);
  EXPECT_EQ(stored.run_id, 0);
  EXPECT_EQ(stored.tags, job.tags);
  EXPECT_FALSE(stored.started_at);
  EXPECT_FALSE(stored.finished_at);
  EXPECT_TRUE(AttemptsOf(result[0].id).empty());
}

TEST_P(Conformance, EnqueueAnswersInOrder) {
  std::vector<NewJob> jobs;
  for (int i = 0; i < 100; ++i) jobs.push_back(JobOf("k" + std::to_string(i)));
  const std::vector<Enqueued> result = Must(db().Enqueue(jobs));
  ASSERT_EQ(result.size(), jobs.size());
  for (std::size_t i = 0; i < jobs.size(); ++i) EXPECT_EQ(Get(result[i].id).kind, jobs[i].kind);
}

TEST_P(Conformance, EnqueueOfNothingIsNothing) {
  EXPECT_TRUE(Must(db().Enqueue({})).empty());
  EXPECT_TRUE(AllJobs().empty());
}

TEST_P(Conformance, EnqueueKeepsArgsByteForByte) {
  const std::string args = "{ \"b\" : 1.50 ,\"a\":\"\\u00e9 caf\xc3\xa9\", \"nested\":{\"x\":[null,true]} }";
  EXPECT_EQ(Get(Add(JobOf("k", [&](NewJob& j) { j.args = args; }))).args, args);
}

// A mistake, and the field its error names.
struct Mistake {
  const char* field;
  std::function<void(NewJob&)> make;
};

TEST_P(Conformance, EnqueueNamesTheMistakeAndWritesNothing) {
  const std::vector<Mistake> mistakes = {
      {"kind", [](NewJob& j) { j.kind = ""; }},
      {"kind", [](NewJob& j) { j.kind = std::string(201, 'k'); }},
      {"queue", [](NewJob& j) { j.queue = ""; }},
      {"queue", [](NewJob& j) { j.queue = std::string(201, 'q'); }},
      {"args", [](NewJob& j) { j.args = "[1]"; }},
      {"args", [](NewJob& j) { j.args = "{\"a\":"; }},
      {"args", [](NewJob& j) { j.args = "{]}"; }},
      {"args", [](NewJob& j) { j.args = "{\"a\":\"\xff\xfe\"}"; }},
      {"args", [](NewJob& j) { j.args = "{\"a\":\"" + std::string(1 << 20, 'x') + "\"}"; }},
      {"max_attempts", [](NewJob& j) { j.max_attempts = -1; }},
      {"max_crashes", [](NewJob& j) { j.max_crashes = -1; }},
      {"timeout", [](NewJob& j) { j.timeout = Duration(-1); }},
      {"delay", [](NewJob& j) { j.delay = Duration(-1); }},
      {"run_id", [](NewJob& j) { j.run_id = 12345; }},
  };
  for (const Mistake& mistake : mistakes) {
    std::vector<NewJob> jobs(4, JobOf("k"));
    mistake.make(jobs[2]);
    const auto result = db().Enqueue(jobs);
    ASSERT_FALSE(result) << mistake.field;
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument) << result.error().message;
    EXPECT_NE(result.error().message.find(mistake.field), std::string::npos) << result.error().message;
    // The third of four, counted from 0 or 1.
    EXPECT_NE(result.error().message.find_first_of("23"), std::string::npos) << result.error().message;
  }
  EXPECT_TRUE(AllJobs().empty());
}

TEST_P(Conformance, EnqueueAcceptsTheLargestNames) {
  const JobId id = Add(JobOf(std::string(200, 'k'), [](NewJob& j) { j.queue = std::string(200, 'q'); }));
  EXPECT_EQ(Get(id).queue.size(), 200u);
}

TEST_P(Conformance, DelayAndRunAtSchedule) {
  const Time now = Now();
  const JobId delayed = Add(JobOf("k", [](NewJob& j) { j.delay = kMinute; }));
  const JobId at = Add(JobOf("k", [&](NewJob& j) {
    j.run_at = now + kHour;
    j.delay = kSecond;  // ignored
  }));
  EXPECT_EQ(StateOf(delayed), JobState::kScheduled);
  EXPECT_EQ(Get(delayed).run_at, now + kMinute);
  EXPECT_EQ(StateOf(at), JobState::kScheduled);
  EXPECT_EQ(Get(at).run_at, now + kHour);
}

TEST_P(Conformance, AScheduledJobIsClaimedNotAMicrosecondBeforeItsTime) {
  const WorkerRef worker = Register("w");
  const JobId id = Add(JobOf("k", [](NewJob& j) { j.delay = kMinute; }));
  Advance(kMinute - kMicro);
  EXPECT_EQ(StateOf(id), JobState::kScheduled);
  EXPECT_TRUE(ClaimIds(worker, 1).empty());
  Advance(kMicro);
  EXPECT_EQ(StateOf(id), JobState::kAvailable);
  EXPECT_EQ(ClaimIds(worker, 1), std::vector<JobId>{id});
}

TEST_P(Conformance, RunAtInThePastIsAtOnce) {
  const JobId past = Add(JobOf("k", [&](NewJob& j) { j.run_at = Now() - kHour; }));
  const JobId zero = Add(JobOf("k", [](NewJob& j) { j.delay = Duration(0); }));
  EXPECT_EQ(StateOf(past), JobState::kAvailable);
  EXPECT_EQ(Get(past).run_at, Now());
  EXPECT_EQ(StateOf(zero), JobState::kAvailable);
}

// Far beyond any calendar: either refused by name, or kept without wrapping around into the past.
TEST_P(Conformance, AbsurdTimesAreRefusedOrKept) {
  const WorkerRef worker = Register("w");
  const auto try_one = [&](const char* field, const std::function<void(NewJob&)>& change) {
    const NewJob job = JobOf("k", change);
    const auto result = db().Enqueue({&job, 1});
    if (!result) {
      EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
      EXPECT_NE(result.error().message.find(field), std::string::npos) << result.error().message;
    }
  };
  try_one("delay", [](NewJob& j) { j.delay = Duration::max(); });
  try_one("run_at", [](NewJob& j) { j.run_at = Time::max(); });
  EXPECT_TRUE(Claim(worker, 10).empty());
  try_one("timeout", [](NewJob& j) { j.timeout = Duration::max(); });
  for (const ClaimedJob& job : Claim(worker, 10)) {
    EXPECT_TRUE(Must(db().Rescue(kStale, kHour)).empty());
    EXPECT_TRUE(Send(worker, ReportOf(job, Verdict::kReleased)));
  }
  Add(JobOf("k"));
  for (const ClaimedJob& job : Claim(worker, 10)) {
    EXPECT_TRUE(Send(worker, ReportOf(job, Verdict::kRetry, Duration::max(), "much later")));
  }
  EXPECT_TRUE(Claim(worker, 10).empty());
}

TEST_P(Conformance, AUniqueKeyIsHeldByOneUnfinishedJob) {
  NewJob job = JobOf("k", [](NewJob& j) { j.unique_key = "u"; });
  const JobId first = Add(job);
  job.queue = "another";
  const Enqueued again = Must(db().Enqueue({&job, 1})).at(0);
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.id, first);
  EXPECT_EQ(AllJobs().size(), 1u);
}

TEST_P(Conformance, AUniqueKeyRepeatsWithinOneBatch) {
  std::vector<NewJob> jobs(3, JobOf("k", [](NewJob& j) { j.unique_key = "u"; }));
  jobs[1].unique_key = "v";
  const std::vector<Enqueued> result = Must(db().Enqueue(jobs));
  EXPECT_FALSE(result[0].duplicate);
  EXPECT_FALSE(result[1].duplicate);
  EXPECT_TRUE(result[2].duplicate);
  EXPECT_EQ(result[2].id, result[0].id);
  EXPECT_EQ(AllJobs().size(), 2u);
}

TEST_P(Conformance, AUniqueKeyIsFreeOnceItsHolderFinished) {
  const WorkerRef worker = Register("w");
  const NewJob job = JobOf("k", [](NewJob& j) { j.unique_key = "u"; });
  const JobId completed = Add(job);
  const ClaimedJob running = ClaimOne(worker);
  EXPECT_EQ(Add(job), completed) << "held while running";
  EXPECT_TRUE(Complete(worker, running));
  const JobId cancelled = Add(job);
  EXPECT_NE(cancelled, completed);
  Must(db().Cancel(ByIds({cancelled})));
  const JobId dead = Add(job);
  EXPECT_NE(dead, cancelled);
  EXPECT_TRUE(Send(worker, ReportOf(ClaimOne(worker), Verdict::kDead, Duration(0), "no")));
  EXPECT_NE(Add(job), dead);
  EXPECT_EQ(AllJobs().size(), 4u);
}

TEST_P(Conformance, AUniqueKeyIsHeldWhileScheduledAndRetryable) {
  const WorkerRef worker = Register("w");
  const NewJob job = JobOf("k", [](NewJob& j) {
    j.unique_key = "u";
    j.delay = kMinute;
  });
  const JobId id = Add(job);
  EXPECT_EQ(Add(job), id);
  Advance(kMinute);
  EXPECT_TRUE(Send(worker, ReportOf(ClaimOne(worker), Verdict::kRetry, kMinute, "later")));
  EXPECT_EQ(StateOf(id), JobState::kRetryable);
  EXPECT_EQ(Add(job), id);
}

}  // namespace millrace::storage
