// The frame of the benches: workloads by name, each run in a process of its own so that none sees the other's memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace millrace::bench {

// What a workload may use.
struct Setting {
  std::filesystem::path folder;    // its own, empty, on the disk that is measured; removed afterwards
  std::filesystem::path programs;  // where millrace and the bench programs stand
  std::int64_t jobs = 0;           // asked for by the user; 0: the workload's own number
};

// Receives results while a workload runs.
class Results {
 public:
  virtual ~Results() = default;
  // One number. `note` is for people: what it was measured on, or the target.
  virtual void Add(const std::string& name, double value, const std::string& unit, const std::string& note = {}) = 0;
};

struct Workload {
  std::string name;
  std::string about;
  std::function<void(const Setting&, Results&)> run;  // throws when it cannot be measured
};

std::vector<Workload> JobWorkloads();
std::vector<Workload> ClaimWorkloads();
std::vector<Workload> ProcessWorkloads();
std::vector<Workload> DocumentWorkloads();

// `millrace_bench --first-job DB`: works one job and prints a line when its handler runs. Returns the exit status.
int FirstJobMain(const std::string& database);

// Resident memory of a process (0: this one) in bytes, and the processor time it used so far in seconds.
std::int64_t ResidentBytes(int pid = 0);
double ProcessorSeconds(int pid);

}  // namespace millrace::bench
