// What only SQLite has: the file, its owner, its schema, and the plans of its hot statements.
#include "storage/sqlite/driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include "base/test_dir.h"
#include "base/test_unprivileged.h"
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
  static Error ErrorOf(const Result<std::unique_ptr<Storage>>& opened) {
    EXPECT_FALSE(opened.has_value());
    return opened ? Error{} : opened.error();
  }
  Error OpenError() { return ErrorOf(Open()); }
  Result<std::unique_ptr<Storage>> Look() {
    StorageOptions options;
    options.url = path_;
    return OpenSqliteToLook(options);
  }
  // With so many jobs, and nobody who owns it.
  void MakeDatabase(std::size_t jobs) {
    auto storage = Open().value();
    ASSERT_TRUE(storage->Enqueue(std::vector<NewJob>(jobs, SomeJob())).has_value());
  }
  static NewJob SomeJob() {
    NewJob job;
    job.kind = "k";
    return job;
  }
  // From now on nothing in the folder may be written, by root neither.
  void Forbid() {
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) chmod(entry.path().c_str(), 0444);
    chmod(dir_.path().c_str(), 0555);
    unprivileged_.emplace();
  }
  // The names in the folder.
  std::set<std::string> Names() {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) names.insert(entry.path().filename());
    return names;
  }
  void TearDown() override {
    unprivileged_.reset();
    chmod(dir_.path().c_str(), 0755);
  }
  std::unique_ptr<Database> Raw() { return Database::Open(path_, Database::Mode::kReadWriteCreate).value(); }

  base::TestDir dir_;
  std::string path_ = dir_.file("jobs.db");
  std::optional<base::Unprivileged> unprivileged_;
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
  MakeDatabase(1);
  chmod(path_.c_str(), 0444);
  const base::Unprivileged unprivileged;
  EXPECT_EQ(OpenError().code, ErrorCode::kReadOnly);
}

TEST_F(SqliteDriverTest, AFileThatMayNotBeWrittenCanBeLookedAt) {
  MakeDatabase(3);
  path_ = dir_.file("100% #1?.db");  // signs with a meaning in SQLite's addresses
  std::filesystem::rename(dir_.file("jobs.db"), path_);
  std::filesystem::remove(dir_.file("jobs.db.lock"));
  const auto names = Names();
  Forbid();
  EXPECT_EQ(OpenError().code, ErrorCode::kReadOnly);
  {
    auto storage = Look();
    ASSERT_TRUE(storage.has_value()) << storage.error().message;
    EXPECT_EQ((*storage)->ListJobs({}).value().size(), 3U);
    EXPECT_EQ((*storage)->Queues().value().at(0).counts[static_cast<int>(Priority::kDefault)]
                                                       [static_cast<int>(JobState::kAvailable)],
              3);
    const NewJob job = SomeJob();
    const auto refused = (*storage)->Enqueue({&job, 1});
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kReadOnly);
    EXPECT_THAT(refused.error().message, HasSubstr("make them writable"));
  }
  EXPECT_EQ(Names(), names);
}

// Two slashes begin what a URI takes for the name of a machine.
TEST_F(SqliteDriverTest, APathOfTwoSlashesIsAPath) {
  MakeDatabase(1);
  Forbid();
  path_ = "/" + path_;
  auto storage = Look();
  ASSERT_TRUE(storage.has_value()) << storage.error().message;
  EXPECT_EQ((*storage)->ListJobs({}).value().size(), 1U);
}

