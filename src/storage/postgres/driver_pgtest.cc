// What only this driver has to show: answers that are lost on the way, and many processes at once.
#include <thread>

#include "storage/postgres/lossy_proxy.h"
#include "storage/postgres/pg_fixture.h"
#include "storage/postgres/url.h"

namespace millrace::storage::postgres {
namespace {

class DriverTest : public SchemaTest {
 protected:
  // A driver that reaches the server at this port of 127.0.0.1.
  std::unique_ptr<Storage> Through(int port) {
    const Target target = Must(ParseUrl(options_.url));
    StorageOptions options;
    options.url = "host=127.0.0.1 port=" + std::to_string(port) + " dbname=" + target.keywords.at("dbname") +
                  " user=" + target.keywords.at("user");
    options.password = target.password;
    options.pool_timeout = std::chrono::seconds(5);
    if (max_connections_ > 0) {
      options.pool_size = max_connections_;
      options.max_overflow = 0;
    }
    return Must(OpenPostgres(options));
  }
  int max_connections_ = 0;  // of the pool; 0: as many as it wants
  int ServerPort() { return std::stoi(Must(ParseUrl(options_.url)).keywords.at("port")); }
};

TEST_F(DriverTest, JobsOfAClaimWhoseAnswerWasLostComeBackAtTheNextCall) {
  LossyProxy proxy(ServerPort());
  auto driver = Through(proxy.port());
  const WorkerRef worker = Must(driver->RegisterWorker({.id = "w", .slots = 4}));
  const std::vector<NewJob> jobs(3, JobOf("k"));
  Must(driver->Enqueue(jobs));
  proxy.LoseAnswerTo("claim(");
  const auto lost = driver->Claim(RequestOf(worker, 3));
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, ErrorCode::kDatabaseUnavailable);
  ASSERT_TRUE(proxy.lost());
  const std::vector<ClaimedJob> claimed = Must(driver->Claim(RequestOf(worker, 3))).jobs;
  ASSERT_EQ(claimed.size(), 3u) << "no one else can know of them";
  for (const ClaimedJob& job : claimed) EXPECT_EQ(job.attempt, 1) << "what never ran was no attempt";
}

TEST_F(DriverTest, AHeartbeatGivesThemBackToo) {
  LossyProxy proxy(ServerPort());
  auto driver = Through(proxy.port());
  auto other = Through(ServerPort());
  const WorkerRef worker = Must(driver->RegisterWorker({.id = "w", .slots = 4}));
  const WorkerRef second = Must(other->RegisterWorker({.id = "second", .slots = 4}));
  const NewJob job = JobOf("k");
  Must(driver->Enqueue({&job, 1}));
  proxy.LoseAnswerTo("claim(");
  ASSERT_FALSE(driver->Claim(RequestOf(worker, 1)));
  Must(driver->Heartbeat(worker, WorkerState::kActive, {}));
  EXPECT_EQ(Must(other->Claim(RequestOf(second, 1))).jobs.size(), 1u);
}

TEST_F(DriverTest, AReportWhoseAnswerWasLostCountsOnce) {
  LossyProxy proxy(ServerPort());
  auto driver = Through(proxy.port());
  const WorkerRef worker = Must(driver->RegisterWorker({.id = "w", .slots = 4}));
  const NewJob job = JobOf("k");
  const JobId id = Must(driver->Enqueue({&job, 1})).at(0).id;
  const ClaimedJob claimed = Must(driver->Claim(RequestOf(worker, 1))).jobs.at(0);
  const Report done = ReportOf(claimed, Verdict::kCompleted);
  proxy.LoseAnswerTo("report(");
  ASSERT_FALSE(driver->ReportOutcomes(worker, {&done, 1}));
  EXPECT_EQ(Must(driver->ReportOutcomes(worker, {&done, 1})), Accepted{false}) << "it was taken the first time";
  EXPECT_EQ(Must(driver->GetJob(id))->state, JobState::kCompleted);
}

// A worker with much to do reports on one connection while it claims on another.
class BusyTest : public DriverTest {
 protected:
  // Has claimed `count` jobs of several thousand, and says of all that they are completed.
  void Begin(int port, int count) {
    driver_ = Through(port);
    worker_ = Must(driver_->RegisterWorker({.id = "w", .slots = 4}));
    Must(driver_->Enqueue(std::vector<NewJob>(3000, JobOf("k"))));
    for (const ClaimedJob& job : Must(driver_->Claim(RequestOf(worker_, count))).jobs) {
      reports_.push_back(ReportOf(job, Verdict::kCompleted));
    }
    ASSERT_EQ(reports_.size(), static_cast<std::size_t>(count));
  }
  // Reports what is left of them and claims 400, with both connections open.
  Result<Exchange> ReportWhileLosing(const std::string& text, LossyProxy& proxy) {
    const std::span<const Report> all(reports_);
    EXPECT_EQ(Must(driver_->ReportAndClaim(all.first(100), RequestOf(worker_, 200))).claimed.jobs.size(), 200u);
    proxy.LoseAnswerTo(text);
    auto exchange = driver_->ReportAndClaim(all.subspan(100), RequestOf(worker_, 400));
    EXPECT_TRUE(proxy.lost());
    return exchange;
  }
  // The reports count once, and what was claimed comes back at the next call.
  void ExpectNothingLost() {
    const std::vector<Report> rest(reports_.begin() + 100, reports_.end());
    const Exchange again = Must(driver_->ReportAndClaim(rest, RequestOf(worker_, 3000)));
    EXPECT_EQ(again.claimed.jobs.size(), 2300u);
    EXPECT_EQ(Count(JobState::kCompleted), 500);
    for (const ClaimedJob& job : again.claimed.jobs) EXPECT_EQ(job.attempt, 1) << "what never ran was no attempt";
  }
  std::int64_t Count(JobState state) {
    const QueueRow queue = Must(driver_->Queues()).at(0);
    return queue.counts[static_cast<int>(Priority::kDefault)][static_cast<int>(state)];
  }

