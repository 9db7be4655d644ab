// What a scraper and an autoscaler get, over a real SQLite database whose time is moved by hand.
#include "http/metrics_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/clock.h"
#include "base/test_dir.h"
#include "storage/sqlite/driver.h"

namespace millrace::http {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;
namespace json = base::json;

class MetricsRoutesTest : public ::testing::Test {
 protected:
  MetricsRoutesTest() {
    StorageOptions options;
    options.url = dir_.file("m.db");
    storage_ = storage::sqlite::OpenSqlite(options, clock_).value();
  }

  // Adds the routes, once there is a look at what is in the database now.
  void Look(QueuesOfTypes types = {}) {
    fleet_.Watch(*storage_, std::chrono::hours(1));
    while (fleet_.Latest() == nullptr) std::this_thread::yield();
    Route(std::move(types));
  }
  void Route(QueuesOfTypes types = {}) { AddMetricsRoutes(router_, metrics_, *storage_, fleet_, std::move(types)); }

  ApiResponse Get(const std::string& target) {
    ApiRequest request;
    EXPECT_TRUE(ParseTarget(target, request));
    return router_.Handle(request);
  }
  json::object Scale(const std::string& query = "") {
    const ApiResponse response = Get("/scale" + query);
    EXPECT_EQ(response.status, 200) << response.body;
    return base::ParseJson(response.body).value().as_object();
  }
  void Enqueue(const std::string& queue, Priority priority, int count) {
    NewJob job;
    job.kind = "k";
    job.queue = queue;
    job.priority = priority;
    ASSERT_TRUE(storage_->Enqueue(std::vector<NewJob>(static_cast<std::size_t>(count), job)));
  }
  // A worker of this type with four slots, which claims so many jobs of the queue.
  std::vector<storage::ClaimedJob> Worker(const std::string& id, const std::string& type, const std::string& queue,
                                          int jobs) {
    storage::ClaimRequest request;
    request.worker = storage_->RegisterWorker({id, type, "h", 1, 4, {"k"}, {}}).value();
    workers_[id] = request.worker;
    request.max_jobs = jobs;
    request.queues = {queue};
    return jobs == 0 ? std::vector<storage::ClaimedJob>{} : storage_->Claim(request).value().jobs;
  }

  base::TestDir dir_;
  base::ManualClock clock_{*base::ParseTime("2026-01-01T00:00:00Z")};
  std::unique_ptr<storage::Storage> storage_;
  base::Metrics metrics_;
  std::map<std::string, storage::WorkerRef> workers_;
  runtime::FleetWatch fleet_;
  Router router_;
};

TEST_F(MetricsRoutesTest, MetricsHaveTheWholeDatabaseByQueueAndPriority) {
  Enqueue("mail", Priority::kHigh, 3);
  clock_.Advance(seconds(10));
  Enqueue("mail", Priority::kHigh, 1);
  Enqueue("mail", Priority::kBulk, 2);
  NewJob later;
  later.kind = "k";
  later.queue = "mail";
  later.priority = Priority::kLow;
  later.delay = seconds(100);
  ASSERT_TRUE(storage_->Enqueue({&later, 1}));
  clock_.Advance(seconds(5));
  Look();
  const ApiResponse response = Get("/metrics");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(response.body, HasSubstr("# HELP millrace_queue_depth "));
  EXPECT_THAT(response.body, HasSubstr("# TYPE millrace_queue_depth gauge\n"));
  EXPECT_THAT(response.body, HasSubstr("millrace_queue_depth{queue=\"mail\",priority=\"high\"} 4\n"));
  EXPECT_THAT(response.body, HasSubstr("millrace_queue_depth{queue=\"mail\",priority=\"bulk\"} 2\n"));
  EXPECT_THAT(response.body, HasSubstr("millrace_queue_depth{queue=\"mail\",priority=\"low\"} 0\n")) << "not due";
  EXPECT_THAT(response.body, Not(HasSubstr("millrace_queue_depth{queue=\"mail\",priority=\"critical\"}")));
  EXPECT_THAT(response.body, HasSubstr("millrace_queue_oldest_job_age_seconds{queue=\"mail\",priority=\"high\"} 15\n"));
  EXPECT_THAT(response.body, HasSubstr("millrace_queue_oldest_job_age_seconds{queue=\"mail\",priority=\"bulk\"} 5\n"));
  EXPECT_THAT(response.body, HasSubstr("millrace_queue_oldest_job_age_seconds{queue=\"mail\",priority=\"low\"} 0\n"));
  EXPECT_THAT(response.body, HasSubstr("millrace_dead_letter_depth{queue=\"mail\"} 0\n"));
  EXPECT_EQ(Get("/q/metrics").status, 200);
  EXPECT_THAT(Get("/q/metrics").body, HasSubstr("millrace_queue_depth{queue=\"mail\",priority=\"high\"} 4\n"));
}

TEST_F(MetricsRoutesTest, DeadLettersWorkersAndTheirSlotsAreCounted) {
  Enqueue("mail", Priority::kHigh, 9);
  const auto jobs = Worker("one", "mailer", "mail", 6);
  ASSERT_EQ(jobs.size(), 6U);
  storage::Report dead;
  dead.id = jobs[0].id;
  dead.attempt = jobs[0].attempt;
  dead.token = jobs[0].token;
  dead.verdict = storage::Verdict::kDead;
  dead.text = "no";
  ASSERT_TRUE(storage_->ReportOutcomes(workers_["one"], {&dead, 1}));
  Worker("two", "mailer", "mail", 1);
  Worker("gone", "mailer", "mail", 0);
  ASSERT_TRUE(storage_->StopWorker(workers_["gone"]));
  Look();
  const std::string body = Get("/metrics").body;
  EXPECT_THAT(body, HasSubstr("millrace_dead_letter_depth{queue=\"mail\"} 1\n"));
  EXPECT_THAT(body, HasSubstr("millrace_workers{type=\"mailer\",state=\"active\"} 2\n"));
  EXPECT_THAT(body, HasSubstr("millrace_workers{type=\"mailer\",state=\"stopped\"} 1\n"));
  EXPECT_THAT(body, HasSubstr("millrace_workers{type=\"mailer\",state=\"lost\"} 0\n"));
  // The first holds five jobs in four slots.
  EXPECT_THAT(body, HasSubstr("millrace_worker_slots{type=\"mailer\",state=\"busy\"} 5\n"));
  EXPECT_THAT(body, HasSubstr("millrace_worker_slots{type=\"mailer\",state=\"free\"} 3\n"));
}

TEST_F(MetricsRoutesTest, WithoutALookTheProcessStillTellsWhatIsItsOwn) {
  Route();
  const ApiResponse response = Get("/metrics");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body, Not(HasSubstr("millrace_queue_depth")));
  EXPECT_THAT(response.body, HasSubstr("\nprocess_resident_memory_bytes "));
  EXPECT_THAT(response.body, HasSubstr("millrace_db_pool_connections{state=\"max\"} 2\n"));
  EXPECT_EQ(Get("/scale").status, 503);
  EXPECT_THAT(Get("/scale").body, HasSubstr("has not been looked at"));
}

