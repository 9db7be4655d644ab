#include "millrace/handler.h"

namespace millrace {

Outcome Outcome::done(std::string result_json) { return {Kind::kDone, std::move(result_json), std::nullopt}; }
Outcome Outcome::retry(std::string error, std::optional<Duration> after) {
  return {Kind::kRetry, std::move(error), after};
}
Outcome Outcome::snooze(Duration delay) { return {Kind::kSnooze, {}, delay}; }
Outcome Outcome::fatal(std::string error) { return {Kind::kFatal, std::move(error), std::nullopt}; }

}  // namespace millrace
