#include "engine/priority.h"

#include <algorithm>

namespace millrace::engine {
namespace {

constexpr std::array<int, kPriorityCount> kWeights = {16, 8, 4, 2, 1};
constexpr std::array<int, kPriorityCount> kTargetSeconds = {1, 5, 30, 120, 300};

}  // namespace

int PriorityWeight(Priority priority) { return kWeights[static_cast<std::size_t>(priority)]; }

Duration TargetWait(Priority priority) {
  return std::chrono::seconds(kTargetSeconds[static_cast<std::size_t>(priority)]);
}

Priority AgedPriority(Priority priority, Duration wait) {
  const std::int64_t steps = wait.count() <= 0 ? 0 : wait / TargetWait(priority);
  return static_cast<Priority>(std::max<std::int64_t>(0, static_cast<std::int64_t>(priority) - steps));
}

// Smooth weighted round robin: every lane with work earns its weight, the richest goes and pays the sum. A lane without
// work keeps no credit, so it cannot save up turns while it is empty.
std::optional<Priority> FairShare::Next(const LaneWaits& waits) {
  std::int64_t total = 0;
  std::optional<std::size_t> best;
  for (std::size_t lane = 0; lane < waits.size(); ++lane) {
    if (!waits[lane]) {
      credit_[lane] = 0;
      continue;
    }
    const int weight = PriorityWeight(AgedPriority(static_cast<Priority>(lane), *waits[lane]));
    credit_[lane] += weight;
    total += weight;
    if (!best || credit_[lane] > credit_[*best]) best = lane;
  }
  if (!best) return std::nullopt;
  credit_[*best] -= total;
  return static_cast<Priority>(*best);
}

}  // namespace millrace::engine