// A memory of what history has must not outlive the clock it was made by.
TEST_F(SqliteDriverTest, HistoryIsDeletedAfterTheClockWasSetBack) {
  base::ManualClock clock{Time(std::chrono::seconds(1'700'000'000))};
  StorageOptions options;
  options.url = path_;
  auto storage = OpenSqlite(options, clock).value();
  EXPECT_EQ(storage->DeleteFinished(clock.Now(), 10).value(), 0);
  clock.Advance(-std::chrono::hours(10));
  const NewJob job = SomeJob();
  ASSERT_TRUE(storage->Enqueue({&job, 1}).has_value());
  ASSERT_EQ(storage->Cancel({}).value().size(), 1U);
  clock.Advance(std::chrono::hours(1));
  EXPECT_EQ(storage->DeleteFinished(clock.Now(), 10).value(), 1);
}

TEST_F(SqliteDriverTest, ToLookAtAFileThatMayBeWrittenIsToOwnIt) {
  MakeDatabase(1);
  auto storage = Look();
  ASSERT_TRUE(storage.has_value()) << storage.error().message;
  const NewJob job = SomeJob();
  EXPECT_TRUE((*storage)->Enqueue({&job, 1}).has_value());
  EXPECT_EQ(OpenError().code, ErrorCode::kOwned);
}

// As a process leaves it that was killed, and as its copies are.
TEST_F(SqliteDriverTest, WhatStandsInTheLogIsLookedAtToo) {
  auto owner = Open().value();
  const NewJob job = SomeJob();
  ASSERT_TRUE(owner->Enqueue({&job, 1}).has_value());
  std::filesystem::create_directory(dir_.file("copy"));
  const std::string copy = dir_.file("copy/jobs.db");
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::copy_file(path_ + suffix, copy + suffix);
  ASSERT_GT(std::filesystem::file_size(copy + "-wal"), 0U);
  owner.reset();
  path_ = copy;
  for (const char* suffix : {"", "-wal", "-shm"}) chmod((copy + suffix).c_str(), 0444);
  chmod(dir_.file("copy").c_str(), 0555);
  {
    const base::Unprivileged unprivileged;
    auto storage = Look();
    ASSERT_TRUE(storage.has_value()) << storage.error().message;
    EXPECT_EQ((*storage)->ListJobs({}).value().size(), 1U);
  }
  std::filesystem::permissions(dir_.file("copy"), std::filesystem::perms::owner_all);
  std::filesystem::remove(copy + "-shm");
  chmod(dir_.file("copy").c_str(), 0555);
  {
    const base::Unprivileged unprivileged;
    const Error error = ErrorOf(Look());
    EXPECT_EQ(error.code, ErrorCode::kReadOnly);
    EXPECT_THAT(error.message, HasSubstr("copy the file and its -wal"));
  }
  chmod(dir_.file("copy").c_str(), 0755);
}

TEST_F(SqliteDriverTest, NobodyOwnsAFileThatIsBeingReadAndReadersFindItsOwner) {
  MakeDatabase(1);
  Forbid();
  {
    auto one = Look();
    auto another = Look();
    EXPECT_TRUE(one.has_value() && another.has_value());
    TearDown();
    chmod(path_.c_str(), 0644);
    chmod((path_ + ".lock").c_str(), 0644);
    const Error error = OpenError();
    EXPECT_EQ(error.code, ErrorCode::kOwned);
    EXPECT_THAT(error.message, HasSubstr("is being read"));
  }
  const auto owner = Open();
  ASSERT_TRUE(owner.has_value()) << owner.error().message;
  Forbid();
  const Error error = ErrorOf(Look());
  EXPECT_EQ(error.code, ErrorCode::kOwned);
  EXPECT_THAT(error.message, HasSubstr("a test"));
}

TEST_F(SqliteDriverTest, WhatIsWrongWithAFileIsToldRatherThanWithItsLock) {
  std::ofstream(path_) << "This is a letter.";
  EXPECT_EQ(OpenError().code, ErrorCode::kNotADatabase);
  EXPECT_EQ(Names(), std::set<std::string>{"jobs.db"}) << "no lock beside what is no database";
  chmod(dir_.path().c_str(), 0555);
  {
    const base::Unprivileged unprivileged;
    EXPECT_EQ(ErrorOf(Look()).code, ErrorCode::kNotADatabase);
    chmod(path_.c_str(), 0);
    EXPECT_EQ(OpenError().code, ErrorCode::kPermission);
    EXPECT_EQ(ErrorOf(Look()).code, ErrorCode::kPermission);
  }
  TearDown();
  std::filesystem::remove(path_);
  MakeDatabase(1);
  ASSERT_TRUE(Raw()->ExecuteScript("INSERT INTO schema_migration VALUES (9999, 'future', 1, 0)").has_value());
  // The lock cannot be had, and the file is not the reason.
  std::filesystem::remove(path_ + ".lock");
  std::filesystem::create_directory(path_ + ".lock");
  EXPECT_EQ(OpenError().code, ErrorCode::kSchemaNew);
  Forbid();
  EXPECT_EQ(ErrorOf(Look()).code, ErrorCode::kSchemaNew);
}

TEST_F(SqliteDriverTest, AnOldSchemaThatMayNotBeWrittenIsTold) {
  ASSERT_TRUE(MigrateUp(*Raw(), 2).has_value());
  Forbid();
  const Error error = ErrorOf(Look());
  EXPECT_EQ(error.code, ErrorCode::kSchemaOld);
  EXPECT_THAT(error.message, HasSubstr("lacks migration 3"));
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