TEST_F(MetricsRoutesTest, QueuesBeyondTheCapAreAddedUp) {
  for (int i = 0; i < 60; ++i) Enqueue("q" + std::to_string(i), Priority::kLow, 1);
  clock_.Advance(seconds(7));
  Look();
  const std::string body = Get("/metrics").body;
  EXPECT_THAT(body, HasSubstr("millrace_queue_depth{queue=\"other\",priority=\"low\"} 10\n"));
  EXPECT_THAT(body, HasSubstr("millrace_queue_oldest_job_age_seconds{queue=\"other\",priority=\"low\"} 7\n"));
}

TEST_F(MetricsRoutesTest, ScaleHasASlotForEachJobOrAShare) {
  Enqueue("mail", Priority::kHigh, 10);
  Worker("one", "mailer", "mail", 3);
  clock_.Advance(seconds(30));
  Look();
  json::object scale = Scale();
  EXPECT_EQ(scale.at("queue_depth").as_int64(), 7);
  EXPECT_EQ(scale.at("running").as_int64(), 3);
  EXPECT_EQ(scale.at("oldest_job_age_seconds").as_double(), 30.0);
  EXPECT_EQ(scale.at("workers").as_int64(), 1);
  EXPECT_EQ(scale.at("slots").as_int64(), 4);
  EXPECT_EQ(scale.at("recommended_replicas").as_int64(), 3) << "ten jobs, four slots each";
  EXPECT_EQ(Scale("?jobs_per_replica=5").at("recommended_replicas").as_int64(), 2);
  EXPECT_EQ(Scale("?jobs_per_replica=1000").at("recommended_replicas").as_int64(), 1);
  EXPECT_EQ(Scale("?jobs_per_replica=9223372036854775807").at("recommended_replicas").as_int64(), 1);
}

TEST_F(MetricsRoutesTest, ScaleKeepsTypesApart) {
  Enqueue("mail", Priority::kHigh, 8);
  Enqueue("video", Priority::kHigh, 3);
  Worker("one", "mailer", "mail", 2);
  Look({{"mailer", {"mail"}}, {"encoder", {"video"}}});
  const json::object scale = Scale();
  EXPECT_EQ(scale.at("queue_depth").as_int64(), 9);
  const json::object& types = scale.at("types").as_object();
  EXPECT_EQ(types.at("mailer").as_object().at("queue_depth").as_int64(), 6);
  EXPECT_EQ(types.at("mailer").as_object().at("recommended_replicas").as_int64(), 2);
  EXPECT_EQ(types.at("encoder").as_object().at("queue_depth").as_int64(), 3);
  EXPECT_EQ(types.at("encoder").as_object().at("running").as_int64(), 0);
  EXPECT_EQ(types.at("encoder").as_object().at("recommended_replicas").as_int64(), 1)
      << "until one is there nobody knows its slots";
  EXPECT_EQ(Scale("?type=mailer").at("queue_depth").as_int64(), 6);
  EXPECT_EQ(Get("/scale?type=painter").status, 404);
  EXPECT_THAT(Get("/scale?type=painter").body, HasSubstr("there are: encoder, mailer"));
}

TEST_F(MetricsRoutesTest, WithNothingToDoScaleSaysNone) {
  Enqueue("mail", Priority::kHigh, 3);
  ASSERT_TRUE(storage_->PauseQueue("mail", true));
  Look();
  EXPECT_EQ(Scale().at("recommended_replicas").as_int64(), 0) << "a paused queue needs no worker";
}

TEST_F(MetricsRoutesTest, ScaleRefusesWhatItDoesNotKnow) {
  Look();
  for (const std::string query : {"?jobs_per_replica=0", "?jobs_per_replica=many", "?jobs_per_replica=", "?tpye=all"}) {
    const ApiResponse response = Get("/scale" + query);
    EXPECT_EQ(response.status, 400) << query;
    EXPECT_EQ(response.content_type, "application/problem+json");
  }
}

TEST_F(MetricsRoutesTest, TheDatabaseComponentOfAFileHasNoPool) { EXPECT_TRUE(PoolJson(*storage_).empty()); }

}  // namespace
}  // namespace millrace::http
