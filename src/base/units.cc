#include "base/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace millrace::base {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t bytes;
};
constexpr std::array<Unit, 10> kUnits = {{{"B", 1},
                                          {"KB", 1'000},
                                          {"kB", 1'000},
                                          {"MB", 1'000'000},
                                          {"GB", 1'000'000'000},
                                          {"TB", 1'000'000'000'000},
                                          {"KiB", 1ll << 10},
                                          {"MiB", 1ll << 20},
                                          {"GiB", 1ll << 30},
                                          {"TiB", 1ll << 40}}};

}  // namespace

Result<std::int64_t> ParseBytes(std::string_view text) {
  const auto bad = [&] {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("'{}' is not a size; write 4096 (bytes), 512KiB, 64MiB, 1.5GiB or 10MB", text));
  };
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(number) || std::signbit(number)) return bad();
  std::string_view suffix(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (!suffix.empty() && suffix.front() == ' ') suffix.remove_prefix(1);
  std::int64_t scale = suffix.empty() ? 1 : 0;
  for (const Unit& unit : kUnits) {
    if (unit.name == suffix) scale = unit.bytes;
  }
  const double bytes = number * static_cast<double>(scale);
  if (scale == 0 || bytes >= 9.2e18 || bytes != std::floor(bytes)) return bad();
  return static_cast<std::int64_t>(bytes);
}

std::string FormatBytes(std::int64_t bytes) {
  for (std::size_t i = kUnits.size(); i-- > 6;) {
    const Unit& unit = kUnits[i];
    if (bytes >= unit.bytes && bytes % unit.bytes == 0) return fmt::format("{}{}", bytes / unit.bytes, unit.name);
  }
  return fmt::format("{}", bytes);
}

}  // namespace millrace::base
