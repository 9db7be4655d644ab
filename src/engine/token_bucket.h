// A rate limit: at most `rate` per second over time, with a burst of at most one second's worth (and never less than
// 1).
#pragma once

#include <algorithm>
#include <cstdint>

#include "millrace/job.h"

namespace millrace::engine {

// Plain data, so that a driver can store it. A new bucket is full.
struct TokenBucket {
  double tokens = -1;  // -1: never used
  Time refilled_at{};

  // Adds what has accrued by `now`. Time that goes back adds nothing.
  void Refill(double rate, Time now) {
    const double burst = std::max(rate, 1.0);
    if (tokens < 0) {
      tokens = burst;
    } else if (now > refilled_at) {
      tokens = std::min(burst, tokens + rate * static_cast<double>((now - refilled_at).count()) / 1e6);
    }
    refilled_at = std::max(refilled_at, now);
  }
  // Whole tokens to spend now.
  [[nodiscard]] std::int64_t Whole() const { return tokens < 1 ? 0 : static_cast<std::int64_t>(tokens); }
  void Take(std::int64_t count) { tokens -= static_cast<double>(count); }
};

}  // namespace millrace::engine
