// A process that is killed at any moment has lost nothing it was told is done, and what it ran comes back.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <random>

#include "base/test_dir.h"
#include "storage/conformance/helpers.h"
#include "storage/sqlite/driver.h"

namespace millrace::storage::sqlite {
namespace {

// What the child tells its parent once the storage has acknowledged it.
struct Told {
  JobId id = 0;
  bool completed = false;  // else: enqueued
};

constexpr int kBatch = 7;

std::vector<Told> EnqueueBatch(Storage& db) {
  const std::vector<NewJob> jobs(kBatch, JobOf("k", [](NewJob& j) { j.partition_key = "p"; }));
  std::vector<Told> told;
  for (const Enqueued& one : Must(db.Enqueue(jobs))) told.push_back({one.id, false});
  return told;
}

// Completes half of what it claims, so that each moment finds some jobs running.
std::vector<Told> WorkABatch(Storage& db, const WorkerRef& worker) {
  ClaimRequest request;
  request.worker = worker;
  request.max_jobs = kBatch;
  std::vector<Report> reports;
  for (const ClaimedJob& job : Must(db.Claim(request)).jobs) {
    if (reports.size() < kBatch / 2) reports.push_back(ReportOf(job, Verdict::kCompleted));
  }
  const Accepted accepted = Must(db.ReportOutcomes(worker, reports));
  std::vector<Told> told;
  for (std::size_t i = 0; i < reports.size(); ++i) {
    if (accepted[i]) told.push_back({reports[i].id, true});
  }
  return told;
}

// Never returns: works until it is killed.
[[noreturn]] void Child(const StorageOptions& options, int pipe) {
  auto db = OpenSqlite(options);
  if (!db) _exit(3);
  WorkerInfo info;
  info.id = "w";
  const WorkerRef worker = Must((*db)->RegisterWorker(info));
  while (true) {
    for (const auto& told : {EnqueueBatch(**db), WorkABatch(**db, worker)}) {
      const auto bytes = static_cast<ssize_t>(told.size() * sizeof(Told));
      if (write(pipe, told.data(), static_cast<std::size_t>(bytes)) != bytes) _exit(4);
    }
  }
}

// Runs a child until it has told `messages` things, kills it there and then, and adds all it told.
void RunAndKill(const StorageOptions& options, std::size_t messages, std::vector<Told>& told) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    close(ends[0]);
    Child(options, ends[1]);
  }
  close(ends[1]);
  Told one;
  bool killed = false;
  for (std::size_t heard = 0; read(ends[0], &one, sizeof one) == sizeof one; ++heard) {
    told.push_back(one);
    if (heard >= messages && !std::exchange(killed, true)) kill(child, SIGKILL);
  }
  close(ends[0]);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself, status " << status;
}

TEST(SqliteCrashTest, AcknowledgedWorkSurvivesKillsAtRandomMoments) {
  const base::TestDir folder;
  StorageOptions options;
  options.url = folder.file("jobs.db");
  options.max_crashes = 1000;
  std::mt19937 random(std::random_device{}());
  std::vector<Told> told;
  for (int round = 0; round < 10; ++round) {
    const std::size_t before = told.size();
    RunAndKill(options, std::uniform_int_distribution<std::size_t>(1, 200)(random), told);
    ASSERT_FALSE(HasFatalFailure());
    ASSERT_GT(told.size(), before);
  }
  auto db = Must(OpenSqlite(options));
  JobFilter everything;
  everything.limit = 1'000'000;
  std::map<JobId, Job> jobs;
  for (Job& job : Must(db->ListJobs(everything))) jobs[job.id] = std::move(job);
  std::map<JobId, int> completions;
  for (const Told& one : told) {
    ASSERT_TRUE(jobs.contains(one.id)) << "job " << one.id << " was acknowledged and is gone";
    if (!one.completed) continue;
    EXPECT_EQ(jobs[one.id].state, JobState::kCompleted) << one.id;
    EXPECT_EQ(++completions[one.id], 1) << "job " << one.id << " was accepted as completed twice";
  }
  int crashed = 0;
  for (const auto& [id, job] : jobs) {
    EXPECT_TRUE(job.state == JobState::kCompleted || job.state == JobState::kAvailable) << id;
    crashed += job.crashes;
    EXPECT_EQ(static_cast<int>(Must(db->Attempts(id)).size()), job.crashes) << "a history line for each crash";
  }
  EXPECT_GT(crashed, 0) << "no job was running at any kill: the test shows too little";
  std::int64_t counted = 0;
  for (const QueueRow& row : Must(db->Queues())) {
    for (const auto& lane : row.counts) {
      for (const std::int64_t count : lane) counted += count;
    }
  }
  EXPECT_EQ(counted, static_cast<std::int64_t>(jobs.size()));
}

}  // namespace
}  // namespace millrace::storage::sqlite
