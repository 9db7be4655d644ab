#include "storage/postgres/params.h"

#include <bit>
#include <limits>

namespace millrace::storage::postgres {
namespace {

// Object identifiers of built-in types, which never change (pg_type.dat).
constexpr std::uint32_t kBool = 16;
constexpr std::uint32_t kBytea = 17;
constexpr std::uint32_t kInt8 = 20;
constexpr std::uint32_t kInt2 = 21;
constexpr std::uint32_t kInt4 = 23;
constexpr std::uint32_t kText = 25;
constexpr std::uint32_t kFloat8 = 701;
constexpr std::uint32_t kTimestamptz = 1184;
constexpr std::uint32_t kBoolArray = 1000;
constexpr std::uint32_t kInt2Array = 1005;
constexpr std::uint32_t kInt4Array = 1007;
constexpr std::uint32_t kTextArray = 1009;
constexpr std::uint32_t kInt8Array = 1016;
constexpr std::uint32_t kTimestamptzArray = 1185;
constexpr std::uint32_t kUnknown = 0;

// PostgreSQL counts from 2000-01-01, we from 1970-01-01.
constexpr std::int64_t kEpochDifference = 946'684'800'000'000;

template <class T>
void Write(std::string& out, T value) {
  for (int shift = (static_cast<int>(sizeof(T)) - 1) * 8; shift >= 0; shift -= 8) {
    out += static_cast<char>((value >> shift) & 0xff);
  }
}

std::int64_t Microseconds(millrace::Time time) {
  const std::int64_t unix_time = time.time_since_epoch().count();
  constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();
  return unix_time < kLowest + kEpochDifference ? kLowest : unix_time - kEpochDifference;
}

template <class T>
void WriteElement(std::string& out, T value) {
  Write(out, static_cast<std::int32_t>(sizeof(T)));
  Write(out, value);
}

void WriteElement(std::string& out, bool value) {
  Write(out, std::int32_t{1});
  out += value ? '\1' : '\0';
}

void WriteElement(std::string& out, std::string_view value) {
  Write(out, static_cast<std::int32_t>(value.size()));
  out += value;
}

void WriteNull(std::string& out) { Write(out, std::int32_t{-1}); }

}  // namespace

void Params::Begin(std::uint32_t type, bool binary) { entries_.push_back({type, bytes_.size(), 0, false, binary}); }

Params& Params::End() {
  entries_.back().length = bytes_.size() - entries_.back().begin;
  bytes_ += '\0';
  if (entries_.back().length > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()) && error_.empty()) {
    error_ = "parameter $" + std::to_string(size()) + " is larger than 2 GiB";
  }
  return *this;
}

Params& Params::Null(std::uint32_t type, bool binary) {
  entries_.push_back({type, bytes_.size(), 0, true, binary});
  return *this;
}

void Params::CheckText(std::string_view value) {
  const std::size_t at = value.find('\0');
  if (at == std::string_view::npos || !error_.empty()) return;
  error_ = "parameter $" + std::to_string(size()) + " has a NUL byte at offset " + std::to_string(at) +
           ", which a PostgreSQL text cannot hold; remove it";
}

Params& Params::Int(std::int64_t value) {
  Begin(kInt8);
  Write(bytes_, value);
  return End();
}

Params& Params::Int4(std::int32_t value) {
  Begin(kInt4);
  Write(bytes_, value);
  return End();
}

Params& Params::Int2(std::int16_t value) {
  Begin(kInt2);
  Write(bytes_, value);
  return End();
}

Params& Params::Bool(bool value) {
  Begin(kBool);
  bytes_ += value ? '\1' : '\0';
  return End();
}

Params& Params::Real(double value) {
  Begin(kFloat8);
  Write(bytes_, std::bit_cast<std::int64_t>(value));
  return End();
}

Params& Params::Text(std::string_view value) {
  Begin(kText);
  CheckText(value);
  bytes_ += value;
  return End();
}

Params& Params::NullText() { return Null(kText); }

