// What people get wrong: every mistake has an exit code and a message that says what, where and what to do.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "support/content.h"
#include "support/make_documents.h"
#include "support/program.h"

namespace millrace::tests {
namespace {

class BadInput : public ::testing::Test {
 protected:
  // The command fails with `code` and its standard error has all of `words`.
  void ExpectError(std::vector<std::string> args, int code, const std::vector<std::string>& words) {
    Ended ended = RunMillrace(folder_.path(), std::move(args));
    EXPECT_EQ(ended.code, code) << Describe(ended);
    for (const std::string& word : words) {
      EXPECT_NE(ended.err.find(word), std::string::npos) << "'" << word << "' is missing\n" << Describe(ended);
    }
    std::printf("%s", ended.err.c_str());
  }
  // Enough documents, and a worker that gives up on its database after seconds.
  void SomeDocuments(unsigned count) {
    WriteFile(folder_ / "hasty.yaml",
              "work_queue: {heartbeat_interval: 200ms, stale_threshold: 1s}\n"
              "worker: {shutdown_timeout: 1s}\n");
    for (unsigned i = 0; i < count; ++i) WriteFile(folder_ / "in" / (std::to_string(i) + ".html"), MakeHtml(50'000, i));
  }

  TempDir folder_;
};

TEST_F(BadInput, AConfigsMistakesAreToldAllAtOnce) {
  WriteFile(folder_ / "bad.yaml",
            "environment: test\n"
            "worker:\n"
            "  concurency: 4\n"
            "storage:\n"
            "  path: a.db\n"
            "  path: b.db\n"
            "work_queue:\n"
            "  heartbeat_interval: often\n");
  ExpectError({"config", "check", "--config", "bad.yaml"}, 1,
              {"bad.yaml:3", "concurency", "bad.yaml:6", "path", "bad.yaml:8", "heartbeat_interval", "often"});
  // Another command tells the first, and that there are more.
  ExpectError({"worker", "--config", "bad.yaml"}, 1,
              {"bad.yaml:", "2 more", "try: millrace config check --config bad.yaml\n"});
  ExpectError({"config", "show", "--config", "bad.yaml"}, 1, {"try: millrace config check --config bad.yaml\n"});
  ExpectError({"migrate", "status", "--config", "bad.yaml"}, 1, {"try: millrace config check --config bad.yaml\n"});
}

TEST_F(BadInput, AFileThatIsNoDatabase) {
  WriteFile(folder_ / "letter.db", std::string(8192, 'x'));
  ExpectError({"jobs", "list", "--db", "letter.db"}, 1, {"letter.db", "not a"});
  EXPECT_EQ(ReadFile(folder_ / "letter.db"), std::string(8192, 'x')) << "and it was left alone";
}

TEST_F(BadInput, AReadOnlyDatabase) {
  if (geteuid() == 0) {
    // Permissions do not stop root; a read-only mount does.
    std::filesystem::create_directories(folder_ / "ro");
    ASSERT_EQ(RunMillrace(folder_ / "ro", {"enqueue", "a.kind", "--any-kind", "--db", "m.db"}).code, 0);
    std::string path = (folder_ / "ro").string();
    if (mount(path.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0 ||
        mount(nullptr, path.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) != 0) {
      umount(path.c_str());
      GTEST_SKIP() << "cannot mount here: " << std::strerror(errno);
    }
    ExpectError({"worker", "--db", path + "/m.db"}, 1, {"m.db", "Read-only file system"});
    Ended look = RunMillrace(folder_.path(), {"jobs", "list", "--db", path + "/m.db"});
    EXPECT_EQ(look.code, 0) << Describe(look);
    EXPECT_NE(look.out.find("a.kind"), std::string::npos) << Describe(look);
    EXPECT_EQ(umount(path.c_str()), 0);
    return;
  }
  ASSERT_EQ(RunMillrace(folder_.path(), {"enqueue", "a.kind", "--any-kind", "--db", "m.db"}).code, 0);
  chmod((folder_ / "m.db").c_str(), 0400);
  ExpectError({"worker", "--db", "m.db"}, 1, {"m.db"});
  Ended look = RunMillrace(folder_.path(), {"jobs", "list", "--db", "m.db"});
  EXPECT_EQ(look.code, 0) << Describe(look);
}

TEST_F(BadInput, AFullDiskIsToldAndWhatWasThereStays) {
  SomeDocuments(60);
  std::filesystem::create_directories(folder_ / "small");
  std::string path = (folder_ / "small").string();
  if (mount("tmpfs", path.c_str(), "tmpfs", 0, "size=1500k") != 0) {
    GTEST_SKIP() << "cannot mount a small file system here: " << std::strerror(errno);
  }
  ExpectError({"run", "documents", "in", "--config", "hasty.yaml", "--db", path + "/m.db"}, 1,
              {"is full", path + "/m.db", "nothing was lost"});
  // With room again, the same command goes on where it stopped.
  ASSERT_EQ(mount("tmpfs", path.c_str(), "tmpfs", MS_REMOUNT, "size=200m"), 0) << std::strerror(errno);
  Ended again = RunMillrace(folder_.path(), {"run", "documents", "in", "--db", path + "/m.db"});
  EXPECT_EQ(again.code, 0) << Describe(again);
  EXPECT_EQ(Documents(path + "/m.db").size(), 60u);
  EXPECT_EQ(umount(path.c_str()), 0);
}

TEST_F(BadInput, AFullDiskIsToldSoonWithDefaultSettings) {
  SomeDocuments(60);
  std::filesystem::create_directories(folder_ / "small");
  const std::string path = (folder_ / "small").string();
  if (mount("tmpfs", path.c_str(), "tmpfs", 0, "size=1500k") != 0) {
    GTEST_SKIP() << "cannot mount a small file system here (this needs root): " << std::strerror(errno);
  }
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"run", "documents", "in", "--db", path + "/m.db"},
        std::vector<std::string>{"worker", "--db", path + "/m.db"}}) {
    Ended full = RunMillrace(folder_.path(), command);
    EXPECT_EQ(full.code, 1) << Describe(full);
    EXPECT_NE(full.err.find("is full"), std::string::npos) << Describe(full);
    EXPECT_NE(full.err.find("try: df -h"), std::string::npos) << Describe(full);
    EXPECT_LT(full.seconds, Sanitized() ? 60 : 15) << Describe(full);
    std::printf("%s: told after %.1f s\n", command[0].c_str(), full.seconds);
  }
  ASSERT_EQ(mount("tmpfs", path.c_str(), "tmpfs", MS_REMOUNT, "size=200m"), 0) << std::strerror(errno);
  Ended again = RunMillrace(folder_.path(), {"run", "documents", "in", "--db", path + "/m.db"});
  EXPECT_EQ(again.code, 0) << Describe(again);
  EXPECT_EQ(Documents(path + "/m.db").size(), 60u);
  EXPECT_EQ(umount(path.c_str()), 0);
}

// Documents that find no room, where the worker's own writes still do.
TEST_F(BadInput, ADiskTooSmallForTheDocumentsIsToldSoonToo) {
  for (unsigned i = 0; i < 3; ++i) WriteFile(folder_ / "in" / (std::to_string(i) + ".html"), MakeHtml(2'000'000, i));
  std::filesystem::create_directories(folder_ / "small");
  const std::string path = (folder_ / "small").string();
  if (mount("tmpfs", path.c_str(), "tmpfs", 0, "size=3m") != 0) {
    GTEST_SKIP() << "cannot mount a small file system here (this needs root): " << std::strerror(errno);
  }
  Ended full = RunMillrace(folder_.path(), {"run", "documents", "in", "--db", path + "/m.db"});
  EXPECT_EQ(full.code, 1) << Describe(full);
  EXPECT_NE(full.err.find("is full"), std::string::npos) << Describe(full);
  EXPECT_LT(full.seconds, Sanitized() ? 90 : 30) << Describe(full);
  std::printf("told after %.1f s\n", full.seconds);
  ASSERT_EQ(mount("tmpfs", path.c_str(), "tmpfs", MS_REMOUNT, "size=200m"), 0) << std::strerror(errno);
  Ended again = RunMillrace(folder_.path(), {"run", "documents", "in", "--db", path + "/m.db"});
  EXPECT_EQ(again.code, 0) << Describe(again);
  EXPECT_EQ(Documents(path + "/m.db").size(), 3u);
  EXPECT_EQ(umount(path.c_str()), 0);
}

TEST_F(BadInput, AFileSizeLimitIsToldToo) {
  SomeDocuments(60);
  Start start = Millrace(folder_.path(), {"run", "documents", "in", "--config", "hasty.yaml", "--db", "m.db"});
  start.file_size = 600 * 1024;
  Ended ended = RunToEnd(start);
  EXPECT_EQ(ended.code, 1) << Describe(ended);
  EXPECT_NE(ended.err.find("m.db"), std::string::npos) << Describe(ended);
  Ended again = RunMillrace(folder_.path(), {"run", "documents", "in", "--db", "m.db"});
  EXPECT_EQ(again.code, 0) << Describe(again);
  EXPECT_EQ(Documents(folder_ / "m.db").size(), 60u);
}

TEST_F(BadInput, Usage) {
  ExpectError({}, 2, {});
  ExpectError({"frobnicate"}, 2, {"frobnicate"});
  ExpectError({"jobs", "list", "--no-such-flag"}, 2, {"--no-such-flag"});
  ExpectError({"enqueue"}, 2, {});
  ExpectError({"run", "nothing", "in"}, 1, {"nothing"});
}

TEST_F(BadInput, JobsThatCannotBe) {
  ExpectError({"enqueue", "mail", "{\"to\": ", "--db", "m.db"}, 2, {"args"});
  ExpectError({"enqueue", "mail", "[1]", "--db", "m.db"}, 2, {"object"});
  ExpectError({"enqueue", "mail", "{}", "--priority", "urgent", "--any-kind", "--db", "m.db"}, 2,
              {"urgent", "critical"});
  ExpectError({"enqueue", "mail", "--in", "-5", "--any-kind", "--db", "m.db"}, 2, {"delay"});
}

TEST_F(BadInput, AnUnknownKindIsTold) {
  SomeDocuments(1);
  ASSERT_EQ(RunMillrace(folder_.path(), {"run", "documents", "in", "--db", "m.db"}).code, 0);
  // Some worker has had handlers here, and none of them for this.
  ExpectError({"enqueue", "documents.prase", "{}", "--db", "m.db"}, 1, {"documents.prase", "documents.parse"});
}

TEST_F(BadInput, AFolderThatIsNotThere) {
  ExpectError({"run", "documents", "no such folder", "--db", "m.db"}, 1, {"no such folder"});
}

TEST_F(BadInput, ARunThatWouldNeverTakeItsOwnJobs) {
  SomeDocuments(1);
  for (const auto& [text, says] :
       {std::pair{"worker: {queues: [mail]}", "worker.queues leaves out 'documents.discover'"},
        {"worker: {priorities: [critical]}", "worker.priorities leaves out 'default'"},
        {"worker: {scheduler_enabled: false}", "worker.scheduler_enabled is false"}}) {
    WriteFile(folder_ / "m.yaml", text);
    ExpectError({"run", "documents", "in", "--config", "m.yaml", "--db", "m.db"}, 1, {says, "never end"});
  }
  EXPECT_EQ(RunMillrace(folder_.path(), {"run", "documents", "in", "--db", "m.db"}).code, 0);
}

TEST_F(BadInput, AFolderForTheDatabaseThatIsNotThere) {
  ExpectError({"jobs", "list", "--db", "nowhere/m.db"}, 1, {"nowhere"});
}

}  // namespace
}  // namespace millrace::tests
