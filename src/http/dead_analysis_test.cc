#include "http/dead_analysis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"

namespace millrace::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(NormaliseTest, ReplacesWhatDiffersFromJobToJob) {
  EXPECT_EQ(NormaliseMessage("encrypted: the file /srv/a/b 7.pdf needs a password"),
            "encrypted: the file <path> <path> needs a password");
  EXPECT_EQ(NormaliseMessage("broken: 'x y.docx' has 12 of 345 parts"), "broken: <text> has # of # parts");
  EXPECT_EQ(NormaliseMessage("GET https://h.example/x?id=5 said 503"), "GET <path> said #");
  EXPECT_EQ(NormaliseMessage("order 550e8400-e29b-41d4-a716-446655440000 is gone"), "order <id> is gone");
  EXPECT_EQ(NormaliseMessage("it isn't there, and won't be"), "it isn't there, and won't be");
  EXPECT_EQ(NormaliseMessage("took 10s,  limit 5s\n"), "took #s, limit #s");
  EXPECT_EQ(NormaliseMessage(""), "");
}

TEST(NormaliseTest, EqualCausesGiveEqualTexts) {
  EXPECT_EQ(NormaliseMessage("broken: report-2021.pdf: xref at 11"),
            NormaliseMessage("broken: summary.docx: xref at 987654"));
  EXPECT_NE(NormaliseMessage("broken: xref"), NormaliseMessage("broken: stream"));
}

TEST(ReasonTest, IsTheFirstWord) {
  EXPECT_EQ(ReasonOf("encrypted: it needs a password"), "encrypted");
  EXPECT_EQ(ReasonOf("memory_limit: x"), "memory_limit");
  EXPECT_EQ(ReasonOf("worker lost"), "worker_lost");
  EXPECT_EQ(ReasonOf("timeout"), "timeout");
  EXPECT_EQ(ReasonOf("args.limit: expected an integer"), "args");
  EXPECT_EQ(ReasonOf("Something: bad"), "other");
  EXPECT_EQ(ReasonOf(""), "other");
  EXPECT_FALSE(SuggestionFor("other").empty());
  EXPECT_THAT(std::string(SuggestionFor("encrypted")), HasSubstr("password"));
}

Job Dead(JobId id, std::string kind, std::string error, std::string args, std::string_view at) {
  Job job;
  job.id = id;
  job.kind = std::move(kind);
  job.error = std::move(error);
  job.args = std::move(args);
  job.queue = "q";
  job.finished_at = *base::ParseTime(at);
  return job;
}

TEST(AnalysisTest, GroupsAndCounts) {
  DeadAnalysis analysis;
  analysis.Add(
      Dead(1, "parse", "broken: a.pdf: xref at 1", R"({"source":"s1","path":"a.pdf"})", "2026-01-01T10:01:00Z"));
  analysis.Add(
      Dead(2, "parse", "broken: b.pdf: xref at 22", R"({"source":"s1","path":"b.pdf"})", "2026-01-01T11:59:00Z"));
  analysis.Add(Dead(3, "mail", "refused", R"({"path":"in/box/3"})", "2026-01-01T11:00:00Z"));
  analysis.Add(Dead(4, "mail", "refused", "not json", "2026-01-01T11:00:00Z"));
  const base::json::object json = analysis.Json();
  EXPECT_EQ(json.at("total").as_int64(), 4);
  const auto& groups = json.at("groups").as_array();
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[1].at("message").as_string(), "broken: <path>: xref at #");
  EXPECT_EQ(groups[1].at("count").as_int64(), 2);
  EXPECT_EQ(groups[1].at("first").as_string(), "2026-01-01T10:01:00.000Z");
  EXPECT_EQ(groups[1].at("last").as_string(), "2026-01-01T11:59:00.000Z");
  EXPECT_EQ(base::ToJson(groups[1].at("examples")), "[1,2]");
  EXPECT_EQ(base::ToJson(json.at("by_source")),
            R"([{"source":"s1","count":2},{"source":"in/box","count":1},{"source":"queue q","count":1}])");
  EXPECT_EQ(base::ToJson(json.at("by_hour")),
            R"([{"hour":"2026-01-01T10:00Z","count":1},{"hour":"2026-01-01T11:00Z","count":3}])");
}

TEST(AnalysisTest, MemoryIsBounded) {
  DeadAnalysis analysis;
  for (int i = 0; i < 3000; ++i) {
    std::string letters;
    for (int n = i; n > 0; n /= 26) letters += static_cast<char>('a' + n % 26);
    analysis.Add(Dead(i + 1, "k" + letters, letters + " failed", "{}", "2026-01-01T10:00:00Z"));
  }
  const base::json::object json = analysis.Json();
  EXPECT_EQ(json.at("total").as_int64(), 3000);
  EXPECT_EQ(json.at("groups").as_array().size(), DeadAnalysis::kMostGroups);
  EXPECT_EQ(json.at("ungrouped").as_int64(), 2000);
  EXPECT_LE(json.at("by_kind").as_array().size(), DeadAnalysis::kMostGroups + 1);
}

}  // namespace
}  // namespace millrace::http