Params& Params::Bytes(std::string_view value) {
  Begin(kBytea);
  bytes_ += value;
  return End();
}

Params& Params::Time(millrace::Time value) {
  Begin(kTimestamptz);
  Write(bytes_, Microseconds(value));
  return End();
}

Params& Params::NullTime() { return Null(kTimestamptz); }

Params& Params::Untyped(std::string_view value) {
  Begin(kUnknown, false);
  CheckText(value);
  bytes_ += value;
  return End();
}

Params& Params::UntypedNull() { return Null(kUnknown, false); }

// The wire format: dimensions, whether NULLs occur, the element's type; then for the dimension its length and its lower
// bound; then each element's length and bytes.
void Params::ArrayHeader(std::uint32_t element, std::size_t size, bool nulls) {
  Write(bytes_, std::int32_t{size == 0 ? 0 : 1});
  Write(bytes_, std::int32_t{nulls ? 1 : 0});
  Write(bytes_, element);
  if (size == 0) return;
  Write(bytes_, static_cast<std::int32_t>(size));
  Write(bytes_, std::int32_t{1});
}

template <class Values, class WriteOne>
Params& Params::Array(std::uint32_t type, std::uint32_t element, const Values& values, const WriteOne& write) {
  Begin(type);
  // A flag that says NULLs may occur costs nothing when none does; the server looks at the elements.
  ArrayHeader(element, values.size(), true);
  for (const auto& value : values) write(value);
  return End();
}

Params& Params::Ints(std::span<const std::int64_t> values) {
  return Array(kInt8Array, kInt8, values, [this](std::int64_t value) { WriteElement(bytes_, value); });
}

Params& Params::Int4s(std::span<const std::int32_t> values) {
  return Array(kInt4Array, kInt4, values, [this](std::int32_t value) { WriteElement(bytes_, value); });
}

Params& Params::Int2s(std::span<const std::int16_t> values) {
  return Array(kInt2Array, kInt2, values, [this](std::int16_t value) { WriteElement(bytes_, value); });
}

Params& Params::Bools(const std::vector<bool>& values) {
  return Array(kBoolArray, kBool, values, [this](bool value) { WriteElement(bytes_, value); });
}

Params& Params::Bools(std::span<const bool> values) {
  return Array(kBoolArray, kBool, values, [this](bool value) { WriteElement(bytes_, value); });
}

Params& Params::Texts(std::span<const std::string> values) {
  return Array(kTextArray, kText, values, [this](std::string_view value) {
    CheckText(value);
    WriteElement(bytes_, value);
  });
}

Params& Params::Texts(std::span<const std::string_view> values) {
  return Array(kTextArray, kText, values, [this](std::string_view value) {
    CheckText(value);
    WriteElement(bytes_, value);
  });
}

Params& Params::NullableTexts(std::span<const std::optional<std::string_view>> values) {
  return Array(kTextArray, kText, values, [this](const std::optional<std::string_view>& value) {
    if (!value) return WriteNull(bytes_);
    CheckText(*value);
    WriteElement(bytes_, *value);
  });
}

Params& Params::Times(std::span<const std::optional<millrace::Time>> values) {
  return Array(kTimestamptzArray, kTimestamptz, values, [this](const std::optional<millrace::Time>& value) {
    if (!value) return WriteNull(bytes_);
    WriteElement(bytes_, Microseconds(*value));
  });
}

Params::Wire Params::wire() const {
  Wire wire;
  wire.types.reserve(entries_.size());
  wire.values.reserve(entries_.size());
  wire.lengths.reserve(entries_.size());
  wire.formats.reserve(entries_.size());
  for (const Entry& entry : entries_) {
    wire.types.push_back(entry.type);
    wire.values.push_back(entry.null ? nullptr : bytes_.data() + entry.begin);
    wire.lengths.push_back(static_cast<int>(entry.length));
    wire.formats.push_back(entry.binary ? 1 : 0);
  }
  return wire;
}

}  // namespace millrace::storage::postgres
