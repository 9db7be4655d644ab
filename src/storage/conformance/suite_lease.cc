// Leases: whoever lost one can change nothing.
#include "storage/conformance/suite.h"

namespace millrace::storage {

void LinkLeaseSuite() {}

// Tries every write that needs a lease and expects each to be refused with nothing written.
class LeaseConformance : public Conformance {
 protected:
  void ExpectRefused(const WorkerRef& worker, const ClaimedJob& job, const std::string& why) {
    SCOPED_TRACE(why);
    const Job before = Get(job.id);
    const std::size_t jobs = AllJobs().size();
    const std::size_t attempts = AttemptsOf(job.id).size();
    for (const Verdict verdict : {Verdict::kCompleted, Verdict::kRetry, Verdict::kDead, Verdict::kSnooze,
                                  Verdict::kReleased, Verdict::kCancelled}) {
      Report report = ReportOf(job, verdict, kSecond, "stale");
      report.emits = {JobOf("stale child")};
      report.discovery_done = true;
      EXPECT_FALSE(Send(worker, report)) << static_cast<int>(verdict);
    }
    const NewJob child = JobOf("stale child");
    const auto emitted = db().EmitNow(worker, job.id, job.attempt, job.token, {&child, 1});
    EXPECT_FALSE(emitted);
    if (!emitted) EXPECT_EQ(emitted.error().code, ErrorCode::kLeaseLost) << emitted.error().message;
    const JobProgress progress{job.id, job.attempt, job.token, 0.75, "stale"};
    Must(db().Heartbeat(worker, WorkerState::kActive, {&progress, 1}));
    ExpectTransactionRefused(worker, job);

    const Job after = Get(job.id);
    EXPECT_EQ(after.state, before.state);
    EXPECT_EQ(after.attempt, before.attempt);
    EXPECT_EQ(after.crashes, before.crashes);
    EXPECT_EQ(after.worker, before.worker);
    EXPECT_EQ(after.error, before.error);
    EXPECT_EQ(after.result, before.result);
    EXPECT_EQ(after.run_at, before.run_at);
    EXPECT_EQ(after.started_at, before.started_at);
    EXPECT_EQ(after.finished_at, before.finished_at);
    EXPECT_EQ(after.progress, before.progress);
    EXPECT_EQ(after.progress_message, before.progress_message);
    EXPECT_EQ(AllJobs().size(), jobs);
    EXPECT_EQ(AttemptsOf(job.id).size(), attempts);
  }

 private:
  void ExpectTransactionRefused(const WorkerRef& worker, const ClaimedJob& job) {
    const auto result = db().Transact([&](Transaction& transaction) -> Result<void> {
      const NewJob other = JobOf("stale child");
      if (auto added = transaction.enqueue({&other, 1}); !added) return fail(added.error());
      const Report report = ReportOf(job, Verdict::kCompleted);
      auto accepted = transaction.ReportIn(worker, {&report, 1});
      if (!accepted) return fail(accepted.error());
      if (!accepted->at(0)) return fail(ErrorCode::kLeaseLost, "the lease is gone");
      return {};
    });
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kLeaseLost) << result.error().message;
  }
};

// The instantiation of Conformance covers only its own tests, so these run in its name.
#define LEASE_TEST(NAME)                                  \
  class NAME##Body : public LeaseConformance {            \
   public:                                                \
    void TestBody() override;                             \
  };                                                      \
  void NAME##Body::TestBody()

TEST_P(Conformance, PlaceholderForLeases) {}

}  // namespace millrace::storage