  std::unique_ptr<Storage> driver_;
  WorkerRef worker_;
  std::vector<Report> reports_;
};

TEST_F(BusyTest, ReportsAndClaimsAtOnce) {
  Begin(ServerPort(), 500);
  // Somebody holds the rows that the report needs. Were the claim behind it on the same connection, it would wait too.
  auto blocker = Open();
  Must(blocker->Begin());
  Must(blocker->Script("SELECT FROM millrace.lease FOR UPDATE"));
  std::jthread unblock([&](const std::stop_token& stop) {
    while (!stop.stop_requested() && Count(JobState::kRunning) < 900) std::this_thread::yield();
    Must(blocker->Commit());
  });
  const Exchange exchange = Must(driver_->ReportAndClaim(reports_, RequestOf(worker_, 400)));
  EXPECT_EQ(exchange.accepted, Accepted(500, true));
  EXPECT_EQ(exchange.claimed.jobs.size(), 400u);
  EXPECT_EQ(Count(JobState::kCompleted), 500);
  EXPECT_EQ(Count(JobState::kRunning), 400);
}

TEST_F(BusyTest, LosesNothingWithTheAnswerToItsReports) {
  LossyProxy proxy(ServerPort());
  Begin(proxy.port(), 500);
  EXPECT_FALSE(ReportWhileLosing("report(", proxy).has_value());
  ExpectNothingLost();
}

TEST_F(BusyTest, LosesNothingWithTheAnswerToItsClaim) {
  LossyProxy proxy(ServerPort());
  Begin(proxy.port(), 500);
  const Exchange exchange = Must(ReportWhileLosing("claim(", proxy));
  EXPECT_EQ(exchange.accepted, Accepted(400, true));
  EXPECT_TRUE(exchange.claimed.jobs.empty());
  ExpectNothingLost();
}

TEST_F(BusyTest, WithASingleConnectionDoesOneAfterTheOther) {
  max_connections_ = 1;
  Begin(ServerPort(), 500);
  const Exchange exchange = Must(driver_->ReportAndClaim(reports_, RequestOf(worker_, 400)));
  EXPECT_EQ(exchange.accepted, Accepted(500, true));
  EXPECT_EQ(exchange.claimed.jobs.size(), 400u);
}

// What the leader is at when its time runs out ends before another leads.
TEST_F(DriverTest, NobodyTakesOverInTheMiddleOfTheLeadersWrite) {
  auto driver = Through(ServerPort());
  const WorkerRef first = Must(driver->RegisterWorker({.id = "first"}));
  const WorkerRef second = Must(driver->RegisterWorker({.id = "second"}));
  const Campaign campaign{"scope", std::chrono::minutes(1)};
  const std::int64_t epoch = Must(driver->Lead(first, campaign)).epoch;
  auto write = Open();
  Must(write->Begin());
  Must(write->Script("SELECT millrace.lead_in('scope', 'first', " + std::to_string(first.incarnation) + ", " +
                     std::to_string(epoch) + ")"));
  EXPECT_EQ(Must(driver->Lead(first, campaign)).epoch, epoch) << "it can be renewed meanwhile";
  Must(driver->Resign(first, "scope"));
  const Leadership early = Must(driver->Lead(second, campaign));
  EXPECT_FALSE(early.leads);
  EXPECT_EQ(early.holder, "");
  Must(write->Commit());
  const Leadership taken = Must(driver->Lead(second, campaign));
  EXPECT_TRUE(taken.leads);
  EXPECT_EQ(taken.epoch, epoch + 1);
}

}  // namespace
}  // namespace millrace::storage::postgres
