// What only SQLite has: the file, its owner, its schema, and the plans of its hot statements.
#include "storage/sqlite/driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/test_dir.h"
#include "sqlite_queries.h"
#include "storage/sqlite/database.h"
#include "storage/sqlite/migrate.h"

namespace millrace::storage::sqlite {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class SqliteDriverTest : public ::testing::Test {
 protected:
  Result<std::unique_ptr<Storage>> Open() {
    StorageOptions options;
    options.url = path_;
    options.owner = "a test";
    return OpenSqlite(options);
  }
  Error OpenError() {
    auto opened = Open();
    EXPECT_FALSE(opened.has_value());
    return opened ? Error{} : opened.error();
  }
  std::unique_ptr<Database> Raw() { return Database::Open(path_, Database::Mode::kReadWriteCreate).value(); }

  base::TestDir dir_;
  std::string path_ = dir_.file("jobs.db");
};

TEST_F(SqliteDriverTest, ASecondOwnerIsRefusedByName) {
  auto first = Open();
  ASSERT_TRUE(first.has_value()) << first.error().message;
  const Error error = OpenError();
  EXPECT_EQ(error.code, ErrorCode::kOwned);
  EXPECT_THAT(error.message, HasSubstr("process " + std::to_string(getpid()) + ", a test"));
  EXPECT_THAT(error.message, HasSubstr(path_ + ".sock"));
  first->reset();
  EXPECT_TRUE(Open().has_value()) << "the lock goes with its owner";
}

TEST_F(SqliteDriverTest, ALinkToTheFileNamesTheSameOwner) {
  std::filesystem::create_symlink("later.db", dir_.file("link.db"));
  std::filesystem::create_symlink(dir_.file("link.db"), dir_.file("link to link.db"));
  path_ = dir_.file("link to link.db");
  auto first = Open();  // creates later.db
  ASSERT_TRUE(first.has_value()) << first.error().message;
  for (const char* name : {"later.db", "link.db", "link to link.db"}) {
    path_ = dir_.file(name);
    const Error error = OpenError();
    EXPECT_EQ(error.code, ErrorCode::kOwned) << name;
    EXPECT_THAT(error.message, HasSubstr("process " + std::to_string(getpid()) + ", a test")) << name;
    EXPECT_THAT(error.message, HasSubstr("later.db.sock")) << name;
  }
  first->reset();
  EXPECT_TRUE(Open().has_value());
}

TEST_F(SqliteDriverTest, AHardLinkToTheFileIsRefused) {
  auto first = Open();
  ASSERT_TRUE(first.has_value()) << first.error().message;
  std::filesystem::create_hard_link(path_, dir_.file("hard.db"));
  path_ = dir_.file("hard.db");
  const Error error = OpenError();
  EXPECT_EQ(error.code, ErrorCode::kOwned);
  EXPECT_THAT(error.message, HasSubstr("under another name"));
}

TEST_F(SqliteDriverTest, ARemovedLockFileLetsNoSecondOwnerIn) {
  auto first = Open();
  ASSERT_TRUE(first.has_value()) << first.error().message;
  ASSERT_TRUE(std::filesystem::remove(path_ + ".lock"));
  EXPECT_EQ(OpenError().code, ErrorCode::kOwned);
  first->reset();
  EXPECT_TRUE(Open().has_value());
}

TEST_F(SqliteDriverTest, AFileThatIsNoDatabaseIsRefusedAndLeftAlone) {
  const std::string text =
      "Dear diary, this is not a database, and it is longer than a header of one hundred bytes, which SQLite reads.";
  std::ofstream(path_) << text;
  EXPECT_EQ(OpenError().code, ErrorCode::kNotADatabase);
  std::stringstream after;
  after << std::ifstream(path_).rdbuf();
  EXPECT_EQ(after.str(), text);
}

TEST_F(SqliteDriverTest, ASqliteFileOfSomethingElseIsRefused) {
  ASSERT_TRUE(Raw()->ExecuteScript("CREATE TABLE recipe (name TEXT)").has_value());
  const Error error = OpenError();
  EXPECT_EQ(error.code, ErrorCode::kNotADatabase);
  EXPECT_THAT(error.message, HasSubstr("not a Millrace database"));
}

TEST_F(SqliteDriverTest, AMissingFolderIsNamed) {
  path_ = dir_.file("nowhere/jobs.db");
  const Error error = OpenError();
  EXPECT_THAT(error.message, HasSubstr("nowhere"));
}

TEST_F(SqliteDriverTest, AReadOnlyFileIsRefused) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write anything; the end-to-end tests use a read-only file system";
  { ASSERT_TRUE(Open().has_value()); }
  chmod(path_.c_str(), 0444);
  EXPECT_EQ(OpenError().code, ErrorCode::kReadOnly);
}

TEST_F(SqliteDriverTest, ADamagedFileIsReportedNotTrusted) {
  {
    auto storage = Open().value();
    std::vector<NewJob> jobs(2000);
    for (NewJob& job : jobs) job.kind = "k";
    ASSERT_TRUE(storage->Enqueue(jobs).has_value());
  }
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    for (int page = 3; page < 60; ++page) {
      file.seekp(page * 4096);
      file << std::string(4096, 'x');
    }
  }
  auto opened = Open();
  if (opened) {
    auto listed = (*opened)->ListJobs({});
    ASSERT_FALSE(listed.has_value());
    EXPECT_EQ(listed.error().code, ErrorCode::kCorrupt);
  } else {
    EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt) << opened.error().message;
  }
}

