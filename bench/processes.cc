// What the real programs take: an idle worker's memory and processor time, the time to the first job.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench.h"
#include "millrace/client.h"
#include "support/process.h"

namespace millrace::bench {
namespace {

using std::chrono::seconds;
using tests::Child;
using tests::Start;

void IdleWorkload(const Setting& setting, Results& results) {
  Child worker(
      Start{.argv = {(setting.programs / "millrace").string(), "worker", "--db", (setting.folder / "idle.db").string()},
            .folder = setting.folder,
            .env = {{"HTTP_PORT", "off"}}});
  // Two seconds to settle, then ten to look at.
  if (worker.WaitForExit(seconds(2))) throw std::runtime_error("the worker ended: " + worker.Wait().err);
  double before = ProcessorSeconds(worker.pid());
  if (worker.WaitForExit(seconds(10))) throw std::runtime_error("the worker ended: " + worker.Wait().err);
  double used = ProcessorSeconds(worker.pid()) - before;
  results.Add("idle.memory", static_cast<double>(ResidentBytes(worker.pid())) / 1e6, "MB",
              "millrace worker, resident; target: under 20");
  results.Add("idle.processor", 100 * used / 10, "%", "of one core over 10 s; target: under 0.5");
  worker.Kill(SIGTERM);
  worker.Wait(seconds(30));
}

void StartWorkload(const Setting& setting, Results& results) {
  std::vector<double> milliseconds;
  for (int round = 0; round < 11; ++round) {
    std::string database = (setting.folder / ("start" + std::to_string(round) + ".db")).string();
    {
      StorageOptions options;
      options.url = database;
      auto client = Client::open(options);
      if (!client) throw std::runtime_error(client.error().message);
      NewJob job;
      job.kind = "noop";
      if (auto enqueued = client->enqueue(job); !enqueued) throw std::runtime_error(enqueued.error().message);
    }
    auto started = std::chrono::steady_clock::now();
    Child child(Start{.argv = {(setting.programs / "millrace_bench").string(), "--first-job", database}});
    if (!child.WaitForText("running", seconds(20))) throw std::runtime_error("no job ran: " + child.Wait().err);
    milliseconds.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - started).count());
    child.Wait(seconds(20));
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  results.Add("start.first_job", milliseconds[milliseconds.size() / 2], "ms",
              "program started to handler running, median of 11; target: under 50");
}

}  // namespace

std::int64_t ResidentBytes(int pid) {
  std::ifstream file(pid == 0 ? "/proc/self/statm" : "/proc/" + std::to_string(pid) + "/statm");
  std::int64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

double ProcessorSeconds(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  // The name, in parentheses, may hold spaces; utime and stime are the 12th and 13th field after it.
  std::size_t at = text.rfind(')');
  double total = 0;
  std::size_t field = 0;
  for (std::size_t i = at + 2; i < text.size() && field < 13; ++field) {
    std::size_t end = text.find(' ', i);
    if (field == 11 || field == 12) total += std::stod(text.substr(i, end - i));
    i = end + 1;
  }
  return total / static_cast<double>(sysconf(_SC_CLK_TCK));
}

std::vector<Workload> ProcessWorkloads() {
  return {
      {"idle", "an idle worker's memory and processor time", IdleWorkload},
      {"start", "start-up to the first job", StartWorkload},
  };
}

}  // namespace millrace::bench
