#include "base/clock.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace millrace::base {
namespace {

class SystemClock : public Clock {
 public:
  [[nodiscard]] Time Now() const override {
    return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  }
};

// Reads exactly `digits` decimal digits at `at`, or fails.
bool ReadDigits(std::string_view text, std::size_t at, std::size_t digits, int& out) {
  if (at + digits > text.size()) return false;
  const char* begin = text.data() + at;
  auto [end, error] = std::from_chars(begin, begin + digits, out);
  return error == std::errc() && end == begin + digits && *begin != '-';
}

// The fraction ".123" at `at` in microseconds; moves `at` past it.
bool ReadFraction(std::string_view text, std::size_t& at, std::int64_t& micros) {
  micros = 0;
  if (at >= text.size() || text[at] != '.') return true;
  ++at;
  std::int64_t unit = 100'000;
  const std::size_t start = at;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    micros += (text[at] - '0') * unit;
    unit /= 10;
    ++at;
  }
  return at > start && at - start <= 6;
}

// "Z", "+02:00" or "-0530" to the end of the text, as the offset from UTC.
bool ReadZone(std::string_view text, std::size_t at, std::chrono::minutes& offset) {
  offset = std::chrono::minutes(0);
  if (at + 1 == text.size() && (text[at] == 'Z' || text[at] == 'z')) return true;
  if (at >= text.size() || (text[at] != '+' && text[at] != '-')) return false;
  const int sign = text[at] == '-' ? -1 : 1;
  int hours = 0;
  int minutes = 0;
  if (!ReadDigits(text, at + 1, 2, hours)) return false;
  std::size_t next = at + 3;
  if (next < text.size() && text[next] == ':') ++next;
  if (!ReadDigits(text, next, 2, minutes) || next + 2 != text.size() || hours > 23 || minutes > 59) return false;
  offset = std::chrono::minutes(sign * (hours * 60 + minutes));
  return true;
}

struct Unit {
  std::string_view name;
  std::int64_t micros;
};
constexpr std::array<Unit, 6> kUnits = {
    {{"d", 86'400'000'000}, {"h", 3'600'000'000}, {"m", 60'000'000}, {"s", 1'000'000}, {"ms", 1'000}, {"us", 1}}};

}  // namespace

const Clock& Clock::System() {
  static const SystemClock clock;
  return clock;
}

std::string FormatTime(Time time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::milliseconds>(time - day));
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

Result<Time> ParseTime(std::string_view text) {
  int year = 0;
  int month = 0;
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  std::int64_t micros = 0;
  std::chrono::minutes offset(0);
  std::size_t at = 19;
  const bool fits = text.size() >= 20 && ReadDigits(text, 0, 4, year) && text[4] == '-' &&
                    ReadDigits(text, 5, 2, month) && text[7] == '-' && ReadDigits(text, 8, 2, day) &&
                    (text[10] == 'T' || text[10] == ' ') && ReadDigits(text, 11, 2, hour) && text[13] == ':' &&
                    ReadDigits(text, 14, 2, minute) && text[16] == ':' && ReadDigits(text, 17, 2, second) &&
                    ReadFraction(text, at, micros) && ReadZone(text, at, offset);
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!fits || !date.ok() || hour > 23 || minute > 59 || second > 60) {
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("'{}' is not a time; write it as 2026-01-31T09:05:07Z or with an offset such as +02:00", text));
  }
  return Time(std::chrono::sys_days{date} + std::chrono::hours(hour) + std::chrono::minutes(minute) +
              std::chrono::seconds(second) + Duration(micros) - offset);
}

Result<Duration> ParseDuration(std::string_view text) {
  const auto bad = [&] {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("'{}' is not a duration; write 30 (seconds), 1.5s, 500ms, 5m, 2h or 1d", text));
  };
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !std::isfinite(number) || number < 0) return bad();
  const std::string_view suffix(end, static_cast<std::size_t>(text.data() + text.size() - end));
  std::int64_t scale = suffix.empty() ? 1'000'000 : 0;
  for (const Unit& unit : kUnits) {
    if (unit.name == suffix) scale = unit.micros;
  }
  const double micros = number * static_cast<double>(scale);
  if (scale == 0 || micros > 9e17) return bad();
  return Duration(std::llround(micros));
}

std::string FormatDuration(Duration duration) {
  const std::int64_t micros = duration.count();
  if (micros == 0) return "0s";
  for (const Unit& unit : kUnits) {
    if (micros % unit.micros == 0) return fmt::format("{}{}", micros / unit.micros, unit.name);
  }
  return fmt::format("{}us", micros);
}

}  // namespace millrace::base
