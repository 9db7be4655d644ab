// Commands that only look, on a file that may not be written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/test_unprivileged.h"
#include "cli/test_support.h"

namespace millrace::cli {
namespace {

using ::testing::HasSubstr;

TEST_F(CliTest, LookingNeedsNoRightToWrite) {
  ASSERT_EQ(RunDb({"enqueue", "mail", "--any-kind"}).status, kOk);
  std::vector<std::vector<std::string>> commands = {{"jobs", "list"},
                                                    {"jobs", "show", "1"},
                                                    {"queues", "list"},
                                                    {"runs", "list"},
                                                    {"workers"},
                                                    {"sources", "list"},
                                                    {"search", "word"},
                                                    {"deadletter", "list"},
                                                    {"deadletter", "analyze"},
                                                    {"deadletter", "export", "-"},
                                                    {"cleanup"},
                                                    {"migrate", "status"},
                                                    {"migrate", "validate"}};
  std::vector<std::string> before;
  for (const auto& words : commands) before.push_back(RunDb(words).out);
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) chmod(entry.path().c_str(), 0444);
  chmod(folder_.c_str(), 0555);
  {
    const base::Unprivileged unprivileged;
    for (std::size_t i = 0; i < commands.size(); ++i) {
      const Ran ran = RunDb(commands[i]);
      EXPECT_EQ(ran.status, kOk) << ::testing::PrintToString(commands[i]) << ran.err;
      const bool tells_time = commands[i][0] == "jobs" || commands[i][0] == "queues" || commands[i][0] == "cleanup";
      if (tells_time) continue;
      EXPECT_EQ(ran.out, before[i]) << ::testing::PrintToString(commands[i]);
    }
    EXPECT_THAT(RunDb({"jobs", "list"}).out, HasSubstr("mail"));
    EXPECT_THAT(RunDb({"monitor", "--once"}).out, HasSubstr("completed 0/s"));
    for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
             {"jobs", "cancel", "1"}, {"queues", "pause", "mail"}, {"cleanup", "--yes"}, {"enqueue", "mail"}}) {
      const Ran ran = RunDb(words);
      EXPECT_EQ(ran.status, kFailed) << words[0];
      EXPECT_THAT(ran.err, HasSubstr("make the file and its folder writable")) << words[0];
    }
  }
  chmod(folder_.c_str(), 0755);
}

}  // namespace
}  // namespace millrace::cli
