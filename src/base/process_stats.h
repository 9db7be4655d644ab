// What the system says of this process.
#pragma once

#include <cstdint>

namespace millrace::base {

struct ProcessStats {
  double cpu_seconds = 0;  // user and system
  double resident_bytes = 0;
  double virtual_bytes = 0;
  double age_seconds = 0;  // since it was started, as exact as the system keeps it (10 ms)
  double start_time = 0;   // seconds since the Unix epoch
  std::int64_t open_fds = 0;
  std::int64_t max_fds = 0;
  std::int64_t threads = 0;
};

// Reads /proc/self. What cannot be read is 0.
[[nodiscard]] ProcessStats ReadProcessStats();

}  // namespace millrace::base
