// The API over a real SQLite database in a temporary folder.
#include "http/api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/clock.h"
#include "storage/sqlite/driver.h"

namespace millrace::http {
namespace {

using ::testing::HasSubstr;
namespace json = base::json;

class ApiTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              (std::string("api-") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    StorageOptions options;
    options.url = (folder_ / "m.db").string();
    QueueOptions small;
    small.name = "small";
    small.capacity = 2;
    options.queues = {small};
    auto opened = storage::sqlite::OpenSqlite(options, clock_);
    ASSERT_TRUE(opened) << opened.error().message;
    storage_ = std::move(*opened);
    ApiOptions api;
    api.version = "1.2.3";
    api.kinds = {"mail", "report"};
    api_ = std::make_unique<Api>(*storage_, health_, api);
  }
  void TearDown() override {
    api_.reset();
    storage_.reset();
    std::filesystem::remove_all(folder_);
  }

  ApiResponse Get(const std::string& target) { return Send("GET", target, ""); }
  ApiResponse Post(const std::string& target, const std::string& body = "") { return Send("POST", target, body); }
  ApiResponse Send(const std::string& method, const std::string& target, const std::string& body) {
    ApiRequest request;
    request.method = method;
    request.body = body;
    auto parsed = ParseTarget(target, request);
    EXPECT_TRUE(parsed);
    return api_->Handle(request);
  }
  static json::object Body(const ApiResponse& response) {
    auto parsed = base::ParseJson(response.body);
    EXPECT_TRUE(parsed) << response.body;
    return parsed ? parsed->as_object() : json::object();
  }
  JobId EnqueueOne(const std::string& body) {
    const ApiResponse response = Post("/api/v1/jobs", body);
    EXPECT_EQ(response.status, 201) << response.body;
    return Body(response).at("jobs").as_array().at(0).at("id").as_int64();
  }
  // Claims everything and ends it with this verdict.
  void Finish(storage::Verdict verdict, const std::string& text) {
    const auto worker = storage_->RegisterWorker({"w", "all", "h", 1, 100, {"mail"}, {}});
    ASSERT_TRUE(worker);
    storage::ClaimRequest request;
    request.worker = *worker;
    request.max_jobs = 1000;
    const auto claimed = storage_->Claim(request);
    ASSERT_TRUE(claimed);
    std::vector<storage::Report> reports;
    for (const auto& job : claimed->jobs) {
      storage::Report report;
      report.id = job.id;
      report.attempt = job.attempt;
      report.token = job.token;
      report.verdict = verdict;
      report.text = text;
      reports.push_back(report);
    }
    ASSERT_TRUE(storage_->ReportOutcomes(*worker, reports));
  }
  static std::string Detail(const ApiResponse& response) { return ErrorOf(response).value_or(Error{}).message; }

