#include "runtime/missing_handlers.h"

#include <algorithm>

namespace millrace::runtime {
namespace {

constexpr Duration kFirstDelay = std::chrono::seconds(1);
constexpr Duration kLongestDelay = std::chrono::seconds(60);
constexpr auto kToldEvery = std::chrono::minutes(1);

}  // namespace

MissingHandlers::Answer MissingHandlers::Met(const std::string& kind, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  const auto [entry, is_new] = kinds_.try_emplace(kind);
  Kind& known = entry->second;
  if (is_new || now >= known.longer_from) {
    known.delay = is_new ? kFirstDelay : std::min(known.delay * 2, kLongestDelay);
    known.longer_from = now + known.delay;
  }
  const bool tell = is_new || now >= known.told_until;
  if (tell) known.told_until = now + kToldEvery;
  return {known.delay, tell};
}

}  // namespace millrace::runtime
