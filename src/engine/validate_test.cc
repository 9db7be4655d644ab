#include "engine/validate.h"

#include <gtest/gtest.h>

#include <functional>

namespace millrace::engine {
namespace {

// The error of a batch of three whose second job is changed so.
Error ErrorOf(const std::function<void(NewJob&)>& change) {
  std::vector<NewJob> jobs(3);
  for (NewJob& job : jobs) job.kind = "k";
  change(jobs[1]);
  const auto result = ValidateNewJobs(jobs);
  return result ? Error{ErrorCode::kInternal, "was accepted"} : result.error();
}

void ExpectRefused(const std::string& field, const std::function<void(NewJob&)>& change) {
  const Error error = ErrorOf(change);
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument) << field;
  EXPECT_NE(error.message.find(field), std::string::npos) << error.message;
  EXPECT_NE(error.message.find('1'), std::string::npos) << error.message;
}

TEST(ValidateTest, NamesTheJobAndTheField) {
  ExpectRefused("kind", [](NewJob& j) { j.kind.clear(); });
  ExpectRefused("kind", [](NewJob& j) { j.kind.assign(201, 'x'); });
  ExpectRefused("queue", [](NewJob& j) { j.queue.clear(); });
  ExpectRefused("queue", [](NewJob& j) { j.queue.assign(201, 'x'); });
  ExpectRefused("args", [](NewJob& j) { j.args = ""; });
  ExpectRefused("args", [](NewJob& j) { j.args = "  "; });
  ExpectRefused("args", [](NewJob& j) { j.args = "\"text\""; });
  ExpectRefused("args", [](NewJob& j) { j.args = "{]}"; });
  ExpectRefused("args", [](NewJob& j) { j.args = "{\"a\": 1} 2"; });
  ExpectRefused("args", [](NewJob& j) { j.args = "{\"a\": \"\xff\"}"; });
  ExpectRefused("args", [](NewJob& j) { j.args = "{" + std::string(1 << 20, ' ') + "}"; });
  ExpectRefused("max_attempts", [](NewJob& j) { j.max_attempts = -1; });
  ExpectRefused("max_crashes", [](NewJob& j) { j.max_crashes = -1; });
  ExpectRefused("timeout", [](NewJob& j) { j.timeout = Duration(-1); });
  ExpectRefused("timeout", [](NewJob& j) { j.timeout = Duration::max(); });
  ExpectRefused("delay", [](NewJob& j) { j.delay = Duration(-1); });
  ExpectRefused("delay", [](NewJob& j) { j.delay = Duration::max(); });
  ExpectRefused("run_at", [](NewJob& j) { j.run_at = Time::max(); });
  ExpectRefused("priority", [](NewJob& j) { j.priority = static_cast<Priority>(5); });
  ExpectRefused("run_id", [](NewJob& j) { j.run_id = -1; });
  ExpectRefused("unique_key", [](NewJob& j) { j.unique_key.assign(1001, 'x'); });
  ExpectRefused("partition_key", [](NewJob& j) { j.partition_key.assign(1001, 'x'); });
}

TEST(ValidateTest, AJobWaitsForJobsOrForEarlierEntries) {
  ExpectRefused("after", [](NewJob& j) { j.after = {3, 0}; });
  ExpectRefused("after", [](NewJob& j) { j.after_in_batch = {1}; });  // itself
  ExpectRefused("after", [](NewJob& j) { j.after_in_batch = {0, 2}; });
  ExpectRefused("after", [](NewJob& j) { j.after.assign(10'001, 3); });
  ExpectRefused("after", [](NewJob& j) { j.after = {3}, j.when = static_cast<DependencyPolicy>(3); });
  std::vector<NewJob> jobs(2);
  for (NewJob& job : jobs) job.kind = "k";
  jobs[1].after.assign(9'999, 3);
  jobs[1].after_in_batch = {0};
  EXPECT_TRUE(ValidateNewJobs(jobs));
  EXPECT_FALSE(ValidateStages(jobs));
  EXPECT_TRUE(ValidateStages({jobs.data(), 1}));
}

TEST(ValidateTest, NamesAndKeysAreText) {
  ExpectRefused("kind", [](NewJob& j) { j.kind = "caf\xE9"; });
  ExpectRefused("queue", [](NewJob& j) { j.queue = "caf\xE9"; });
  ExpectRefused("unique_key", [](NewJob& j) { j.unique_key = std::string("a\0b", 3); });
  ExpectRefused("partition_key", [](NewJob& j) { j.partition_key = "\xED\xA0\x80"; });
  ExpectRefused("tags", [](NewJob& j) { j.tags = {"good", "\xFF"}; });
}

TEST(ValidateTest, AResultIsJsonOrNothing) {
  for (const char* good : {"", "7", "null", "\"text\"", " [1, {\"a\": []}] "}) {
    EXPECT_TRUE(ValidateResult(good)) << good;
  }
  for (const char* bad : {"text", "{\"a\":", "1 2", "\"caf\xE9\""}) {
    const auto valid = ValidateResult(bad);
    ASSERT_FALSE(valid) << bad;
    EXPECT_EQ(valid.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(valid.error().message.find("not JSON"), std::string::npos) << valid.error().message;
  }
  EXPECT_TRUE(ValidateResult("\"" + std::string((16 << 20) - 2, 'x') + "\""));
  EXPECT_FALSE(ValidateResult("\"" + std::string((16 << 20) - 1, 'x') + "\""));
}

TEST(ValidateTest, AcceptsWhatIsAtTheLimit) {
  NewJob job;
  job.kind.assign(200, 'k');
  job.queue.assign(200, 'q');
  job.args = "{" + std::string((1 << 20) - 2, ' ') + "}";
  job.unique_key.assign(1000, 'u');
  job.partition_key.assign(1000, 'p');
  job.delay = Duration(0);
  EXPECT_TRUE(ValidateNewJobs({&job, 1}));
  EXPECT_TRUE(ValidateNewJobs({}));
}

TEST(ValidateTest, AcceptsArgsWithSpaceAround) {
  NewJob job;
  job.kind = "k";
  job.args = " \n{\"a\": 1}\t";
  EXPECT_TRUE(ValidateNewJobs({&job, 1}));
}

}  // namespace
}  // namespace millrace::engine
