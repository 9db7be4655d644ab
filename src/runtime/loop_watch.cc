#include "runtime/loop_watch.h"

#include <string_view>

namespace millrace::runtime {
namespace {

constexpr std::array<std::string_view, 3> kNames = {"fetch and report", "heartbeat", "maintenance"};

}  // namespace

void LoopWatch::Step(Loop loop, Clock::time_point now) {
  stamps_[static_cast<std::size_t>(loop)] = now.time_since_epoch().count();
}

void LoopWatch::Rest(Loop loop) { stamps_[static_cast<std::size_t>(loop)] = kResting; }

std::string LoopWatch::Stuck(Duration limit, Clock::time_point now) const {
  for (std::size_t i = 0; i < stamps_.size(); ++i) {
    const Clock::rep stamp = stamps_[i];
    if (stamp != kResting && now - Clock::time_point(Clock::duration(stamp)) > limit) return std::string(kNames[i]);
  }
  return "";
}

}  // namespace millrace::runtime
