// What is wrong usage, wherever it is found out, and that it ends with the status for it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "cli/test_support.h"

namespace millrace::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Whoever finds it: the parser of the command line, the command, the configuration, or the API.
TEST_F(CliTest, AValueThatCannotBeIsWrongUsageEverywhere) {
  const std::vector<std::vector<std::string>> wrong = {
      {"enqueue", "mail", "--any-kind", "--priority", "urgent"},
      {"enqueue", "mail", "--any-kind", "--in", "-5"},
      {"enqueue", "mail", "--any-kind", "--in", "soon"},
      {"enqueue", "mail", "--any-kind", "--at", "tomorrow"},
      {"enqueue", "mail", "--any-kind", "--timeout", "-1s"},
      {"enqueue", "mail", "--any-kind", "--after", "0"},
      {"enqueue", "mail", "--any-kind", "--queue", std::string(300, 'q')},
      {"enqueue", ""},
      {"enqueue", "mail", "", "--any-kind"},
      {"worker", "--concurrency", "0"},
      {"worker", "--priorities", "urgent"},
      {"worker", "--db", "mysql://host/jobs"},
      {"run"},
      {"stress", "--duration", "0s"},
  };
  for (const auto& words : wrong) {
    const bool own = std::find(words.begin(), words.end(), "--db") != words.end();
    const Ran ran = own ? Run(words) : RunDb(words);
    EXPECT_EQ(ran.status, kUsage) << ::testing::PrintToString(words) << ran.err;
    EXPECT_THAT(ran.err, AllOf(HasSubstr("error: "), HasSubstr("--help"))) << ::testing::PrintToString(words);
  }
  EXPECT_FALSE(std::filesystem::exists(db_)) << "told before anything was made";
}

TEST_F(CliTest, AValueThatCannotBeIsWrongUsageWhereItIsLookedFor) {
  ASSERT_EQ(RunDb({"enqueue", "mail", "--any-kind"}).status, kOk);
  const std::vector<std::vector<std::string>> wrong = {
      {"jobs", "list", "--state", "lost"},
      {"jobs", "list", "--priority", "urgent"},
      {"jobs", "list", "--run", "-5"},
      {"jobs", "list", "--limit", "0"},
      {"jobs", "list", "--limit", "1001"},
      {"jobs", "list", "--cursor", "next"},
      {"jobs", "list", "--queue", ""},
      {"jobs", "show", "0"},
      {"jobs", "cancel", "1", "-2"},
      {"queues", "pause", ""},
      {"runs", "show", "0"},
      {"runs", "list", "--limit", "-1"},
      {"deadletter", "list", "--reason", ""},
      {"deadletter", "retry", "--run", "0", "--kind", "mail", "--yes"},
      {"deadletter", "purge", "99999", "--yes"},
      {"deadletter", "--purge", "-1"},
      {"search", ""},
      {"search", "  "},
      {"search", "\"\""},
      {"search", "word", "--type", "nothing"},
      {"search", "word", "--offset", "-1"},
      {"sources", "forget", "", "--yes"},
      {"workers", "--config", ""},
  };
  for (const auto& words : wrong) {
    const Ran ran = RunDb(words);
    EXPECT_EQ(ran.status, kUsage) << ::testing::PrintToString(words) << ran.err;
    EXPECT_THAT(ran.err, AllOf(HasSubstr("error: "), HasSubstr("try: "))) << ::testing::PrintToString(words);
  }
}

}  // namespace
}  // namespace millrace::cli
