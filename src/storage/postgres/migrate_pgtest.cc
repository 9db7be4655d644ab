// Migrations, roles, and what a schema that does not fit is told as.
#include <gmock/gmock.h>

#include <fstream>

#include "storage/conformance/helpers.h"
#include "storage/postgres/driver.h"
#include "storage/postgres/migrate.h"
#include "storage/postgres/pg_fixture.h"

namespace millrace::storage::postgres {
namespace {

using ::testing::HasSubstr;

class MigrateTest : public PgTest {
 protected:
  void SetUp() override {
    PgTest::SetUp();
    if (IsSkipped()) return;
    url_ = TestCluster::Get().CreateDatabase();
    connection_ = Connect(url_);
  }
  static std::unique_ptr<Connection> Connect(const std::string& url) {
    ConnectOptions options;
    options.url = url;
    return Must(Connection::Open(options));
  }
  Result<std::unique_ptr<Storage>> OpenDriver() {
    StorageOptions options;
    options.url = url_;
    return OpenPostgres(options);
  }
  std::string url_;
  std::unique_ptr<Connection> connection_;
};

TEST_F(MigrateTest, UpTwiceIsUpOnceAndDownLeavesNothing) {
  Must(MigrateUp(*connection_, "millrace"));
  const std::string once = Must(DumpSchema(*connection_, "millrace"));
  Must(MigrateUp(*connection_, "millrace"));
  EXPECT_EQ(Must(DumpSchema(*connection_, "millrace")), once);
  Must(ValidateSchema(*connection_, "millrace"));
  Must(MigrateDown(*connection_, "millrace", 0));
  EXPECT_EQ(Must(DumpSchema(*connection_, "millrace")), "");
  for (const MigrationStatus& one : Must(ReadMigrations(*connection_, "millrace"))) EXPECT_FALSE(one.applied);
}

TEST_F(MigrateTest, TheSchemaIsTheGoldenOne) {
  Must(MigrateUp(*connection_, "millrace"));
  const std::string golden = MILLRACE_SOURCE_DIR "/tests/golden/postgres_schema.txt";
  std::ifstream file(golden);
  const std::string expected((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const std::string found = Must(DumpSchema(*connection_, "millrace"));
  if (std::getenv("MILLRACE_WRITE_GOLDEN") != nullptr) std::ofstream(golden) << found;
  EXPECT_EQ(found, expected) << "if the change is meant: MILLRACE_WRITE_GOLDEN=1 writes the file";
}

TEST_F(MigrateTest, TwoSchemasLiveInOneDatabase) {
  Must(MigrateUp(*connection_, "one"));
  Must(MigrateUp(*connection_, "two"));
  Must(MigrateDown(*connection_, "one", 0));
  Must(ValidateSchema(*connection_, "two"));
}

TEST_F(MigrateTest, ValidateNamesWhatDiffers) {
  Must(MigrateUp(*connection_, "millrace"));
  Must(connection_->Script("DROP INDEX millrace.job_due"));
  const auto valid = ValidateSchema(*connection_, "millrace");
  ASSERT_FALSE(valid);
  EXPECT_EQ(valid.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(valid.error().message, HasSubstr("job_due"));
}

TEST_F(MigrateTest, ASchemaThatIsNotThereNamesTheCommand) {
  const auto opened = OpenDriver();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kSchemaOld);
  EXPECT_THAT(opened.error().message, HasSubstr("run 'millrace migrate up --db postgres://"));
}

TEST_F(MigrateTest, ANewerBreakingSchemaIsRefused) {
  Must(MigrateUp(*connection_, "millrace"));
  Must(connection_->Script("INSERT INTO millrace.schema_migration VALUES (900, 'future', false)"));
  EXPECT_TRUE(OpenDriver()) << "what is not breaking is left alone";
  Must(connection_->Script("UPDATE millrace.schema_migration SET breaking = true WHERE number = 900"));
  const auto opened = OpenDriver();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kSchemaNew);
  EXPECT_THAT(opened.error().message, HasSubstr("migration 900 (future)"));
  EXPECT_EQ(MigrateUp(*connection_, "millrace").error().code, ErrorCode::kSchemaNew);
}

TEST_F(MigrateTest, AReadOnlyServerIsTold) {
  Must(MigrateUp(*connection_, "millrace"));
  Must(
      connection_->Script("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', "
                          "current_database()); END $$"));
  const auto opened = OpenDriver();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kReadOnly);
}

TEST_F(MigrateTest, BadSchemaNamesAreRefusedBeforeAnythingIsSent) {
  for (const char* name : {"", "Upper", "1st", "pg_own", "a-b", "a\"; DROP SCHEMA x; --"}) {
    EXPECT_EQ(MigrateUp(*connection_, name).error().code, ErrorCode::kInvalidArgument) << name;
  }
}

// A login with one role; runs a statement as it.
class RolesTest : public MigrateTest {
 protected:
  void SetUp() override {
    MigrateTest::SetUp();
    if (IsSkipped()) return;
    Must(MigrateUp(*connection_, "millrace"));
  }
  Result<void> As(const std::string& role, const std::string& sql) {
    Must(connection_->Begin());
    Must(connection_->Script("SET LOCAL ROLE " + role));
    auto done = connection_->Script(sql);
    (void)connection_->Rollback();
    return done;
  }
};

TEST_F(RolesTest, AProducerEnqueuesAndNothingElse) {
  EXPECT_TRUE(As("millrace_producer", "SELECT millrace.enqueue('k', '{\"a\": 1}', priority => 'high')"));
  for (const char* sql : {"SELECT * FROM millrace.job", "DELETE FROM millrace.job",
                          "SELECT millrace.cancel_jobs('{1}')", "INSERT INTO millrace.queue (name) VALUES ('x')"}) {
    const auto done = As("millrace_producer", sql);
    ASSERT_FALSE(done) << sql;
    EXPECT_EQ(done.error().code, ErrorCode::kPermission) << sql;
  }
}

TEST_F(RolesTest, AProducerCopiesIntoATableOfItsOwn) {
  EXPECT_TRUE(As("millrace_producer",
                 "CREATE TEMP TABLE mine (kind text); INSERT INTO mine VALUES ('a'), ('b');"
                 " SELECT 1 / millrace.enqueue_from('mine')"));
  Must(connection_->Script("CREATE TABLE others (kind text); INSERT INTO others VALUES ('a')"));
  EXPECT_FALSE(As("millrace_producer", "SELECT millrace.enqueue_from('others')")) << "it may not read that";
}

TEST_F(RolesTest, AReaderLooksAndNothingElse) {
  EXPECT_TRUE(As("millrace_reader", "SELECT * FROM millrace.every_job; SELECT * FROM millrace.lane_count"));
  for (const char* sql :
       {"DELETE FROM millrace.job", "SELECT millrace.enqueue('k')", "SELECT millrace.fold_counts()"}) {
    EXPECT_FALSE(As("millrace_reader", sql)) << sql;
  }
}

TEST_F(RolesTest, AWorkerWorksButDoesNotMigrate) {
  Must(connection_->Script("CREATE ROLE worker_login LOGIN PASSWORD 'secret' IN ROLE millrace_worker"));
  StorageOptions options;
  const std::string database = url_.substr(url_.rfind('/') + 1, url_.find('?', url_.rfind('/')) - url_.rfind('/') - 1);
  options.url = TestCluster::Get().Url(database, "worker_login", "secret");
  {
    auto driver = Must(OpenPostgres(options));
    const WorkerRef worker = Must(driver->RegisterWorker({.id = "w", .slots = 1}));
    const NewJob job = JobOf("k");
    Must(driver->Enqueue({&job, 1}));
    ClaimRequest request;
    request.worker = worker;
    request.max_jobs = 1;
    const auto claimed = Must(driver->Claim(request)).jobs;
    ASSERT_EQ(claimed.size(), 1u);
    const Report done = ReportOf(claimed[0], Verdict::kCompleted);
    EXPECT_EQ(Must(driver->ReportOutcomes(worker, {&done, 1})), Accepted{true});
    Must(driver->Rescue(kStale, kSecond));
    Must(driver->DeleteFinished(Must(driver->Now()), 10));
    Must(driver->StopWorker(worker));
  }
  auto hand = Connect(options.url);
  EXPECT_EQ(hand->Script("DELETE FROM millrace.schema_migration").error().code, ErrorCode::kPermission);
  hand.reset();
  Must(connection_->Script("DROP ROLE worker_login"));
}

// What the SQL function tells a producer.
struct BadCall {
  const char* sql;
  ErrorCode code;
  const char* says;
};

class ProducersTest : public RolesTest {};

TEST_F(ProducersTest, ManyJobsInOneCallInTheCallersTransaction) {
  Must(connection_->Begin());
  Must(connection_->Script(
      "SELECT millrace.enqueue_many(ARRAY['a', 'b'], ARRAY['{}', '{\"n\": 2}']::jsonb[], queue => 'q',"
      " delay => '1 hour', unique_keys => ARRAY[NULL, 'u'], tags => ARRAY['t'])"));
  auto driver = Must(OpenDriver());
  EXPECT_TRUE(Must(driver->ListJobs({})).empty()) << "not committed yet";
  Must(connection_->Commit());
  const std::vector<Job> jobs = Must(driver->ListJobs({}));
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[1].kind, "b");
  EXPECT_EQ(jobs[1].args, "{\"n\": 2}");
  EXPECT_EQ(jobs[1].state, JobState::kScheduled);
  EXPECT_EQ(jobs[1].unique_key, "u");
  EXPECT_EQ(jobs[1].tags, std::vector<std::string>{"t"});
  const ResultSet again = Must(connection_->Run({"again", "SELECT millrace.enqueue('b', unique_key => 'u')"}));
  EXPECT_EQ(again.row(0).integer(0), jobs[1].id) << "the unfinished job that has the key";
}

TEST_F(ProducersTest, BadInputIsToldByFieldAndNothingIsEnqueued) {
  Must(connection_->Script("INSERT INTO millrace.queue (name, capacity) VALUES ('small', 1)"));
  Must(connection_->Script("SELECT millrace.enqueue('k', queue => 'small')"));
  for (const BadCall& bad :
       {BadCall{"SELECT millrace.enqueue('')", ErrorCode::kInvalidArgument, "job 0 of the batch: kind"},
        BadCall{"SELECT millrace.enqueue('k', '[]')", ErrorCode::kInvalidArgument, "args: a JSON object is needed"},
        BadCall{"SELECT millrace.enqueue('k', priority => 'urgent')", ErrorCode::kInvalidArgument,
                "no priority 'urgent'"},
        BadCall{"SELECT millrace.enqueue('k', queue => '')", ErrorCode::kInvalidArgument, "queue"},
        BadCall{"SELECT millrace.enqueue('k', run_id => 99)", ErrorCode::kInvalidArgument, "run 99 is not active"},
        BadCall{"SELECT millrace.enqueue('k', queue => 'small')", ErrorCode::kQueueFull, "its capacity is 1"},
        BadCall{"SELECT millrace.enqueue_many(ARRAY['k'], ARRAY[]::jsonb[])", ErrorCode::kInvalidArgument, "argss"}}) {
    const auto done = connection_->Script(bad.sql);
    ASSERT_FALSE(done) << bad.sql;
    EXPECT_EQ(done.error().code, bad.code) << done.error().message;
    EXPECT_THAT(done.error().message, HasSubstr(bad.says));
  }
  EXPECT_EQ(Must(Must(OpenDriver())->ListJobs({})).size(), 1u);
}

TEST_F(ProducersTest, RowsThatWereCopiedAreEnqueued) {
  Must(connection_->Script(
      "CREATE TEMP TABLE many (args jsonb, kind text, priority text, run_at timestamptz, tags text[], unique_key text);"
      "INSERT INTO many SELECT jsonb_build_object('n', i), 'k' || i % 2,"
      " CASE WHEN i % 3 = 0 THEN 'high' END, CASE WHEN i % 5 = 0 THEN now() + '1 hour' END,"
      " CASE WHEN i % 7 = 0 THEN ARRAY['seventh', 'it''s'] END, CASE WHEN i <= 2 THEN 'u' END"
      " FROM generate_series(1, 50000) AS i"));
  EXPECT_EQ(Must(connection_->Run({"bulk", "SELECT millrace.enqueue_from('many')"})).row(0).integer(0), 49999)
      << "all but the one whose unique key was taken";
  const ResultSet sums = Must(
      connection_->Run({"sums",
                        "SELECT count(*), count(*) FILTER (WHERE kind = 'k1'), count(*) FILTER (WHERE priority = 1),"
                        " count(*) FILTER (WHERE state = 1), count(*) FILTER (WHERE tags = ARRAY['seventh', 'it''s']),"
                        " count(*) FILTER (WHERE queue = 'default') FROM millrace.job"}));
  EXPECT_EQ(sums.row(0).integer(0), 49999);
  EXPECT_EQ(sums.row(0).integer(1), 25000);
  EXPECT_EQ(sums.row(0).integer(2), 16666);
  EXPECT_EQ(sums.row(0).integer(3), 10000);
  EXPECT_EQ(sums.row(0).integer(4), 7142);
  EXPECT_EQ(sums.row(0).integer(5), 49999);
  const QueueRow queue = Must(Must(OpenDriver())->Queues()).at(0);
  const auto& counts = queue.counts;
  EXPECT_EQ(counts[1][static_cast<int>(JobState::kAvailable)] + counts[2][static_cast<int>(JobState::kAvailable)],
            39999)
      << "they are counted";
}

TEST_F(ProducersTest, BadRowsAreToldByNumberAndNoneIsEnqueued) {
  Must(connection_->Script(
      "INSERT INTO millrace.queue (name, capacity) VALUES ('small', 1);"
      "CREATE TABLE good (kind text, args jsonb); CREATE TABLE typo (kind text, prio text); CREATE TABLE none (args "
      "jsonb);"
      "CREATE TABLE full_queue (kind text, queue text); CREATE TABLE odd (kind text, priority text, timeout interval);"
      "CREATE VIEW seen AS SELECT * FROM good;"
      "INSERT INTO good SELECT 'k', CASE WHEN i = 30000 THEN '[]' ELSE '{}' END::jsonb FROM generate_series(1, 40000) "
      "AS i;"
      "INSERT INTO full_queue VALUES ('k', 'small'), ('k', 'small');"
      "INSERT INTO odd VALUES ('k', 'low', '1 s'), ('k', 'urgent', '-1 s')"));
  for (const BadCall& bad :
       {BadCall{"SELECT millrace.enqueue_from('good')", ErrorCode::kInvalidArgument, "row 30000: args: a JSON object"},
        BadCall{"SELECT millrace.enqueue_from('typo')", ErrorCode::kInvalidArgument, "column \"prio\" is no field"},
        BadCall{"SELECT millrace.enqueue_from('none')", ErrorCode::kInvalidArgument, "has no column \"kind\""},
        BadCall{"SELECT millrace.enqueue_from('seen')", ErrorCode::kInvalidArgument, "is no table"},
        BadCall{"SELECT millrace.enqueue_from('full_queue')", ErrorCode::kQueueFull, "its capacity is 1"},
        BadCall{"SELECT millrace.enqueue_from('odd')", ErrorCode::kInvalidArgument, "row 2: timeout: is negative"},
        BadCall{"UPDATE odd SET timeout = NULL; SELECT millrace.enqueue_from('odd')", ErrorCode::kInvalidArgument,
                "no priority 'urgent'"}}) {
    const auto done = connection_->Script(bad.sql);
    ASSERT_FALSE(done) << bad.sql;
    EXPECT_EQ(done.error().code, bad.code) << done.error().message;
    EXPECT_THAT(done.error().message, HasSubstr(bad.says));
  }
  EXPECT_TRUE(Must(Must(OpenDriver())->ListJobs({})).empty());
}

}  // namespace
}  // namespace millrace::storage::postgres
