#include "base/process_stats.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace millrace::base {
namespace {

// The fields of /proc/self/stat that follow the program's name, which may itself have spaces and brackets.
std::istringstream StatFields() {
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t end = text.rfind(')');
  return std::istringstream(end == std::string::npos ? "" : text.substr(end + 1));
}

// Seconds that the system has been up, sleep included: what start times are counted from.
double Uptime() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

std::int64_t OpenFiles() {
  std::error_code ignored;
  const std::filesystem::directory_iterator open("/proc/self/fd", ignored);
  // The iterator has one of them open itself.
  return std::max<std::int64_t>(std::distance(begin(open), end(open)) - 1, 0);
}

}  // namespace

ProcessStats ReadProcessStats() {
  ProcessStats stats;
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  std::istringstream fields = StatFields();
  std::string skipped;
  double user = 0, system = 0, started = 0, pages = 0;
  for (int i = 3; i <= 13; ++i) fields >> skipped;
  fields >> user >> system;
  for (int i = 16; i <= 19; ++i) fields >> skipped;
  fields >> stats.threads >> skipped >> started >> stats.virtual_bytes >> pages;
  stats.cpu_seconds = (user + system) / ticks;
  stats.resident_bytes = pages * static_cast<double>(sysconf(_SC_PAGESIZE));
  stats.age_seconds = Uptime() - started / ticks;
  // Once: a clock that is set must not look like a restart.
  static const double start_time =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count() - stats.age_seconds;
  stats.start_time = start_time;
  stats.open_fds = OpenFiles();
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) stats.max_fds = static_cast<std::int64_t>(limit.rlim_cur);
  return stats;
}

}  // namespace millrace::base
