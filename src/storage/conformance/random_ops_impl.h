// The two storages under comparison and how their answers are matched; random_ops.cc has the operations.
#pragma once

#include <deque>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "storage/conformance/model.h"
#include "storage/conformance/random_ops.h"

namespace millrace::storage {

// A difference between driver and model.
class Difference : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The ids of one thing in both storages.
class IdMap {
 public:
  void Add(std::int64_t real, std::int64_t model) {
    to_model_[real] = model;
    to_real_[model] = real;
  }
  // 0 for 0 and for what is not known.
  [[nodiscard]] std::int64_t ToModel(std::int64_t real) const { return Find(to_model_, real); }
  [[nodiscard]] std::int64_t ToReal(std::int64_t model) const { return Find(to_real_, model); }
  [[nodiscard]] std::vector<std::int64_t> Reals() const {
    std::vector<std::int64_t> ids;
    for (const auto& [real, model] : to_model_) ids.push_back(real);
    return ids;
  }

 private:
  static std::int64_t Find(const std::map<std::int64_t, std::int64_t>& map, std::int64_t id) {
    const auto found = map.find(id);
    return found == map.end() ? 0 : found->second;
  }
  std::map<std::int64_t, std::int64_t> to_model_;
  std::map<std::int64_t, std::int64_t> to_real_;
};

// A worker as both storages know it; `usable` until it is stopped.
struct PairedWorker {
  WorkerRef real;
  WorkerRef model;
  bool usable = true;
};

// A lease as both storages gave it. Kept when it is stale, to be tried again.
struct PairedLease {
  std::size_t worker = 0;
  ClaimedJob real;
  ClaimedJob model;
};

// Both storages, at the same time of day.
class Pair {
 public:
  Pair(const Factory& open, const StorageOptions& options);

  Storage& real() { return *instance_.storage; }
  MemoryStorage& model() { return *model_; }
  void Advance(Duration by);
  bool Reopen();

  // Throws when the two answers are not both values, or errors of the same code. True when both are values.
  template <class T>
  bool BothWorked(const Result<T>& real, const Result<T>& model) {
    if (real.has_value() != model.has_value()) {
      Differ(std::string("result: driver ") + Show(real) + ", model " + Show(model));
    }
    if (!real && real.error().code != model.error().code)
      Differ("error: driver " + Show(real) + ", model " + Show(model));
    return real.has_value();
  }
  [[noreturn]] static void Differ(const std::string& what) { throw Difference(what); }

  // Matches jobs that are new in both, whoever created them.
  void MatchNewJobs();
  void CompareEnqueued(const std::vector<Enqueued>& real, const std::vector<Enqueued>& model);
  void CompareIds(const char* what, std::vector<JobId> real, const std::vector<JobId>& model);
  void CompareClaimed(const Claimed& real, const Claimed& model);
  void CompareEverything();
  void CompareAllJobs();

  IdMap jobs;
  IdMap runs;

 private:
  template <class T>
  static std::string Show(const Result<T>& result) {
    if (result) return "a value";
    return std::string(error_code_name(result.error().code)) + " (" + result.error().message + ")";
  }
  [[nodiscard]] std::string ErrorAsModel(const std::string& error) const;
  void CompareJob(const Job& real, const Job& model);
  void CompareHistory(JobId real, JobId model);
  void CompareQueues();
  void CompareRuns();
  void CompareWorkers();

  Instance instance_;
  std::unique_ptr<base::ManualClock> clock_;
  std::unique_ptr<MemoryStorage> model_;
  JobId last_real_ = 0;
  JobId last_model_ = 0;
};

}  // namespace millrace::storage
