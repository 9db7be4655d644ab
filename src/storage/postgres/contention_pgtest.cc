// Locks that somebody keeps, and calls that would need very many: one slow session must not stop the others.
#include "storage/postgres/pg_fixture.h"

namespace millrace::storage::postgres {
namespace {

class ContentionTest : public SchemaTest {
 protected:
  void SetUp() override {
    SchemaTest::SetUp();
    if (IsSkipped()) return;
    driver_ = OpenDriver();
    worker_ = Register("w");
    hand_ = Open();
  }

  WorkerRef Register(const std::string& id) { return Must(driver_->RegisterWorker({.id = id, .slots = 4})); }
  ClaimedJob ClaimOne(const WorkerRef& worker) { return Must(driver_->Claim(RequestOf(worker, 1))).jobs.at(0); }
  JobId Add(const NewJob& job) { return Must(driver_->Enqueue({&job, 1})).at(0).id; }
  std::vector<JobId> RescueAll() {
    std::vector<JobId> ids;
    for (const Rescued& job : Must(driver_->Rescue(kMicro, kHour))) ids.push_back(job.id);
    return ids;
  }
  // A transaction that locks what this statement says, until the test ends or commits it.
  std::unique_ptr<Connection> Holding(const std::string& sql) {
    auto holder = Open();
    Must(holder->Begin());
    Execute(*holder, sql);
    return holder;
  }
  std::int64_t Count(const std::string& of) { return Number(*hand_, "SELECT count(*) FROM " + of); }
  std::int64_t AdvisoryLocks() { return Count("pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"); }
  // Jobs of as many partitions, in one call.
  static std::string EnqueueOfPartitions(int count) {
    const std::string n = std::to_string(count);
    return "SELECT millrace.enqueue_many(array_fill('k'::text, ARRAY[" + n + "]), array_fill('{}'::jsonb, ARRAY[" + n +
           "]), partition_keys => ARRAY(SELECT 'p' || i FROM generate_series(1, " + n + ") AS i))";
  }

