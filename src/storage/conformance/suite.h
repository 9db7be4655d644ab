// The conformance suite: what storage.h promises, as tests that every driver runs.
//
// A driver's conformance_test.cc says how to open it and instantiates the suite:
//   INSTANTIATE_CONFORMANCE(Memory, (Driver{"memory", MakeMemory}));
// Tests move time by hand; nothing in them sleeps. After each test the queues' counts are compared with a recount.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "storage/conformance/helpers.h"
#include "storage/storage.h"

namespace millrace::storage {

// An open, empty storage under test.
struct Instance {
  std::unique_ptr<Storage> storage;
  // Moves the database's clock and lets waiters notice.
  std::function<void(Duration)> advance;
  // As after a crash of the process: a new driver on the same data, once the old one is destroyed. Null when the driver
  // cannot.
  std::function<std::unique_ptr<Storage>()> reopen;
};
using Factory = std::function<Instance(const StorageOptions&)>;

struct Driver {
  std::string name;
  Factory open;
};

class Conformance : public testing::TestWithParam<Driver> {
 protected:
  void TearDown() override;

  // The storage, opened with `options` at first use.
  Storage& db();
  void Advance(Duration by);
  // False, and the test is over, when the driver cannot be reopened.
  bool Reopen();
  Time Now() { return Must(db().Now()); }

  WorkerRef Register(const std::string& id);
  JobId Add(const NewJob& job);
  std::vector<JobId> AddMany(int count, const NewJob& job);
  // Up to `max_jobs` jobs of the given queues (all when empty).
  std::vector<ClaimedJob> Claim(const WorkerRef& worker, int max_jobs, std::vector<std::string> queues = {});
  std::vector<JobId> ClaimIds(const WorkerRef& worker, int max_jobs, std::vector<std::string> queues = {});
  // Exactly one job, which has to be there.
  ClaimedJob ClaimOne(const WorkerRef& worker, std::vector<std::string> queues = {});
  bool Send(const WorkerRef& worker, const Report& report);
  bool Complete(const WorkerRef& worker, const ClaimedJob& job);
  // Every write of a lost lease is refused and nothing of it written.
  void ExpectRefused(const WorkerRef& worker, const ClaimedJob& job, const std::string& why);
  // A job that was claimed and became dead.
  JobId AddDead(const NewJob& job);

  Job Get(JobId id) { return Must(db().GetJob(id)).value(); }
  JobState StateOf(JobId id) { return Get(id).state; }
  std::vector<Attempt> AttemptsOf(JobId id) { return Must(db().Attempts(id)); }
  RunRow Run(RunId id) { return Must(db().GetRun(id)).value(); }
  QueueRow QueueNamed(const std::string& name);
  std::vector<Job> AllJobs(JobFilter filter = {});
  // Queues() says what a recount of ListJobs says.
  void CheckCounts();

  StorageOptions options;

 private:
  Instance instance_;
};

// Makes the linker keep the suite's files; INSTANTIATE_CONFORMANCE calls it.
bool LinkSuite();

#define INSTANTIATE_CONFORMANCE(NAME, ...)                                               \
  static const bool k##NAME##Linked [[maybe_unused]] = ::millrace::storage::LinkSuite(); \
  INSTANTIATE_TEST_SUITE_P(NAME, Conformance, testing::Values(__VA_ARGS__),              \
                           [](const testing::TestParamInfo<Driver>& info) { return info.param.name; })

}  // namespace millrace::storage
