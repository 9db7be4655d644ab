// Reading the values of a result, in both formats.
#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>

#include "storage/postgres/connection.h"

namespace millrace::storage::postgres {
namespace {

// Object identifiers of built-in types, which never change (pg_type.dat).
constexpr Oid kBool = 16;
constexpr Oid kInt8 = 20;
constexpr Oid kInt2 = 21;
constexpr Oid kInt4 = 23;
constexpr Oid kOid = 26;
constexpr Oid kFloat4 = 700;
constexpr Oid kFloat8 = 701;
constexpr Oid kTimestamp = 1114;
constexpr Oid kTimestamptz = 1184;
constexpr Oid kNumeric = 1700;
constexpr Oid kJsonb = 3802;
constexpr Oid kXid8 = 5069;

constexpr std::int64_t kEpochDifference = 946'684'800'000'000;  // 2000-01-01, from which PostgreSQL counts
constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();

template <class T>
T BigEndian(const char* bytes) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    value = static_cast<T>((value << 8) | static_cast<unsigned char>(bytes[i]));
  return value;
}

std::int64_t Signed(const char* bytes, int length) {
  switch (length) {
    case 1:
      return bytes[0] != 0 ? 1 : 0;
    case 2:
      return static_cast<std::int16_t>(BigEndian<std::uint16_t>(bytes));
    case 4:
      return static_cast<std::int32_t>(BigEndian<std::uint32_t>(bytes));
    case 8:
      return static_cast<std::int64_t>(BigEndian<std::uint64_t>(bytes));
    default:
      return 0;
  }
}

// Infinity, which PostgreSQL stores as the largest number, stays the largest.
std::int64_t UnixTime(std::int64_t value) {
  return value > kLargest - kEpochDifference ? kLargest : value == kLowest ? kLowest : value + kEpochDifference;
}

double Float(const char* bytes, int length) {
  return length == 4 ? static_cast<double>(std::bit_cast<float>(BigEndian<std::uint32_t>(bytes)))
                     : std::bit_cast<double>(BigEndian<std::uint64_t>(bytes));
}

// Four int16: the count of digits to base 10000, the first one's power, the sign, the scale. Then the digits.
struct Numeric {
  const char* bytes;
  int length;

  [[nodiscard]] int Word(int index) const {
    return index * 2 + 2 > length ? 0 : static_cast<int>(Signed(bytes + index * 2, 2));
  }
  [[nodiscard]] bool Negative() const { return Word(2) == 0x4000; }

  [[nodiscard]] double Real() const {
    double value = 0;
    double unit = 1;
    for (int i = 0; i < Word(1); ++i) unit *= 10000;
    for (int i = 0; i > Word(1); --i) unit /= 10000;
    for (int i = 0; i < Word(0); ++i, unit /= 10000) value += Word(4 + i) * unit;
    return Negative() ? -value : value;
  }

  // Truncated; out of range: the nearest there is.
  [[nodiscard]] std::int64_t Integer() const {
    std::int64_t value = 0;
    for (int i = 0; i <= Word(1); ++i) {
      const std::int64_t digit = i < Word(0) ? Word(4 + i) : 0;
      if (__builtin_mul_overflow(value, std::int64_t{10000}, &value) ||
          __builtin_sub_overflow(value, digit, &value)) {  // negative numbers reach one further
        return Negative() ? kLowest : kLargest;
      }
    }
    if (Negative()) return value;
    return value == kLowest ? kLargest : -value;
  }
};

std::int64_t Truncated(double value) {
  if (!(value > -9.2e18)) return value < 0 ? kLowest : 0;  // NaN is 0
  return value > 9.2e18 ? kLargest : static_cast<std::int64_t>(value);
}

double ParseReal(std::string_view text) {
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::int64_t ParseInteger(std::string_view text) {
  if (text == "t") return 1;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  return Truncated(ParseReal(text));
}

}  // namespace

bool ResultSet::Row::is_null(int column) const { return PQgetisnull(result_, row_, column) != 0; }

std::int64_t ResultSet::Row::integer(int column) const {
  if (is_null(column)) return 0;
  const char* bytes = PQgetvalue(result_, row_, column);
  const int length = PQgetlength(result_, row_, column);
  if (PQfformat(result_, column) == 0) return ParseInteger({bytes, static_cast<std::size_t>(length)});
  switch (PQftype(result_, column)) {
    case kBool:
    case kInt2:
    case kInt4:
    case kInt8:
    case kXid8:
      return Signed(bytes, length);
    case kOid:
      return BigEndian<std::uint32_t>(bytes);
    case kTimestamp:
    case kTimestamptz:
      return UnixTime(Signed(bytes, length));
    case kNumeric:
      return Numeric{bytes, length}.Integer();
    case kFloat4:
    case kFloat8:
      return Truncated(Float(bytes, length));
    default:
      return 0;
  }
}

double ResultSet::Row::real(int column) const {
  if (is_null(column)) return 0;
  const char* bytes = PQgetvalue(result_, row_, column);
  const int length = PQgetlength(result_, row_, column);
  if (PQfformat(result_, column) == 0) return ParseReal({bytes, static_cast<std::size_t>(length)});
  switch (PQftype(result_, column)) {
    case kFloat4:
    case kFloat8:
      return Float(bytes, length);
    case kNumeric:
      return Numeric{bytes, length}.Real();
    default:
      return static_cast<double>(integer(column));
  }
}

std::string_view ResultSet::Row::text(int column) const {
  if (is_null(column)) return {};
  std::string_view bytes(PQgetvalue(result_, row_, column),
                         static_cast<std::size_t>(PQgetlength(result_, row_, column)));
  // jsonb comes with a version number before its text.
  if (PQftype(result_, column) == kJsonb && PQfformat(result_, column) == 1 && !bytes.empty()) bytes.remove_prefix(1);
  return bytes;
}

std::int64_t ResultSet::affected() const {
  if (result_ == nullptr) return 0;
  return ParseInteger(PQcmdTuples(result_.get()));
}

}  // namespace millrace::storage::postgres
