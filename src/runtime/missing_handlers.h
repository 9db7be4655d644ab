// Jobs of kinds this worker has no handler for: they are put off, ever longer, so that another worker can take them and
// this one is not kept busy by them.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include "millrace/job.h"

namespace millrace::runtime {

// Thread-safe.
class MissingHandlers {
 public:
  using Clock = std::chrono::steady_clock;

  struct Answer {
    Duration delay{0};  // how long to put the job off
    bool tell = false;  // whether people are to be told: at most once a minute for each kind
  };
  // A job of `kind` was met at `now`. The first are put off for 1 s; once that has passed, those met then for 2 s, and
  // so on up to 60 s. Jobs met within one such time are put off alike, however many they are.
  Answer Met(const std::string& kind, Clock::time_point now);

 private:
  struct Kind {
    Duration delay{0};
    Clock::time_point longer_from;
    Clock::time_point told_until;
  };
  std::mutex mutex_;
  std::map<std::string, Kind> kinds_;
};

}  // namespace millrace::runtime