  base::ManualClock clock_{*base::ParseTime("2026-01-01T00:00:00Z")};
  std::filesystem::path folder_;
  std::unique_ptr<storage::Storage> storage_;
  Health health_;
  std::unique_ptr<Api> api_;
};

TEST_F(ApiTest, EnqueuesShowsAndLists) {
  const JobId id = EnqueueOne(
      R"({"kind":"mail","args":{"to":"ada"},"queue":"q","priority":"HIGH","delay":"5m","tags":["x"],"timeout":30,"max_attempts":2})");
  const json::object job = Body(Get("/api/v1/jobs/" + std::to_string(id)));
  EXPECT_EQ(job.at("state").as_string(), "scheduled");
  EXPECT_EQ(job.at("priority").as_string(), "high");
  EXPECT_EQ(job.at("args").at("to").as_string(), "ada");
  EXPECT_EQ(job.at("run_at").as_string(), "2026-01-01T00:05:00.000Z");
  EXPECT_EQ(job.at("timeout_seconds").as_int64(), 30);
  EXPECT_TRUE(job.at("attempts").as_array().empty());
  EXPECT_EQ(
      Body(Get("/api/v1/jobs?queue=q&state=scheduled&tag=x&priority=high&kind=mail")).at("jobs").as_array().size(), 1u);
  EXPECT_EQ(Body(Get("/api/v1/jobs?queue=other")).at("jobs").as_array().size(), 0u);
}

TEST_F(ApiTest, BatchesAreAllOrNothing) {
  const ApiResponse bad = Post("/api/v1/jobs", R"({"jobs":[{"kind":"mail"},{"kind":"mail","priority":"urgent"}]})");
  EXPECT_EQ(bad.status, 400);
  EXPECT_THAT(Detail(bad), HasSubstr("jobs[1].priority: unknown priority 'urgent'"));
  EXPECT_TRUE(Body(Get("/api/v1/jobs")).at("jobs").as_array().empty());
  EXPECT_EQ(Body(Post("/api/v1/jobs", R"({"jobs":[{"kind":"mail"},{"kind":"report"}]})")).at("jobs").as_array().size(),
            2u);
}

TEST_F(ApiTest, NamesWhatIsWrongWithAJob) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "the body"},
      {"[1]", "the body: must be a JSON object"},
      {"{}", "kind: is missing"},
      {R"({"kind":5})", "kind: must be a string"},
      {R"({"kind":"mail","args":[1]})", "args: must be a JSON object"},
      {R"({"kind":"mail","args":"x"})", "args: must be a JSON object"},
      {R"({"kind":"mail","prio":"high"})", "prio: unknown member"},
      {R"({"kind":"mail","delay":"soon"})", "delay: 'soon' is not a duration"},
      {R"({"kind":"mail","run_at":"tomorrow"})", "run_at: 'tomorrow' is not a time"},
      {R"({"kind":"mail","max_attempts":0})", "max_attempts: must be an integer from 1"},
      {R"({"kind":"mail","tags":"x"})", "tags: must be a list of strings"},
      {R"({"kind":"mail","after":7})", "after: must be a list of job ids"},
      {R"({"kind":"mail","after":["7"]})", "after: must be a list of job ids"},
      {R"({"kind":"mail","after":[7000]})", "job 0 of the batch: after: there is no job 7000"},
      {R"({"kind":"mail","after_in_batch":[0]})", "after: an entry of the batch can wait only for those before it"},
      {R"({"kind":"mail","when":"done"})", "when: unknown dependency policy 'done'"},
      {R"({"kind":"mail","kind":"mail"})", "stands twice"},
      {R"({"jobs":[],"kind":"mail"})", "jobs: must be a list, with nothing beside it"}};
  for (const auto& [body, what] : cases) {
    const ApiResponse response = Post("/api/v1/jobs", body);
    EXPECT_EQ(response.status, 400) << body;
    EXPECT_THAT(Detail(response), HasSubstr(what)) << body;
  }
}

TEST_F(ApiTest, AJobWaitsForOthers) {
  const JobId first = EnqueueOne(R"({"kind":"mail"})");
  const json::object jobs =
      Body(Post("/api/v1/jobs", R"({"jobs":[{"kind":"mail"},{"kind":"mail","after":[)" + std::to_string(first) +
                                    R"(],"after_in_batch":[0],"when":"failed"}]})"));
  const std::int64_t second = jobs.at("jobs").as_array().at(0).at("id").as_int64();
  const std::int64_t waiting = jobs.at("jobs").as_array().at(1).at("id").as_int64();
  const json::object shown = Body(Get("/api/v1/jobs/" + std::to_string(waiting)));
  EXPECT_EQ(shown.at("state").as_string(), "waiting");
  EXPECT_EQ(base::ToJson(shown.at("after")), "[" + std::to_string(first) + "," + std::to_string(second) + "]");
  EXPECT_EQ(shown.at("when").as_string(), "failed");
  const json::object free = Body(Get("/api/v1/jobs/" + std::to_string(first)));
  EXPECT_TRUE(free.at("after").as_array().empty());
  EXPECT_TRUE(free.at("when").is_null());
}

TEST_F(ApiTest, AnUnknownKindListsTheKnownOnes) {
  const ApiResponse refused = Post("/api/v1/jobs", R"({"jobs":[{"kind":"mail"},{"kind":"mial"}]})");
  EXPECT_EQ(refused.status, 422);
  EXPECT_EQ(Body(refused).at("code").as_string(), "unknown_kind");
  EXPECT_EQ(Body(refused).at("job").as_int64(), 1);
  EXPECT_THAT(Detail(refused), HasSubstr("'mial'; known: mail, report"));
  EXPECT_EQ(Post("/api/v1/jobs", R"({"kind":"mial","any_kind":true})").status, 201);
  // A kind some worker has had a handler for is known from then on.
  ASSERT_TRUE(storage_->RegisterWorker({"w", "all", "h", 1, 1, {"greet"}, {}}));
  EXPECT_EQ(Post("/api/v1/jobs", R"({"kind":"greet"})").status, 201);
}

