// Dependencies when transactions meet: each order of an enqueue and the ends of the jobs it names. A transaction is
// held open until the server says that the other one waits for it.
#include <atomic>
#include <future>
#include <thread>

#include "storage/postgres/listener.h"
#include "storage/postgres/pg_fixture.h"

namespace millrace::storage::postgres {
namespace {

class DependenciesTest : public SchemaTest {
 protected:
  void SetUp() override {
    SchemaTest::SetUp();
    if (IsSkipped()) return;
    driver_ = OpenDriver();
    worker_ = Must(driver_->RegisterWorker({.id = "w", .slots = 4}));
    watcher_ = Open();
  }

  JobId Add(const NewJob& job) { return Must(driver_->Enqueue({&job, 1})).at(0).id; }
  static NewJob After(std::vector<JobId> ids) {
    return JobOf("after", [&](NewJob& j) { j.after = std::move(ids); });
  }
  // Runs one job of each of these kinds.
  std::vector<Report> Running(const std::vector<std::string>& kinds) {
    for (const std::string& kind : kinds) Add(JobOf(kind));
    std::vector<Report> reports;
    for (const ClaimedJob& job : Claim(static_cast<int>(kinds.size())))
      reports.push_back(ReportOf(job, Verdict::kCompleted));
    return reports;
  }
  std::vector<ClaimedJob> Claim(int most) { return Must(driver_->Claim(RequestOf(worker_, most))).jobs; }
  std::future<Accepted> ReportLater(const Report& report) {
    return std::async(std::launch::async, [this, report] {
      return Must(driver_->ReportOutcomes(worker_, {&report, 1}));
    });
  }
  JobState StateOf(JobId id) { return Must(driver_->GetJob(id)).value().state; }

