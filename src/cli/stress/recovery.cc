#include "cli/stress/recovery.h"

#include <algorithm>

namespace millrace::cli::stress {
namespace {

constexpr double kWindow = 0.5;
constexpr double kStep = 0.05;
constexpr double kNearlyFull = 0.9;

}  // namespace

void Recovery::Sample(double at, std::int64_t finished) { points_.push_back({at, static_cast<double>(finished)}); }

double Recovery::FinishedAt(double at) const {
  if (points_.empty()) return 0;
  const auto next = std::lower_bound(points_.begin(), points_.end(), at,
                                     [](const Point& point, double time) { return point.at < time; });
  if (next == points_.begin()) return next->finished;
  if (next == points_.end()) return points_.back().finished;
  const Point& before = *(next - 1);
  if (next->at <= before.at) return next->finished;
  return before.finished + (next->finished - before.finished) * (at - before.at) / (next->at - before.at);
}

double Recovery::Rate(double from, double to) const {
  return to > from ? (FinishedAt(to) - FinishedAt(from)) / (to - from) : 0;
}

std::optional<double> Recovery::After(double fault, double full, double end) const {
  for (double at = fault; at + kWindow <= end; at += kStep) {
    if (Rate(at, at + kWindow) >= kNearlyFull * full) return at - fault;
  }
  return std::nullopt;
}

}  // namespace millrace::cli::stress
