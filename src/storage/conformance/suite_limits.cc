// Queues with settings: pause, concurrency, rate, capacity and overflow.
#include "storage/conformance/suite.h"

namespace millrace::storage {

void LinkLimitsSuite() {}

namespace {

QueueOptions Limits(const std::string& name, const std::function<void(QueueOptions&)>& change) {
  QueueOptions queue;
  queue.name = name;
  change(queue);
  return queue;
}

NewJob In(const std::string& queue, Priority priority = Priority::kDefault) {
  return JobOf("k", [&](NewJob& j) {
    j.queue = queue;
    j.priority = priority;
  });
}

}  // namespace

TEST_P(Conformance, APausedQueueIsNotClaimed) {
  const WorkerRef worker = Register("w");
  Add(In("a"));
  const JobId other = Add(In("b"));
  Must(db().PauseQueue("a", true));
  EXPECT_TRUE(QueueNamed("a").paused);
  EXPECT_EQ(ClaimIds(worker, 10), std::vector<JobId>{other});
  const JobId while_paused = Add(In("a"));
  EXPECT_EQ(StateOf(while_paused), JobState::kAvailable);
  Must(db().PauseQueue("a", false));
  EXPECT_FALSE(QueueNamed("a").paused);
  EXPECT_EQ(Claim(worker, 10).size(), 2u);
}

TEST_P(Conformance, PausingCreatesTheQueue) {
  const WorkerRef worker = Register("w");
  Must(db().PauseQueue("new", true));
  EXPECT_TRUE(QueueNamed("new").paused);
  Add(In("new"));
  EXPECT_TRUE(Claim(worker, 10).empty());
}

TEST_P(Conformance, PausingLeavesRunningJobsAlone) {
  const WorkerRef worker = Register("w");
  Add(In("a"));
  const ClaimedJob job = ClaimOne(worker);
  Must(db().PauseQueue("a", true));
  EXPECT_TRUE(Complete(worker, job));
}

TEST_P(Conformance, ConcurrencyCountsRunningJobsOfAllWorkers) {
  options.queues = {Limits("a", [](QueueOptions& q) { q.concurrency = 3; })};
  const WorkerRef one = Register("one");
  const WorkerRef two = Register("two");
  AddMany(10, In("a"));
  const std::vector<ClaimedJob> first = Claim(one, 2);
  EXPECT_EQ(first.size(), 2u);
  EXPECT_EQ(Claim(two, 10).size(), 1u);
  EXPECT_TRUE(Claim(one, 10).empty());
  EXPECT_TRUE(Complete(one, first[0]));
  EXPECT_TRUE(Send(one, ReportOf(first[1], Verdict::kReleased)));
  EXPECT_EQ(Claim(two, 10).size(), 2u);
}

TEST_P(Conformance, ALimitedQueueDoesNotHoldUpOthers) {
  options.queues = {Limits("a", [](QueueOptions& q) { q.concurrency = 1; })};
  const WorkerRef worker = Register("w");
  AddMany(50, In("a"));
  AddMany(3, In("b"));
  std::map<std::string, int> taken;
  for (const ClaimedJob& job : Claim(worker, 10)) ++taken[job.queue];
  EXPECT_EQ(taken["a"], 1);
  EXPECT_EQ(taken["b"], 3);
}

TEST_P(Conformance, ReportAndClaimReportsFirst) {
  options.queues = {Limits("a", [](QueueOptions& q) { q.concurrency = 1; })};
  const WorkerRef worker = Register("w");
  const std::vector<JobId> ids = AddMany(2, In("a"));
  const Report done = ReportOf(ClaimOne(worker), Verdict::kCompleted);
  ClaimRequest request;
  request.worker = worker;
  request.max_jobs = 5;
  const Exchange exchange = Must(db().ReportAndClaim({&done, 1}, request));
  EXPECT_EQ(exchange.accepted, Accepted{true});
  EXPECT_EQ(IdsOf(exchange.claimed.jobs), std::vector<JobId>{ids[1]});
}

TEST_P(Conformance, RateLimitsClaims) {
  options.queues = {Limits("a", [](QueueOptions& q) { q.rate_limit = 4; })};
  const WorkerRef worker = Register("w");
  AddMany(100, In("a"));
  const JobId other = Add(In("b"));
  std::size_t taken = Claim(worker, 100).size();
  EXPECT_EQ(taken, 5u) << "a burst of one second, and the job of the unlimited queue";
  EXPECT_EQ(StateOf(other), JobState::kRunning);
  EXPECT_TRUE(Claim(worker, 100).empty());
  Advance(std::chrono::milliseconds(249));
  EXPECT_TRUE(Claim(worker, 100).empty());
  Advance(std::chrono::milliseconds(1));
  EXPECT_EQ(Claim(worker, 100).size(), 1u);
  Advance(kHour);
  EXPECT_EQ(Claim(worker, 100).size(), 4u) << "what was not used does not add up";
  taken = 0;
  for (int i = 0; i < 40; ++i) {
    Advance(std::chrono::milliseconds(100));
    taken += Claim(worker, 100).size();
  }
  EXPECT_EQ(taken, 16u);
}

TEST_P(Conformance, ARateBelowOneStillMoves) {
  options.queues = {Limits("a", [](QueueOptions& q) { q.rate_limit = 0.5; })};
  const WorkerRef worker = Register("w");
  AddMany(5, In("a"));
  EXPECT_EQ(Claim(worker, 5).size(), 1u);
  Advance(kSecond);
  EXPECT_TRUE(Claim(worker, 5).empty());
  Advance(kSecond);
  EXPECT_EQ(Claim(worker, 5).size(), 1u);
}

TEST_P(Conformance, RejectKeepsTheBatchOutAndNamesQueueAndCapacity) {
  options.queues = {Limits("mail", [](QueueOptions& q) { q.capacity = 3; })};
  AddMany(2, In("mail"));
  const std::vector<NewJob> batch(2, In("mail"));
  const auto result = db().Enqueue(batch);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kQueueFull);
  EXPECT_NE(result.error().message.find("mail"), std::string::npos) << result.error().message;
  EXPECT_NE(result.error().message.find('3'), std::string::npos) << result.error().message;
  EXPECT_EQ(AllJobs().size(), 2u);
  Add(In("mail"));  // exactly full is allowed
  EXPECT_FALSE(db().Enqueue({batch.data(), 1}));
}

