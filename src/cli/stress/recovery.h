// How long the rate of finished jobs takes to be back after a fault.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

namespace millrace::cli::stress {

// Collects what was finished when, and when faults came; answers afterwards. Seconds count from the run's begin. One
// thread.
class Recovery {
 public:
  // Never decreasing in both.
  void Sample(double at, std::int64_t finished);

  // Jobs per second, over the whole of this stretch of time.
  [[nodiscard]] double Rate(double from, double to) const;

  // Seconds from `fault` until the first half second whose rate is at least nine tenths of `full`; nothing when that
  // does not come before `end`.
  [[nodiscard]] std::optional<double> After(double fault, double full, double end) const;

 private:
  // Between samples in a straight line.
  [[nodiscard]] double FinishedAt(double at) const;

  struct Point {
    double at;
    double finished;
  };
  std::vector<Point> points_;
};

}  // namespace millrace::cli::stress