  // Whether the other call waits for a lock; false: it has returned.
  template <class T>
  bool IsBlocked(const std::future<T>& call) {
    while (call.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
      if (Number(*watcher_,
                 "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                 " AND wait_event_type = 'Lock'") > 0)
        return true;
      std::this_thread::yield();
    }
    return false;
  }

  std::unique_ptr<Storage> driver_;
  WorkerRef worker_;
  std::unique_ptr<Connection> watcher_;
};

TEST_F(DependenciesTest, AJobNamedByAnOpenTransactionEndsAfterIt) {
  const std::vector<Report> running = Running({"first"});
  const auto producer = Open();
  Must(producer->Begin());
  const JobId after =
      Number(*producer, "SELECT millrace.enqueue('after', after => ARRAY[" + std::to_string(running[0].id) + "])");
  std::future<Accepted> report = ReportLater(running[0]);
  EXPECT_TRUE(IsBlocked(report));
  Must(producer->Commit());
  EXPECT_EQ(report.get(), Accepted{true});
  EXPECT_EQ(StateOf(after), JobState::kAvailable);
}

TEST_F(DependenciesTest, AnEnqueueSeesTheEndItHasWaitedFor) {
  for (const bool commit : {true, false}) {
    const std::vector<Report> running = Running({"first"});
    std::future<JobId> after;
    const auto ended = driver_->Transact([&](Transaction& tx) -> Result<void> {
      EXPECT_EQ(Must(tx.ReportIn(worker_, running)), Accepted{true});
      after = std::async(std::launch::async, [&] { return Add(After({running[0].id})); });
      EXPECT_TRUE(IsBlocked(after));
      if (!commit) return fail(ErrorCode::kConflict, "rolled back");
      return {};
    });
    EXPECT_EQ(ended.has_value(), commit);
    EXPECT_EQ(StateOf(after.get()), commit ? JobState::kAvailable : JobState::kWaiting);
    Must(driver_->Cancel({}));
    Must(driver_->ReportOutcomes(worker_, running));
  }
}

TEST_F(DependenciesTest, OfTwoThatEndAtOnceTheLaterReleases) {
  const std::vector<Report> running = Running({"one", "other"});
  // Two leases, so that the reports meet only at the job that waits.
  std::vector<Report> again = Running({"third"});
  const JobId after = Add(After({running[0].id, again[0].id}));
  std::future<Accepted> later;
  Must(driver_->Transact([&](Transaction& tx) -> Result<void> {
    EXPECT_EQ(Must(tx.ReportIn(worker_, {running.data(), 1})), Accepted{true});
    later = ReportLater(again[0]);
    EXPECT_TRUE(IsBlocked(later));
    return {};
  }));
  EXPECT_EQ(later.get(), Accepted{true});
  EXPECT_EQ(StateOf(after), JobState::kAvailable);
}

TEST_F(DependenciesTest, ACancelAndAnEnqueueTakeTurns) {
  const JobId first = Add(JobOf("first"));
  const auto producer = Open();
  Must(producer->Begin());
  const JobId after =
      Number(*producer, "SELECT millrace.enqueue('after', after => ARRAY[" + std::to_string(first) + "])");
  EXPECT_TRUE(Claim(1).empty()) << "a claim passes over what an open transaction has named";
  auto cancel = std::async(std::launch::async, [&] { return Must(driver_->Cancel(ByIds({first}))); });
  EXPECT_TRUE(IsBlocked(cancel));
  Must(producer->Commit());
  EXPECT_EQ(cancel.get(), std::vector<JobId>{first});
  EXPECT_EQ(StateOf(after), JobState::kCancelled);
}

TEST_F(DependenciesTest, TheEndThatReleasesAJobNotifiesIdleWorkers) {
  const std::vector<Report> running = Running({"first"});
  Add(After({running[0].id}));
  std::promise<void> listening;
  std::promise<std::string> heard;
  std::atomic<int> calls = 0;
  const Listener listener(options_, "millrace_work", [&](std::string_view payload) {
    if (calls == 0) listening.set_value();  // it says "" when it is connected
    if (calls == 1) heard.set_value(std::string(payload));
    ++calls;
  });
  listening.get_future().wait();
  Execute(*watcher_, "SELECT millrace.declare_idle(4711, NULL, '{0, 1, 2, 3, 4}')");
  Must(driver_->ReportOutcomes(worker_, running));
  std::future<std::string> payload = heard.get_future();
  ASSERT_EQ(payload.wait_for(std::chrono::seconds(30)), std::future_status::ready) << "nobody was told";
  EXPECT_EQ(payload.get(), "4711");
}

TEST_F(DependenciesTest, ProducersNameDependenciesInSql) {
  const JobId first = Add(JobOf("first"));
  const auto producer = Open();
  Execute(*producer, "SET ROLE millrace_producer");
  const std::string ids = "ARRAY[" + std::to_string(first) + "]";
  Execute(*producer, "SELECT millrace.enqueue_many(ARRAY['a', 'b'], ARRAY['{}', '{}']::jsonb[], after => " + ids +
                         ", after_when => 'Finished')");
  const std::vector<Job> jobs = Must(driver_->ListJobs({}));
  ASSERT_EQ(jobs.size(), 3u);
  for (std::size_t i = 1; i < 3; ++i) {
    EXPECT_EQ(jobs[i].state, JobState::kWaiting);
    EXPECT_EQ(jobs[i].after, std::vector<JobId>{first});
    EXPECT_EQ(jobs[i].when, DependencyPolicy::kAllFinished);
  }
  const std::pair<std::string, std::string> cases[] = {
      {"after => ARRAY[0]", "after: is no job id"},
      {"after => ARRAY[NULL]::bigint[]", "after: is no job id"},
      {"after => ARRAY[77777777]", "job 0 of the batch: after: there is no job 77777777"},
      {"after => " + ids + ", after_when => 'done'", "after_when: no policy 'done'"}};
  for (const auto& [arguments, says] : cases) {
    const Error error = RunError(*producer, "SELECT millrace.enqueue('k', " + arguments + ")");
    EXPECT_EQ(error.code, ErrorCode::kInvalidArgument) << arguments;
    EXPECT_NE(error.message.find(says), std::string::npos) << error.message;
  }
  EXPECT_EQ(Must(driver_->ListJobs({})).size(), 3u);
}

// An older program's functions would stand beside those that take more parameters, and calls be ambiguous.
TEST_F(DependenciesTest, TheMigrationLeavesNoOlderFunctionBehind) {
  driver_.reset();
  const auto hand = Open();
  constexpr const char* kEnqueues =
      "SELECT count(*) FROM pg_proc WHERE pronamespace = 'millrace'::regnamespace AND proname = 'enqueue'";
  Must(MigrateDown(*hand, "millrace", 2));
  EXPECT_EQ(Number(*hand, kEnqueues), 0);
  Execute(*hand,
          "CREATE FUNCTION millrace.enqueue(kind text, args jsonb DEFAULT '{}', queue text DEFAULT 'default',"
          " priority text DEFAULT 'default', run_at timestamptz DEFAULT NULL, delay interval DEFAULT NULL,"
          " max_attempts int DEFAULT 0, timeout interval DEFAULT '0', partition_key text DEFAULT NULL,"
          " unique_key text DEFAULT NULL, tags text[] DEFAULT NULL, run_id bigint DEFAULT 0) RETURNS bigint"
          " LANGUAGE sql AS 'SELECT 1::bigint'");
  Must(MigrateUp(*hand, "millrace"));
  EXPECT_EQ(Number(*hand, kEnqueues), 1);
  EXPECT_GT(Number(*hand, "SELECT millrace.enqueue('k')"), 0);
  Must(ValidateSchema(*hand, "millrace"));
}

}  // namespace
}  // namespace millrace::storage::postgres