TEST_F(ApiTest, AFullQueueIs429) {
  EnqueueOne(R"({"kind":"mail","queue":"small"})");
  EnqueueOne(R"({"kind":"mail","queue":"small"})");
  const ApiResponse full = Post("/api/v1/jobs", R"({"kind":"mail","queue":"small"})");
  EXPECT_EQ(full.status, 429);
  EXPECT_EQ(full.headers.at("Retry-After"), "1");
  EXPECT_THAT(Detail(full), HasSubstr("small"));
}

TEST_F(ApiTest, ADuplicateOfAUniqueKeyIsSaid) {
  const JobId id = EnqueueOne(R"({"kind":"mail","unique_key":"u"})");
  const json::object again = Body(Post("/api/v1/jobs", R"({"kind":"mail","unique_key":"u"})"));
  EXPECT_EQ(again.at("jobs").as_array().at(0).at("id").as_int64(), id);
  EXPECT_TRUE(again.at("jobs").as_array().at(0).at("duplicate").as_bool());
}

TEST_F(ApiTest, PagesByCursor) {
  for (int i = 0; i < 5; ++i) EnqueueOne(R"({"kind":"mail"})");
  std::vector<std::int64_t> seen;
  std::string target = "/api/v1/jobs?limit=2";
  for (int page = 0; page < 4; ++page) {
    const json::object body = Body(Get(target));
    for (const auto& job : body.at("jobs").as_array()) seen.push_back(job.at("id").as_int64());
    if (body.at("next_cursor").is_null()) break;
    target = "/api/v1/jobs?limit=2&cursor=" + std::string(body.at("next_cursor").as_string());
  }
  EXPECT_EQ(seen.size(), 5u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  for (const char* bad :
       {"limit=0", "limit=5000", "limit=x", "cursor=-1", "state=sleeping", "priority=x", "colour=red", "ids=1,x"}) {
    EXPECT_EQ(Get(std::string("/api/v1/jobs?") + bad).status, 400) << bad;
  }
}

TEST_F(ApiTest, CancelsOnceAndRetriesOnlyTheDead) {
  const std::string path = "/api/v1/jobs/" + std::to_string(EnqueueOne(R"({"kind":"mail"})"));
  EXPECT_EQ(Post(path + "/retry").status, 409);
  EXPECT_EQ(Body(Post(path + "/cancel")).at("state").as_string(), "cancelled");
  const ApiResponse again = Post(path + "/cancel");
  EXPECT_EQ(again.status, 409);
  EXPECT_THAT(Detail(again), HasSubstr("is cancelled already"));
  EXPECT_EQ(Get("/api/v1/jobs/999").status, 404);
  EXPECT_EQ(Get("/api/v1/jobs/abc").status, 400);

  const std::string dead = "/api/v1/jobs/" + std::to_string(EnqueueOne(R"({"kind":"mail"})"));
  Finish(storage::Verdict::kDead, "no");
  EXPECT_EQ(Body(Post(dead + "/retry")).at("state").as_string(), "available");
}

TEST_F(ApiTest, PausesAndResumesQueues) {
  EnqueueOne(R"({"kind":"mail","queue":"a/b"})");
  const json::object paused = Body(Post("/api/v1/queues/a%2Fb/pause"));
  EXPECT_TRUE(paused.at("paused").as_bool());
  EXPECT_FALSE(paused.at("created").as_bool());
  const auto queues = Body(Get("/api/v1/queues")).at("queues").as_array();
  ASSERT_EQ(queues.size(), 2u);
  EXPECT_EQ(queues[0].at("name").as_string(), "a/b");
  EXPECT_TRUE(queues[0].at("paused").as_bool());
  EXPECT_EQ(queues[0].at("counts").at("available").as_int64(), 1);
  EXPECT_FALSE(Body(Post("/api/v1/queues/a%2Fb/resume")).at("paused").as_bool());
  EXPECT_TRUE(Body(Post("/api/v1/queues/new/pause")).at("created").as_bool());
}

TEST_F(ApiTest, DeadLettersAreListedAnalysedRetriedAndPurged) {
  for (const char* body : {R"({"kind":"mail"})", R"({"kind":"mail"})"}) EnqueueOne(body);
  Finish(storage::Verdict::kDead, "broken: a.pdf: at 1");
  EnqueueOne(R"({"kind":"report"})");
  Finish(storage::Verdict::kDead, "encrypted: it has a password");

  const json::object page = Body(Get("/api/v1/dead?limit=2&details=true"));
  ASSERT_EQ(page.at("dead").as_array().size(), 2u);
  EXPECT_EQ(page.at("dead").as_array()[0].at("reason").as_string(), "broken");
  EXPECT_EQ(page.at("dead").as_array()[0].at("attempts").as_array().size(), 1u);
  EXPECT_EQ(page.at("next_cursor").as_string(), std::to_string(page.at("dead").as_array()[1].at("id").as_int64()));
  EXPECT_EQ(Body(Get("/api/v1/dead?reason=encrypted")).at("dead").as_array().size(), 1u);
  EXPECT_TRUE(Body(Get("/api/v1/dead?reason=encrypted")).at("next_cursor").is_null());

  const json::object analysis = Body(Get("/api/v1/dead/analyze"));
  EXPECT_EQ(analysis.at("total").as_int64(), 3);
  EXPECT_EQ(analysis.at("groups").as_array()[0].at("count").as_int64(), 2);

  EXPECT_EQ(Post("/api/v1/dead/retry", "{}").status, 400);
  EXPECT_EQ(Post("/api/v1/dead/retry", R"({"all":false})").status, 400);
  EXPECT_EQ(Post("/api/v1/dead/retry", R"({"kinds":"mail"})").status, 400);
  const json::object retried = Body(Post("/api/v1/dead/retry", R"({"reason":"broken"})"));
  EXPECT_EQ(retried.at("retried").as_int64(), 2);
  EXPECT_EQ(Body(Get("/api/v1/dead")).at("dead").as_array().size(), 1u);

  const json::object named = Body(Post("/api/v1/dead/retry", R"({"ids":[1,3]})"));
  EXPECT_EQ(named.at("retried").as_int64(), 1);
  EXPECT_EQ(base::ToJson(named.at("not_dead")), "[1]");

  Finish(storage::Verdict::kDead, "broken: b.pdf");
  clock_.Advance(std::chrono::hours(48));
  EXPECT_EQ(Body(Post("/api/v1/dead/purge", R"({"days":3})")).at("purged").as_int64(), 0);
  EXPECT_EQ(Body(Post("/api/v1/dead/purge", R"({"days":1})")).at("purged").as_int64(), 3);
  EXPECT_EQ(Post("/api/v1/dead/purge", R"({"days":-1})").status, 400);
  EXPECT_EQ(Post("/api/v1/dead/purge", "{}").status, 400);
}

TEST_F(ApiTest, RunsAreListedAndCancelledOnce) {
  storage::RunSpec spec;
  spec.pipeline = "documents";
  spec.identity = "i";
  spec.discovery.kind = "mail";
  const auto run = storage_->StartRun(spec);
  ASSERT_TRUE(run);
  const std::string path = "/api/v1/runs/" + std::to_string(run->id);
  EXPECT_EQ(Body(Get(path)).at("state").as_string(), "active");
  EXPECT_EQ(Body(Get("/api/v1/runs")).at("runs").as_array().size(), 1u);
  EXPECT_EQ(Body(Post(path + "/cancel")).at("state").as_string(), "cancelled");
  EXPECT_EQ(Post(path + "/cancel").status, 409);
  EXPECT_EQ(Get("/api/v1/runs/77").status, 404);
}

TEST_F(ApiTest, WorkersAreListed) {
  ASSERT_TRUE(storage_->RegisterWorker({"w1", "all", "host", 42, 4, {"mail"}, {}}));
  const auto workers = Body(Get("/api/v1/workers")).at("workers").as_array();
  ASSERT_EQ(workers.size(), 1u);
  EXPECT_EQ(workers[0].at("id").as_string(), "w1");
  EXPECT_EQ(workers[0].at("state").as_string(), "active");
  EXPECT_EQ(workers[0].at("pid").as_int64(), 42);
}

TEST_F(ApiTest, TheOverviewHasEverythingAtOneMoment) {
  EnqueueOne(R"({"kind":"mail"})");
  ASSERT_TRUE(storage_->RegisterWorker({"w1", "all", "host", 42, 4, {"mail"}, {}}));
  storage::RunSpec spec;
  spec.pipeline = "documents";
  spec.identity = "i";
  spec.discovery.kind = "mail";
  const auto run = storage_->StartRun(spec);
  ASSERT_TRUE(run);
  const json::object overview = Body(Get("/api/v1/overview?limit=5"));
  EXPECT_EQ(overview.at("now").as_string(), "2026-01-01T00:00:00.000Z");
  EXPECT_EQ(overview.at("queues").as_array().size(), 2u);
  EXPECT_EQ(overview.at("workers").as_array().size(), 1u);
  EXPECT_EQ(overview.at("runs").as_array().size(), 1u);
  EXPECT_EQ(Body(Get("/api/v1/overview?run=" + std::to_string(run->id))).at("runs").as_array().size(), 1u);
  EXPECT_EQ(Get("/api/v1/overview?run=99").status, 404);
}

TEST_F(ApiTest, CleanupCountsAndThenDeletesUpToALimit) {
  for (int i = 0; i < 3; ++i) EnqueueOne(R"({"kind":"mail"})");
  Finish(storage::Verdict::kCompleted, "");
  clock_.Advance(std::chrono::hours(48));
  const std::string ask = "/api/v1/cleanup?category=finished_jobs&older_than=";
  EXPECT_EQ(Body(Get(ask + "3d")).at("count").as_int64(), 0);
  const json::object counted = Body(Get(ask + "1d"));
  EXPECT_EQ(counted.at("count").as_int64(), 3);
  EXPECT_EQ(counted.at("before").as_string(), "2026-01-02T00:00:00.000Z");
  const std::string body = R"({"category":"finished_jobs","before":"2026-01-02T00:00:00.000Z","limit":2})";
  json::object deleted = Body(Post("/api/v1/cleanup", body));
  EXPECT_EQ(deleted.at("deleted").as_int64(), 2);
  EXPECT_TRUE(deleted.at("more").as_bool());
  deleted = Body(Post("/api/v1/cleanup", body));
  EXPECT_EQ(deleted.at("deleted").as_int64(), 1);
  EXPECT_FALSE(deleted.at("more").as_bool());
  EXPECT_THAT(Detail(Get("/api/v1/cleanup?category=jobs&older_than=1d")),
              HasSubstr("known: finished_jobs, dead_letters"));
  EXPECT_THAT(Detail(Get(ask + "soon")), HasSubstr("older_than: 'soon' is not a duration"));
  EXPECT_THAT(Detail(Get(ask + "1d&age=2d")), HasSubstr("age: unknown parameter"));
  EXPECT_THAT(Detail(Post("/api/v1/cleanup", R"({"category":"runs","before":"x"})")), HasSubstr("before: "));
  EXPECT_THAT(Detail(Post("/api/v1/cleanup", R"({"category":"runs","before":"2026-01-02T00:00:00Z","limit":0})")),
              HasSubstr("limit: must be an integer from 1"));
}

TEST_F(ApiTest, HealthFollowsThePhaseAndTheDatabase) {
  EXPECT_EQ(Get("/health/live").status, 200);
  EXPECT_EQ(Body(Get("/health/ready")).at("reason").as_string(), "service_starting");
  std::string stuck;
  health_.Watch(*storage_, std::chrono::hours(1), [&stuck] { return stuck; });
  health_.SetPhase(Phase::kServing);
  EXPECT_EQ(Get("/health/ready").status, 200);
  EXPECT_EQ(Body(Get("/health")).at("version").as_string(), "1.2.3");
  EXPECT_EQ(Body(Get("/health")).at("status").as_string(), "healthy");
  health_.SetPhase(Phase::kShuttingDown);
  const ApiResponse leaving = Get("/health/ready");
  EXPECT_EQ(leaving.status, 503);
  EXPECT_EQ(Body(leaving).at("reason").as_string(), "shutting_down");
  EXPECT_EQ(Get("/health/live").status, 200);
}

TEST_F(ApiTest, AStuckLoopIsNotAlive) {
  health_.Watch(*storage_, std::chrono::hours(1), [] { return std::string("fetcher"); });
  EXPECT_EQ(Get("/health/live").status, 503);
  EXPECT_EQ(Get("/health").status, 503);
}

}  // namespace
}  // namespace millrace::http