TEST_F(SqliteDriverTest, AFileWhoseMakerWasKilledInTheMiddleIsCompleted) {
  {
    auto raw = Raw();  // marked as ours, and nothing in it yet
    ASSERT_TRUE(raw->ExecuteScript("PRAGMA application_id=0x4D494C52").has_value());
  }
  auto opened = Open();
  ASSERT_TRUE(opened.has_value()) << opened.error().message;
  opened->reset();
  EXPECT_TRUE(ValidateSchema(*Raw()).has_value());
}

TEST_F(SqliteDriverTest, SchemaIsAsItsMigrationsMakeItAndGoesBackAndForth) {
  { ASSERT_TRUE(Open().has_value()); }
  auto database = Raw();
  EXPECT_TRUE(ValidateSchema(*database).has_value());
  const std::string before = DumpSchema(*database).value();
  ASSERT_TRUE(MigrateDown(*database, 0).has_value());
  EXPECT_THAT(DumpSchema(*database).value(), Not(HasSubstr("CREATE TABLE job")));
  ASSERT_TRUE(MigrateUp(*database).has_value());
  EXPECT_EQ(DumpSchema(*database).value(), before);
  ASSERT_TRUE(database->ExecuteScript("DROP INDEX job_due").has_value());
  const auto valid = ValidateSchema(*database);
  ASSERT_FALSE(valid.has_value());
  EXPECT_THAT(valid.error().message, HasSubstr("job_due"));
}

TEST_F(SqliteDriverTest, ANewerBreakingSchemaIsRefusedANewerHarmlessOneIsNot) {
  { ASSERT_TRUE(Open().has_value()); }
  ASSERT_TRUE(Raw()->ExecuteScript("INSERT INTO schema_migration VALUES (900, 'harmless', 0, 0)").has_value());
  EXPECT_TRUE(Open().has_value());
  ASSERT_TRUE(Raw()->ExecuteScript("INSERT INTO schema_migration VALUES (901, 'new_world', 1, 0)").has_value());
  const Error error = OpenError();
  EXPECT_EQ(error.code, ErrorCode::kSchemaNew);
  EXPECT_THAT(error.message, HasSubstr("901 (new_world)"));
}

// Golden: each hot statement walks one index in claim order; none sorts, none scans the table.
TEST_F(SqliteDriverTest, HotStatementsUseTheirIndexes) {
  { ASSERT_TRUE(Open().has_value()); }
  auto database = Raw();
  const auto plan = [&](std::string_view sql) {
    auto statement = database->Prepare("EXPLAIN QUERY PLAN " + std::string(sql)).value();
    std::string text;
    while (statement->Step().value()) text += std::string(statement->text(3)) + "\n";
    return text;
  };
  EXPECT_THAT(plan(queries::kReadyJobs), HasSubstr("SEARCH job USING COVERING INDEX job_ready (queue=? AND priority=? "
                                                   "AND state=? AND partition_key=? AND run_at>?)"));
  EXPECT_THAT(plan(queries::kDueJobs), HasSubstr("USING INDEX job_due (run_at<?)"));
  EXPECT_THAT(plan(queries::kNextDue), HasSubstr("COVERING INDEX job_due"));
  EXPECT_THAT(plan(queries::kFindUnique), HasSubstr("INDEX job_unique (unique_key=?)"));
  EXPECT_THAT(plan(queries::kNextInPartition), HasSubstr("COVERING INDEX job_ready_in_partition (partition_key=? AND "
                                                         "queue=? AND priority=? AND state=? AND run_at>?)"));
  EXPECT_THAT(plan(queries::kPartitionHeads), HasSubstr("INDEX partition_head_order (queue=? AND priority=?)"));
  for (const auto sql : {queries::kStartJob, queries::kCompleteJob, queries::kFinishJob, queries::kPutBackJob}) {
    EXPECT_THAT(plan(sql), HasSubstr("SEARCH job USING INTEGER PRIMARY KEY (rowid=?)"));
  }
  for (const auto sql : {queries::kReadyJobs, queries::kNextInPartition, queries::kPartitionHeads, queries::kDueJobs}) {
    EXPECT_THAT(plan(sql), Not(HasSubstr("TEMP B-TREE"))) << sql;
    EXPECT_THAT(plan(sql), Not(HasSubstr("SCAN"))) << sql;
  }
}

// A file system that fills up: the call fails by name, nothing is half done, and work goes on when there is room again.
TEST_F(SqliteDriverTest, AFullDiskLosesNothing) {
  auto storage = Open().value();
  std::vector<NewJob> jobs(500);
  for (NewJob& job : jobs) job.kind = "k";
  ASSERT_TRUE(storage->Enqueue(jobs).has_value());
  const std::int64_t pages = [&] {
    std::int64_t count = 0;
    EXPECT_TRUE(storage->Read([&](SqlSession& sql) {
      return sql.query("PRAGMA page_count", {}, [&](const SqlRow& row) {
        count = row.integer(0);
        return true;
      });
    }));
    return count;
  }();
  const std::string limit = "PRAGMA max_page_count=" + std::to_string(pages + 2);
  ASSERT_TRUE(storage->Transact([&](Transaction& tx) { return tx.sql().execute(limit); }));
  const auto full = storage->Enqueue(jobs);
  ASSERT_FALSE(full.has_value());
  EXPECT_EQ(full.error().code, ErrorCode::kDiskFull) << full.error().message;
  JobFilter all;
  all.limit = 10'000;
  EXPECT_EQ(storage->ListJobs(all).value().size(), 500U);
  EXPECT_EQ(storage->Queues().value().at(0).counts[2][static_cast<int>(JobState::kAvailable)], 500);
  ASSERT_TRUE(storage->Transact([&](Transaction& tx) { return tx.sql().execute("PRAGMA max_page_count=1000000"); }));
  EXPECT_TRUE(storage->Enqueue(jobs).has_value());
}

}  // namespace
}  // namespace millrace::storage::sqlite
