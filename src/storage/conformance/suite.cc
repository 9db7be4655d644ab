#include "storage/conformance/suite.h"

#include <algorithm>

namespace millrace::storage {

void LinkEnqueueSuite();
void LinkClaimSuite();
void LinkLimitsSuite();
void LinkPartitionsSuite();
void LinkReportSuite();
void LinkLeaseSuite();
void LinkRescueSuite();
void LinkPeopleSuite();
void LinkDependenciesSuite();
void LinkOldSuite();
void LinkRunsSuite();
void LinkLeadersSuite();
void LinkThreadsSuite();
void LinkTransactionsSuite();
void LinkRandomSuite();

bool LinkSuite() {
  LinkEnqueueSuite();
  LinkClaimSuite();
  LinkLimitsSuite();
  LinkPartitionsSuite();
  LinkReportSuite();
  LinkLeaseSuite();
  LinkRescueSuite();
  LinkPeopleSuite();
  LinkDependenciesSuite();
  LinkOldSuite();
  LinkRunsSuite();
  LinkLeadersSuite();
  LinkThreadsSuite();
  LinkTransactionsSuite();
  LinkRandomSuite();
  return true;
}

// Tests that use only the model may find the suite linked in with it.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Conformance);

void Conformance::TearDown() {
  if (instance_.storage) CheckCounts();
}

Storage& Conformance::db() {
  if (!instance_.storage) instance_ = GetParam().open(options);
  return *instance_.storage;
}

void Conformance::Advance(Duration by) {
  db();
  instance_.advance(by);
}

bool Conformance::Reopen() {
  db();
  if (!instance_.reopen) return false;
  instance_.storage.reset();
  instance_.storage = instance_.reopen();
  return true;
}

WorkerRef Conformance::Register(const std::string& id) {
  WorkerInfo info;
  info.id = id;
  info.host = "host";
  info.pid = 42;
  info.slots = 10;
  return Must(db().RegisterWorker(info));
}

JobId Conformance::Add(const NewJob& job) { return Must(db().Enqueue({&job, 1})).at(0).id; }

std::vector<JobId> Conformance::AddMany(int count, const NewJob& job) {
  const std::vector<NewJob> jobs(static_cast<std::size_t>(count), job);
  std::vector<JobId> ids;
  for (const Enqueued& one : Must(db().Enqueue(jobs))) ids.push_back(one.id);
  return ids;
}

std::vector<ClaimedJob> Conformance::Claim(const WorkerRef& worker, int max_jobs, std::vector<std::string> queues) {
  ClaimRequest request;
  request.worker = worker;
  request.max_jobs = max_jobs;
  request.queues = std::move(queues);
  return Must(db().Claim(request)).jobs;
}

std::vector<JobId> Conformance::ClaimIds(const WorkerRef& worker, int max_jobs, std::vector<std::string> queues) {
  return IdsOf(Claim(worker, max_jobs, std::move(queues)));
}

ClaimedJob Conformance::ClaimOne(const WorkerRef& worker, std::vector<std::string> queues) {
  return Claim(worker, 1, std::move(queues)).at(0);
}

bool Conformance::Send(const WorkerRef& worker, const Report& report) {
  const Accepted accepted = Must(db().ReportOutcomes(worker, {&report, 1}));
  EXPECT_EQ(accepted.size(), 1u);
  return accepted.at(0);
}

bool Conformance::Complete(const WorkerRef& worker, const ClaimedJob& job) {
  return Send(worker, ReportOf(job, Verdict::kCompleted));
}

JobId Conformance::AddDead(const NewJob& job) {
  const JobId id = Add(job);
  const WorkerRef worker = Register("undertaker");
  for (const ClaimedJob& claimed : Claim(worker, 1'000'000, {job.queue})) {
    const Verdict verdict = claimed.id == id ? Verdict::kDead : Verdict::kReleased;
    EXPECT_TRUE(Send(worker, ReportOf(claimed, verdict, Duration(0), "broken")));
  }
  Must(db().StopWorker(worker));
  EXPECT_EQ(StateOf(id), JobState::kDead);
  return id;
}

QueueRow Conformance::QueueNamed(const std::string& name) {
  for (QueueRow& row : Must(db().Queues())) {
    if (row.name == name) return row;
  }
  throw std::runtime_error("no queue '" + name + "'");
}

std::vector<Job> Conformance::AllJobs(JobFilter filter) {
  filter.limit = 1'000'000;
  return Must(db().ListJobs(filter));
}

void Conformance::CheckCounts() {
  std::map<std::string, std::map<std::pair<int, int>, std::int64_t>> counted;
  for (const Job& job : AllJobs()) {
    ++counted[job.queue][{static_cast<int>(job.priority), static_cast<int>(job.state)}];
  }
  const std::vector<QueueRow> rows = Must(db().Queues());
  for (const QueueRow& row : rows) {
    for (int priority = 0; priority < kPriorityCount; ++priority) {
      for (int state = 0; state < kJobStateCount; ++state) {
        const std::int64_t expected = counted[row.name][std::pair(priority, state)];
        EXPECT_EQ(row.counts[priority][state], expected)
            << "queue " << row.name << ", " << priority_name(static_cast<Priority>(priority)) << ", "
            << job_state_name(static_cast<JobState>(state));
      }
    }
  }
  for (const auto& [name, counts] : counted) {
    EXPECT_TRUE(std::any_of(rows.begin(), rows.end(), [&](const QueueRow& row) { return row.name == name; }))
        << "queue '" << name << "' has jobs but no row";
  }
}

}  // namespace millrace::storage
