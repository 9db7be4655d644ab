// Short ways to say what tests of storages say often.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "storage/storage.h"

namespace millrace::storage {

// The value of a call that has to succeed; otherwise the test ends with the error's message.
template <class T>
T Must(Result<T> result) {
  if (!result) {
    throw std::runtime_error(std::string(error_code_name(result.error().code)) + ": " + result.error().message);
  }
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

// A job of a kind, changed as `change` says.
NewJob JobOf(const std::string& kind, const std::function<void(NewJob&)>& change = nullptr);
Report ReportOf(const ClaimedJob& job, Verdict verdict, Duration delay = Duration(0), const std::string& text = "");
JobFilter ByIds(std::vector<JobId> ids);
std::vector<JobId> IdsOf(const std::vector<ClaimedJob>& jobs);

inline constexpr Duration kMicro = std::chrono::microseconds(1);
inline constexpr Duration kSecond = std::chrono::seconds(1);
inline constexpr Duration kMinute = std::chrono::minutes(1);
inline constexpr Duration kStale = std::chrono::seconds(30);
inline constexpr Duration kHour = std::chrono::hours(1);

}  // namespace millrace::storage