TEST_P(Conformance, CapacityCountsByPriorityAndWithoutRunningJobs) {
  options.queues = {Limits("a", [](QueueOptions& q) { q.capacity = 2; })};
  const WorkerRef worker = Register("w");
  AddMany(2, In("a"));
  AddMany(2, In("a", Priority::kHigh));
  const NewJob more = In("a", Priority::kHigh);
  EXPECT_FALSE(db().Enqueue({&more, 1}));
  ClaimRequest request;
  request.worker = worker;
  request.max_jobs = 1;
  request.priorities = engine::PrioritySet::None();
  request.priorities.Add(Priority::kHigh);
  const ClaimedJob job = Must(db().Claim(request)).jobs.at(0);
  Add(more);
  EXPECT_FALSE(db().Enqueue({&more, 1}));
  // A retry comes back although the queue is full, and counts then.
  EXPECT_TRUE(Send(worker, ReportOf(job, Verdict::kRetry, kMinute, "again")));
  Must(db().Cancel(ByIds({AllJobs().back().id})));
  EXPECT_FALSE(db().Enqueue({&more, 1}));
}

TEST_P(Conformance, TheOptionsCapacityByPriorityHoldsForQueuesThatNameNone) {
  options.capacity[static_cast<std::size_t>(Priority::kHigh)] = 2;
  options.queues = {Limits("own", [](QueueOptions& q) { q.capacity = 3; })};
  AddMany(2, In("a", Priority::kHigh));
  AddMany(2, In("b", Priority::kHigh));
  AddMany(3, In("own", Priority::kHigh));
  AddMany(10, In("a", Priority::kDefault));
  for (const char* queue : {"a", "b", "own"}) {
    const NewJob more = In(queue, Priority::kHigh);
    const auto result = db().Enqueue({&more, 1});
    ASSERT_FALSE(result) << queue;
    EXPECT_EQ(result.error().code, ErrorCode::kQueueFull);
  }
}

TEST_P(Conformance, SpillToAJobsOwnPriorityIsFull) {
  options.queues = {Limits("a", [](QueueOptions& q) {
    q.capacity = 1;
    q.overflow = Overflow::kSpill;
    q.spill_to = Priority::kBulk;
  })};
  const NewJob job = In("a", Priority::kBulk);
  Add(job);
  const auto result = db().Enqueue({&job, 1});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kQueueFull);
}

TEST_P(Conformance, AnInBatchDuplicateNeedsNoRoom) {
  options.queues = {Limits("full", [](QueueOptions& q) { q.capacity = 0; })};
  std::vector<NewJob> batch(2, JobOf("k", [](NewJob& j) { j.unique_key = "u"; }));
  batch[1].queue = "full";
  const auto result = db().Enqueue(batch);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_TRUE(result->at(1).duplicate);
}

