// Which priority's job goes next: weighted fair shares that age, so that no lane starves.
//
// Shares are by weight (critical 16, high 8, default 4, low 2, bulk 1) over the lanes that have work:
// smooth weighted round robin, work-conserving. A lane whose oldest job has waited past the lane's
// target counts one priority higher, and again for each further target (bulk: 300 s).
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>

#include "millrace/job.h"

namespace millrace::engine {

// The priorities a worker serves.
class PrioritySet {
 public:
  static PrioritySet All() { return PrioritySet(0x1f); }
  static PrioritySet None() { return PrioritySet(0); }
  void Add(Priority p) { bits_ |= 1u << static_cast<int>(p); }
  [[nodiscard]] bool Has(Priority p) const { return (bits_ >> static_cast<int>(p)) & 1u; }
  [[nodiscard]] bool Empty() const { return bits_ == 0; }
  bool operator==(const PrioritySet&) const = default;

 private:
  explicit PrioritySet(unsigned bits) : bits_(bits) {}
  unsigned bits_;
};

// 16, 8, 4, 2, 1.
int PriorityWeight(Priority priority);

// How long a lane's jobs should wait at most: 1 s, 5 s, 30 s, 120 s, 300 s.
Duration TargetWait(Priority priority);

// The priority a job of `priority` counts as after waiting `wait`.
Priority AgedPriority(Priority priority, Duration wait);

// One lane as a choice sees it: absent when it has nothing to give.
using LaneWaits = std::array<std::optional<Duration>, kPriorityCount>;

// Deals out turns. Deterministic: the same sequence of calls gives the same sequence of lanes.
// Not thread-safe.
class FairShare {
 public:
  // The lane whose job goes next, or nothing when no lane has work. waits[p]: how long lane p's oldest
  // job has been eligible (negative counts as 0).
  std::optional<Priority> Next(const LaneWaits& waits);

 private:
  std::array<std::int64_t, kPriorityCount> credit_{};
};

}  // namespace millrace::engine
