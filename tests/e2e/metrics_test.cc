// What a scraper gets of a real worker: read through its socket, and checked by promtool.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>

#include "support/owner.h"

namespace millrace::tests {
namespace {

using std::chrono::seconds;

constexpr auto kPromtool = "/usr/bin/promtool";

class MetricsE2e : public OwnerTest {
 protected:
  std::string Scrape() {
    const Ended ended = RunMillrace(folder_.path(), {"debug", "metrics", "--db", "m.db"});
    EXPECT_EQ(ended.code, 0) << Describe(ended);
    return ended.out;
  }
  // Scrapes until the text is there.
  std::string ScrapeUntil(const std::string& text) {
    while (!worker_->WaitForExit(std::chrono::milliseconds(20))) {
      const std::string page = Scrape();
      if (page.find(text) != std::string::npos) return page;
    }
    ADD_FAILURE() << "the worker ended";
    return {};
  }
  // Works some jobs: one dies, one document is known already.
  std::string ScrapeAfterWork() {
    const Ended retried = RunMillrace(folder_.path(), {"deadletter", "retry", "--all", "--yes", "--db", "m.db"});
    EXPECT_EQ(retried.code, 0) << Describe(retried);
    ScrapeUntil("millrace_jobs_dead_total{kind=\"documents.parse\",priority=\"default\",queue=\"documents.parse\"} 1");
    return ScrapeUntil("millrace_leader{scope=\"maintenance\"} 1");
  }
};

// name -> "type labels" of every series, as the golden list has them. Labels are in any order.
std::map<std::string, std::set<std::string>> SeriesOf(const std::string& page,
                                                      std::map<std::string, std::string>& types) {
  std::map<std::string, std::set<std::string>> labels;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) {
      std::istringstream words(line.substr(7));
      std::string name, type;
      words >> name >> type;
      types[name] = type;
    } else if (!line.starts_with("#") && !line.empty()) {
      const std::size_t brace = line.find('{');
      std::string name = line.substr(0, std::min(brace, line.find(' ')));
      for (const std::string suffix : {"_bucket", "_sum", "_count"}) {
        const std::string base = name.ends_with(suffix) ? name.substr(0, name.size() - suffix.size()) : name;
        if (types.contains(base) && types[base] == "histogram") name = base;
      }
      labels[name];
      if (brace == std::string::npos) continue;
      for (std::size_t at = brace + 1; at < line.size() && line[at] != '}';) {
        const std::size_t equals = line.find("=\"", at);
        const std::string label = line.substr(at, equals - at);
        if (label != "le") labels[name].insert(label);
        at = line.find('"', equals + 2) + 1;
        if (line[at] == ',') ++at;
      }
    }
  }
  return labels;
}

TEST_F(MetricsE2e, ARealWorkerHasTheGoldenNamesTypesAndLabels) {
  const std::string page = ScrapeAfterWork();
  std::map<std::string, std::string> types;
  const auto labels = SeriesOf(page, types);
  std::istringstream golden(ReadFile(std::filesystem::path(MILLRACE_SOURCE_DIR) / "tests/golden/metrics.txt"));
  std::set<std::string> names;
  for (std::string line; std::getline(golden, line);) {
    std::istringstream words(line);
    std::string name, type, wanted;
    words >> name >> type >> wanted;
    names.insert(name);
    if (name == "millrace_db_query_seconds") continue;  // a file has no statements by name
    EXPECT_EQ(types[name], type) << name;
    std::set<std::string> wanted_labels;
    std::istringstream each(wanted);
    for (std::string label; std::getline(each, label, ',');) wanted_labels.insert(label);
    EXPECT_EQ(labels.contains(name) ? labels.at(name) : std::set<std::string>{"no series"}, wanted_labels) << name;
  }
  for (const auto& [name, of] : labels) EXPECT_TRUE(names.contains(name)) << name << " is not in the golden list";
}

TEST_F(MetricsE2e, PromtoolFindsNothingWrong) {
  if (!std::filesystem::exists(kPromtool)) GTEST_SKIP() << "no promtool; it is in Debian's package prometheus";
  Start start;
  start.argv = {kPromtool, "check", "metrics"};
  start.input = ScrapeAfterWork();
  const Ended ended = RunToEnd(start, seconds(60));
  EXPECT_EQ(ended.code, 0) << Describe(ended) << start.input;
  EXPECT_EQ(ended.out + ended.err, "");
}

TEST_F(MetricsE2e, PromtoolTakesTheAlertsOfTheDocs) {
  if (!std::filesystem::exists(kPromtool)) GTEST_SKIP() << "no promtool; it is in Debian's package prometheus";
  const std::string docs = ReadFile(std::filesystem::path(MILLRACE_SOURCE_DIR) / "docs/metrics.md");
  const std::size_t begin = docs.find("```yaml\ngroups:") + 8;
  ASSERT_NE(begin, std::string::npos + 8);
  WriteFile(folder_ / "rules.yml", docs.substr(begin, docs.find("```", begin) - begin));
  Start start;
  start.argv = {kPromtool, "check", "rules", (folder_ / "rules.yml").string()};
  const Ended ended = RunToEnd(start, seconds(60));
  EXPECT_EQ(ended.code, 0) << Describe(ended);
  EXPECT_NE(ended.out.find("rules found"), std::string::npos) << Describe(ended);
}

}  // namespace
}  // namespace millrace::tests
