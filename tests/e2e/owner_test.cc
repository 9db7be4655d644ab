// One process owns a database file: a second owner is refused by name, and commands reach the first through its socket.
#include "support/owner.h"

#include <gtest/gtest.h>

#include <csignal>

#include "support/content.h"

namespace millrace::tests {
namespace {

using base::json::value;
using std::chrono::seconds;

class Owner : public OwnerTest {
 protected:
  Ended Do(std::vector<std::string> args) {
    args.insert(args.end(), {"--db", "m.db"});
    return RunMillrace(folder_.path(), std::move(args));
  }
  value DoJson(std::vector<std::string> args) {
    args.insert(args.end(), {"--db", "m.db"});
    return MustJson(folder_.path(), std::move(args));
  }
};

TEST_F(Owner, ASecondOwnerIsRefusedByName) {
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"worker"}, std::vector<std::string>{"run", "documents", "in"}}) {
    Ended ended = Do(command);
    EXPECT_EQ(ended.code, 1) << command[0] << "\n" << Describe(ended);
    EXPECT_NE(ended.err.find(std::to_string(worker_->pid())), std::string::npos) << Describe(ended);
    EXPECT_NE(ended.err.find("m.db"), std::string::npos) << Describe(ended);
  }
}

TEST_F(Owner, ALinkToTheDatabaseLeadsToItsOwner) {
  std::filesystem::create_symlink("m.db", folder_ / "link.db");
  Ended second = RunMillrace(folder_.path(), {"worker", "--db", "link.db"});
  EXPECT_EQ(second.code, 1) << Describe(second);
  EXPECT_NE(second.err.find(std::to_string(worker_->pid())), std::string::npos) << Describe(second);
  Ended search = RunMillrace(folder_.path(), {"search", "wobbegong", "--db", "link.db"});
  EXPECT_EQ(search.code, 0) << Describe(search);
  EXPECT_NE(search.out.find("note.txt"), std::string::npos) << Describe(search);
}

TEST_F(Owner, CommandsReachTheOwner) {
  EXPECT_EQ(DoJson({"search", "wobbegong"}).at("hits").as_array().size(), 1u);
  EXPECT_EQ(DoJson({"deadletter", "list"}).at("dead").as_array().size(), 1u);
  EXPECT_EQ(Do({"queues", "pause", "later"}).code, 0);
  Ended enqueued = Do({"enqueue", "documents.parse", "{}", "--queue", "later", "--json"});
  EXPECT_EQ(enqueued.code, 0) << Describe(enqueued);
  value jobs = DoJson({"jobs", "list", "--queue", "later"});
  ASSERT_EQ(jobs.at("jobs").as_array().size(), 1u) << base::ToPrettyJson(jobs);
  EXPECT_EQ(jobs.at("jobs").at(0).at("state").as_string(), "available");
  EXPECT_EQ(Do({"queues", "resume", "later"}).code, 0);
  EXPECT_EQ(Do({"queues", "list"}).code, 0);
  EXPECT_EQ(Do({"workers"}).code, 0);
  EXPECT_EQ(Do({"healthcheck", "--live"}).code, 0);
  EXPECT_EQ(DoJson({"sources", "forget", "in", "--yes"}).at("documents").to_number<int>(), 2);
  EXPECT_EQ(DoJson({"search", "wobbegong"}).at("hits").as_array().size(), 0u);
  Ended threads = Do({"debug", "threads"});
  EXPECT_EQ(threads.code, 0) << Describe(threads);
  EXPECT_NE(threads.out.find("WaitForWork"), std::string::npos) << Describe(threads);
}

TEST_F(Owner, ARunIsStartedAndLeftToTheOwner) {
  WriteFile(folder_ / "more" / "late.txt", "The numbat came late.\n");
  const value started = DoJson({"runs", "start", "documents", "more"});
  EXPECT_FALSE(started.at("joined").as_bool());
  const std::string id = base::ToJson(started.at("run_id"));
  value run = DoJson({"runs", "show", id});
  while (run.at("state").as_string() == "active") {
    ASSERT_FALSE(worker_->WaitForExit(std::chrono::milliseconds(1)));
    run = DoJson({"runs", "show", id});
  }
  EXPECT_EQ(run.at("state").as_string(), "completed") << base::ToPrettyJson(run);
  EXPECT_EQ(DoJson({"search", "numbat"}).at("hits").as_array().size(), 1u);
}

TEST_F(Owner, TheSchemaCanBeReadBesideTheOwner) {
  value status = DoJson({"migrate", "status"});
  ASSERT_FALSE(status.at("migrations").as_array().empty());
  for (const value& migration : status.at("migrations").as_array()) EXPECT_TRUE(migration.at("applied").as_bool());
  EXPECT_EQ(Do({"migrate", "validate"}).code, 0);
  // What writes is refused as before, and the owner goes on.
  Ended up = Do({"migrate", "up"});
  EXPECT_EQ(up.code, 1) << Describe(up);
  EXPECT_NE(up.err.find(std::to_string(worker_->pid())), std::string::npos) << Describe(up);
  EXPECT_EQ(Do({"healthcheck", "--live"}).code, 0);
}

}  // namespace
}  // namespace millrace::tests
