// Time as a seam: production reads the system, tests move it by hand.
#pragma once

#include <atomic>

#include "millrace/job.h"

namespace millrace::base {

// Wall time. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Time Now() const = 0;
  // The machine's clock, in microseconds.
  static const Clock& System();
};

// Stands still until advanced. Thread-safe.
class ManualClock : public Clock {
 public:
  explicit ManualClock(Time start) : now_(start.time_since_epoch().count()) {}
  [[nodiscard]] Time Now() const override { return Time(Duration(now_.load())); }
  void Advance(Duration by) { now_ += by.count(); }

 private:
  std::atomic<std::int64_t> now_;
};

// "2026-01-31T09:05:07.123Z" (UTC, milliseconds), and back; parsing also accepts no fraction, up to six
// digits of it, and an offset such as +02:00. Anything else is kInvalidArgument.
std::string FormatTime(Time time);
Result<Time> ParseTime(std::string_view text);

// "500ms", "5m", "2h", "1d", "30" (seconds), "1.5s"; anything else is kInvalidArgument. And back, shortest
// exact form.
Result<Duration> ParseDuration(std::string_view text);
std::string FormatDuration(Duration duration);

}  // namespace millrace::base