  std::unique_ptr<Storage> driver_;
  WorkerRef worker_;
  std::unique_ptr<Connection> hand_;
};

TEST_F(ContentionTest, ALockedLeaseKeepsNoOtherJobFromRescue) {
  const WorkerRef other = Register("other");
  const JobId locked = Add(JobOf("k"));
  ClaimOne(worker_);
  const JobId free = Add(JobOf("k"));
  ClaimOne(other);
  auto holder =
      Holding("SELECT FROM millrace.lease WHERE incarnation = " + std::to_string(worker_.incarnation) + " FOR SHARE");
  EXPECT_EQ(RescueAll(), std::vector<JobId>{free});
  Must(holder->Commit());
  EXPECT_EQ(RescueAll(), std::vector<JobId>{locked});
}

// As a heartbeat that waits for a lease which the rescue has locked.
TEST_F(ContentionTest, RescueDoesNotWaitForAWorkersRow) {
  const JobId job = Add(JobOf("k"));
  ClaimOne(worker_);
  auto holder = Holding("UPDATE millrace.worker SET last_heartbeat = last_heartbeat");
  EXPECT_EQ(RescueAll(), std::vector<JobId>{job});
}

TEST_F(ContentionTest, AHeartbeatDoesNotWaitForALockedLease) {
  const JobId id = Add(JobOf("k"));
  const ClaimedJob job = ClaimOne(worker_);
  const JobProgress half{job.id, job.attempt, job.token, 0.5, "half"};
  auto holder = Holding("SELECT FROM millrace.lease FOR SHARE");
  EXPECT_FALSE(Must(driver_->Heartbeat(worker_, WorkerState::kActive, {&half, 1})).superseded);
  EXPECT_EQ(Must(driver_->GetJob(id))->progress_message, "");
  Must(holder->Commit());
  Must(driver_->Heartbeat(worker_, WorkerState::kActive, {&half, 1}));
  EXPECT_EQ(Must(driver_->GetJob(id))->progress_message, "half");
}

// As an application's transaction that enqueues in the run and stays open.
TEST_F(ContentionTest, ALockedRunIsLeftToMaintenanceAndTheClaimIsNotLost) {
  RunSpec spec;
  spec.pipeline = "p";
  spec.identity = "id";
  spec.discovery = JobOf("discover");
  spec.finals = {JobOf("final")};
  const RunId run = Must(driver_->StartRun(spec)).id;
  Report report = ReportOf(ClaimOne(worker_), Verdict::kCompleted);
  report.discovery_done = true;
  const JobId other = Add(JobOf("k"));
  auto holder = Holding("SELECT FROM millrace.run FOR KEY SHARE");
  const Exchange exchange = Must(driver_->ReportAndClaim({&report, 1}, RequestOf(worker_, 4)));
  EXPECT_EQ(exchange.accepted, Accepted{true});
  ASSERT_EQ(exchange.claimed.jobs.size(), 1u);
  EXPECT_EQ(exchange.claimed.jobs[0].id, other);
  EXPECT_EQ(Must(driver_->GetRun(run))->finals_started, 0);
  Must(driver_->Rescue(kHour, kHour));
  EXPECT_EQ(Count("millrace.run_change"), 0) << "the rest of maintenance was done";
  Must(holder->Commit());
  Must(driver_->Rescue(kHour, kHour));
  EXPECT_EQ(Must(driver_->GetRun(run))->finals_started, 1);
}

// As a dump, which reads everything for hours.
TEST_F(ContentionTest, HistorysPartitionsAreMadeWhenNobodyReadsThere) {
  const std::string partitions = "pg_inherits WHERE inhparent = 'millrace.job_history'::regclass";
  const std::int64_t made = Count(partitions);
  const std::string last = Text(*hand_, "SELECT max(inhrelid::regclass::text) FROM " + partitions +
                                            " AND inhrelid <> 'millrace.job_history_other'::regclass");
  Execute(*hand_, "DROP TABLE " + last);
  auto holder = Holding("SELECT count(*) FROM millrace.job_history");
  Must(driver_->DeleteFinished(Must(driver_->Now()), 10));
  EXPECT_EQ(Count(partitions), made - 1);
  Must(holder->Commit());
  Must(driver_->DeleteFinished(Must(driver_->Now()), 10));
  EXPECT_EQ(Count(partitions), made);
}

// The plans hold without statistics too, and however many jobs wait.
TEST_F(ContentionTest, AClaimAmongManyPartitionsReadsFewOfTheirJobs) {
  Execute(*hand_,
          "SELECT millrace.enqueue_many(array_agg('k'::text), array_agg('{}'::jsonb),"
          " partition_keys => array_agg('p' || i % 200)) FROM generate_series(1, 4000) AS i");
  const std::string incarnation = std::to_string(worker_.incarnation);
  const std::string filter = "'{0,1,2,3,4}'::smallint[], ";
  const auto fetched = [&](const std::string& call) {
    const std::string so_far =
        "SELECT coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relid = 'millrace.job'::regclass";
    Must(hand_->Begin());
    const std::int64_t before = Number(*hand_, so_far);
    EXPECT_GT(Number(*hand_, call), 0) << call;
    const std::int64_t rows = Number(*hand_, so_far) - before;
    Must(hand_->Commit());
    return rows;
  };
  const auto candidates = [&](const std::string& spares) {
    return "SELECT count(*) - 1 FROM millrace.candidates(" + incarnation + ", 2, 2, " + spares + ", NULL, " + filter +
           "millrace.clock())";
  };
  EXPECT_LT(fetched(candidates("0")), 100);
  EXPECT_LT(fetched(candidates("16")), 150);
  // The worst case of a look: of all partitions only the one is free that is last in the index.
  Execute(*hand_, "UPDATE millrace.partition SET holder = 999 WHERE key <> 'p99'");
  EXPECT_LT(fetched("SELECT work::int::bigint FROM millrace.look(" + incarnation + ", NULL, " + filter + "'1'::xid8)"),
            1000);
}

// Those who claim at once choose the same partitions: whoever came too late for one takes the next from then on, and
// no more.
TEST_F(ContentionTest, AClaimTakesTheNextPartitionsWhenTheFirstAreBeingTaken) {
  std::vector<JobId> jobs;
  for (const std::string key : {"a", "b", "c", "d", "e"}) {
    NewJob job = JobOf("k");
    job.partition_key = key;
    jobs.push_back(Add(job));
  }
  auto holder = Holding("SELECT FROM millrace.partition WHERE key IN ('a', 'c') FOR UPDATE");
  const Claimed short_of_one = Must(driver_->Claim(RequestOf(worker_, 2)));
  ASSERT_EQ(short_of_one.jobs.size(), 1u);
  EXPECT_EQ(short_of_one.jobs[0].id, jobs[1]);
  EXPECT_TRUE(short_of_one.more);
  EXPECT_EQ(ClaimOne(worker_).id, jobs[3]);
  EXPECT_EQ(Count("millrace.partition WHERE holder <> 0"), 2) << "of the others none";
  Must(holder->Commit());
  const WorkerRef other = Register("other");
  EXPECT_EQ(ClaimOne(other).id, jobs[0]);
}

// As when the plan was made before another worker had taken the partition.
TEST_F(ContentionTest, AStalePlanTakesItsSparesAsFarAsItIsShort) {
  std::vector<JobId> jobs;
  for (const std::string key : {"a", "b", "c"}) {
    NewJob job = JobOf("k");
    job.partition_key = key;
    jobs.push_back(Add(job));
  }
  const WorkerRef other = Register("other");
  ASSERT_EQ(ClaimOne(other).id, jobs[0]);
  const auto ids = [&](int i) { return "ARRAY[" + std::to_string(jobs[static_cast<std::size_t>(i)]) + "]::bigint[]"; };
  const std::string plan = "SELECT coalesce(max(id), 0) FROM millrace.claim_plan('w', " +
                           std::to_string(worker_.incarnation) + ", '{}', '{}', '{}', ";
  EXPECT_EQ(Number(*hand_, plan + ids(1) + ", 1000000, 1, " + ids(2) + ") WHERE step = 1"), jobs[1])
      << "no spare while the plan holds";
  EXPECT_EQ(Number(*hand_, plan + ids(0) + ", 1000000, 2, " + ids(2) + ") WHERE step = 1"), jobs[2]);
}

// A transaction that notifies commits alone: so the reports only say what they free, and whoever sends them tells the
// idle
// once they are committed.
TEST_F(ContentionTest, ReportsNotifyOnlyAfterTheirCommit) {
  NewJob job = JobOf("k");
  job.partition_key = "p";
  std::vector<ClaimedJob> running;
  Add(job);
  Add(job);
  for (const ClaimedJob& claimed : Must(driver_->Claim(RequestOf(worker_, 2))).jobs) running.push_back(claimed);
  ASSERT_EQ(running.size(), 2u);
  const WorkerRef idle = Register("idle");
  Execute(*hand_, "SELECT millrace.declare_idle(" + std::to_string(idle.incarnation) + ", NULL, '{2}')");
  Heard heard;
  const Listener listener(options_, "millrace_work", heard.Callback());
  ASSERT_EQ(heard.Await(1), std::vector<std::string>{""}) << "the listener's own, once it listens";
  const auto array = [](std::int64_t value) { return "ARRAY[" + std::to_string(value) + "]"; };
  EXPECT_EQ(Text(*hand_, "SELECT freed_queues::text FROM millrace.end_attempts(" + std::to_string(worker_.incarnation) +
                             ", " + array(running[0].id) + ", ARRAY[1], " + array(running[0].token) +
                             ", ARRAY[5]::smallint[], ARRAY[-1]::bigint[], ARRAY[0], ARRAY[0], ARRAY[NULL]::text[], "
                             "ARRAY[NULL]::text[], ARRAY[NULL]::text[])"),
            "{default}");
  Report report{.id = running[1].id, .attempt = 1, .token = running[1].token};
  ASSERT_EQ(Must(driver_->ReportOutcomes(worker_, {&report, 1})), Accepted{true});
  EXPECT_EQ(heard.Await(2).at(1), std::to_string(idle.incarnation));
  Execute(*hand_, "NOTIFY millrace_work, 'last'");
  EXPECT_EQ(heard.Await(3).at(2), "last") << "more than one was told";
}

TEST_F(ContentionTest, TheIdleAreToldOfReportsWhoseClaimFails) {
  NewJob job = JobOf("k");
  job.partition_key = "p";
  Add(job);
  const ClaimedJob running = ClaimOne(worker_);
  job.partition_key = "q";
  Add(job);
  const WorkerRef idle = Register("idle");
  Execute(*hand_, "SELECT millrace.declare_idle(" + std::to_string(idle.incarnation) + ", NULL, '{2}')");
  Heard heard;
  const Listener listener(options_, "millrace_work", heard.Callback());
  heard.Await(1);
  Execute(
      *hand_,
      "CREATE OR REPLACE FUNCTION millrace.check_worker(worker_id text, of_incarnation bigint) RETURNS void LANGUAGE "
      "plpgsql AS $$ BEGIN IF current_query() LIKE '%claim_plan%' THEN RAISE "
      "'no plan'; END IF; END $$");
  const Report report{.id = running.id, .attempt = 1, .token = running.token};
  EXPECT_FALSE(driver_->ReportAndClaim({&report, 1}, RequestOf(worker_, 4)));
  EXPECT_EQ(heard.Await(2).at(1), std::to_string(idle.incarnation));
  EXPECT_EQ(Must(driver_->GetJob(running.id))->state, JobState::kCompleted);
}

TEST_F(ContentionTest, VeryManyPartitionsTakeFewLocks) {
  Must(hand_->Begin());
  Execute(*hand_, EnqueueOfPartitions(1000));
  EXPECT_EQ(AdvisoryLocks(), 1000) << "one for each key";
  Must(hand_->Rollback());
  Must(hand_->Begin());
  Execute(*hand_, EnqueueOfPartitions(1001));
  EXPECT_EQ(AdvisoryLocks(), 1) << "one for all";
  Must(hand_->Rollback());
}

// Between the two a position could pass what has not been committed yet, and nobody would ever find it.
TEST_F(ContentionTest, NoPositionPassesAJobOfAManyPartitionsEnqueue) {
  Add(JobOf("k", [](NewJob& job) { job.partition_key = "p7"; }));
  Must(hand_->Begin());
  Execute(*hand_, EnqueueOfPartitions(1001));
  const Report report = ReportOf(ClaimOne(worker_), Verdict::kCompleted);
  Must(hand_->Commit());
  Must(driver_->ReportOutcomes(worker_, {&report, 1}));
  EXPECT_EQ(Must(driver_->Claim(RequestOf(worker_, 2000))).jobs.size(), 1001u);
}

TEST_F(ContentionTest, ManyJobsAreCancelledInPieces) {
  RunSpec spec;
  spec.pipeline = "p";
  spec.identity = "id";
  spec.discovery = JobOf("discover");
  const RunId run = Must(driver_->StartRun(spec)).id;
  const std::string transactions = "(SELECT DISTINCT xmin::text FROM millrace.job_history) AS x";
  std::vector<NewJob> jobs(2100, JobOf("k", [&](NewJob& job) { job.run_id = run; }));
  for (std::size_t i = 0; i < jobs.size(); ++i) jobs[i].partition_key = "p" + std::to_string(i);
  // Runs if the one before it fails, which its being cancelled must not bring about.
  const std::vector<Enqueued> added = Must(driver_->Enqueue(jobs));
  NewJob mend = JobOf("mend", [&](NewJob& job) { job.run_id = run; });
  mend.after = {added[0].id};
  mend.when = DependencyPolicy::kAnyFailed;
  const JobId last = Add(mend);
  Must(driver_->CancelRun(run));
  EXPECT_EQ(Count("millrace.job"), 0);
  EXPECT_EQ(Count("millrace.job_history WHERE state = 6"), 2102);
  const auto cancelled_in = [&](JobId id) {
    return Number(*hand_, "SELECT xmin::text::bigint FROM millrace.job_history WHERE id = " + std::to_string(id));
  };
  EXPECT_LT(cancelled_in(last), cancelled_in(added[0].id)) << "it was never let go";
  EXPECT_EQ(Count(transactions), 3);

  for (NewJob& job : jobs) job.run_id = 0;
  Must(driver_->Enqueue(jobs));
  JobFilter all;
  all.limit = 10'000;
  const std::vector<JobId> cancelled = Must(driver_->Cancel(all));
  EXPECT_EQ(cancelled.size(), 2100u);
  EXPECT_TRUE(std::is_sorted(cancelled.begin(), cancelled.end()));
  EXPECT_EQ(Count(transactions), 6);
}

// With very many that wait for one job, statistics say that a look-up finds very many: a plan that walks through all
// of them for each job that ends takes some twenty seconds here, the look-ups less than one.
TEST_F(ContentionTest, WhatEndsDoesNotWalkThroughAllDependencies) {
  const std::string many = "array_fill('k'::text, ARRAY[20000]), array_fill('{}'::jsonb, ARRAY[20000])";
  const JobId first = Add(JobOf("first"));
  Execute(*hand_, "SELECT millrace.enqueue_many(" + many + ", after => ARRAY[" + std::to_string(first) + "])");
  Execute(*hand_, "SELECT millrace.enqueue_many(" + many + ")");
  Execute(*hand_, "ANALYZE millrace.dependency");
  Execute(*hand_, "SET statement_timeout = '5s'");
  EXPECT_EQ(Number(*hand_,
                   "SELECT cardinality(millrace.cancel_jobs(ARRAY(SELECT id FROM millrace.job WHERE state = 2"
                   " AND kind = 'k')))"),
            20'000);
}

}  // namespace
}  // namespace millrace::storage::postgres