TEST_P(Conformance, CapacityCountsScheduledJobs) {
  options.queues = {Limits("a", [](QueueOptions& q) { q.capacity = 1; })};
  Add(JobOf("k", [](NewJob& j) {
    j.queue = "a";
    j.delay = kHour;
  }));
  const NewJob more = In("a");
  const auto result = db().Enqueue({&more, 1});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kQueueFull);
}

TEST_P(Conformance, ADuplicateNeedsNoRoom) {
  options.queues = {Limits("a", [](QueueOptions& q) { q.capacity = 1; })};
  const NewJob job = JobOf("k", [](NewJob& j) {
    j.queue = "a";
    j.unique_key = "u";
  });
  const JobId id = Add(job);
  EXPECT_EQ(Add(job), id);
}

TEST_P(Conformance, BlockSaysFullAndTheCallerTriesAgain) {
  options.queues = {Limits("a", [](QueueOptions& q) {
    q.capacity = 1;
    q.overflow = Overflow::kBlock;
  })};
  const WorkerRef worker = Register("w");
  const NewJob job = In("a");
  Add(job);
  const auto full = db().Enqueue({&job, 1});
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ErrorCode::kQueueFull);
  EXPECT_EQ(Claim(worker, 1).size(), 1u);
  EXPECT_TRUE(db().Enqueue({&job, 1}));
}

TEST_P(Conformance, SpillGoesToTheSpillPriority) {
  options.queues = {Limits("a", [](QueueOptions& q) {
    q.capacity = 2;
    q.overflow = Overflow::kSpill;
    q.spill_to = Priority::kBulk;
  })};
  Add(In("a"));
  const std::vector<NewJob> batch(3, In("a"));
  const std::vector<Enqueued> result = Must(db().Enqueue(batch));
  EXPECT_EQ(Get(result[0].id).priority, Priority::kDefault);
  EXPECT_EQ(Get(result[1].id).priority, Priority::kBulk);
  EXPECT_EQ(Get(result[2].id).priority, Priority::kBulk);
}

TEST_P(Conformance, ConfigureQueuesTakesEffectAtOnce) {
  const WorkerRef worker = Register("w");
  AddMany(10, In("a"));
  const QueueOptions limited = Limits("a", [](QueueOptions& q) {
    q.concurrency = 2;
    q.capacity = 5;
  });
  Must(db().ConfigureQueues({&limited, 1}));
  EXPECT_EQ(QueueNamed("a").options.concurrency, 2);
  EXPECT_EQ(QueueNamed("a").options.capacity, 5);
  EXPECT_EQ(Claim(worker, 10).size(), 2u);
  const NewJob job = In("a");
  EXPECT_FALSE(db().Enqueue({&job, 1}));
  const QueueOptions free = Limits("a", [](QueueOptions&) {});
  Must(db().ConfigureQueues({&free, 1}));
  EXPECT_EQ(Claim(worker, 10).size(), 8u);
}

TEST_P(Conformance, QueuesShowCountsAndTheOldest) {
  const WorkerRef worker = Register("w");
  const Time now = Now();
  Add(In("a"));
  Advance(kSecond);
  Add(In("a"));
  Add(JobOf("k", [](NewJob& j) {
    j.queue = "a";
    j.delay = kHour;
  }));
  QueueRow row = QueueNamed("a");
  const auto* counts = row.counts[static_cast<int>(Priority::kDefault)];
  EXPECT_EQ(counts[static_cast<int>(JobState::kAvailable)], 2);
  EXPECT_EQ(counts[static_cast<int>(JobState::kScheduled)], 1);
  EXPECT_EQ(row.oldest_available, now);
  EXPECT_TRUE(Complete(worker, ClaimOne(worker)));
  row = QueueNamed("a");
  EXPECT_EQ(row.counts[static_cast<int>(Priority::kDefault)][static_cast<int>(JobState::kCompleted)], 1);
  EXPECT_EQ(row.oldest_available, now + kSecond);
  EXPECT_EQ(row.oldest_of[static_cast<int>(Priority::kDefault)], now + kSecond);
  EXPECT_FALSE(row.oldest_of[static_cast<int>(Priority::kBulk)]);
  Add(JobOf("k", [](NewJob& j) {
    j.queue = "a";
    j.priority = Priority::kBulk;
  }));
  EXPECT_EQ(QueueNamed("a").oldest_of[static_cast<int>(Priority::kBulk)], now + kSecond);
  EXPECT_EQ(Claim(worker, 2).size(), 2U);
  EXPECT_FALSE(QueueNamed("a").oldest_available);
  EXPECT_FALSE(QueueNamed("a").oldest_of[static_cast<int>(Priority::kBulk)]);
}

}  // namespace millrace::storage
