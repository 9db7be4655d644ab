// The parameters of one statement, in PostgreSQL's binary format with explicit types.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/job.h"

namespace millrace::storage::postgres {

// Parameters in the order they are added: the first is $1. Owns its bytes, so that what was passed may go at once.
// A text with a NUL byte, which PostgreSQL cannot store, is remembered in error(), and a statement given such
// parameters is refused with kInvalidArgument before anything is sent. Not thread-safe.
class Params {
 public:
  Params& Int(std::int64_t value);   // int8
  Params& Int4(std::int32_t value);  // int4
  Params& Int2(std::int16_t value);  // int2
  Params& Bool(bool value);
  Params& Real(double value);  // float8
  Params& Text(std::string_view value);
  Params& NullText();
  Params& Bytes(std::string_view value);  // bytea
  Params& Time(millrace::Time value);     // timestamptz
  Params& NullTime();

  // One-dimensional arrays; an empty one is '{}', never NULL.
  Params& Ints(std::span<const std::int64_t> values);
  Params& Int4s(std::span<const std::int32_t> values);
  Params& Int2s(std::span<const std::int16_t> values);
  Params& Bools(const std::vector<bool>& values);
  Params& Bools(std::span<const bool> values);
  Params& Texts(std::span<const std::string> values);
  Params& Texts(std::span<const std::string_view> values);
  Params& NullableTexts(std::span<const std::optional<std::string_view>> values);
  Params& Times(std::span<const std::optional<millrace::Time>> values);

  // In text format and without a type: the server takes the type from where the parameter stands.
  Params& Untyped(std::string_view value);
  Params& UntypedNull();

  [[nodiscard]] int size() const { return static_cast<int>(entries_.size()); }
  // Empty, or which parameter cannot be sent and why.
  [[nodiscard]] const std::string& error() const { return error_; }

  // What libpq takes, as parallel arrays. Valid while the Params is alive and unchanged.
  struct Wire {
    std::vector<std::uint32_t> types;
    std::vector<const char*> values;
    std::vector<int> lengths;
    std::vector<int> formats;  // 0 text, 1 binary
  };
  [[nodiscard]] Wire wire() const;

 private:
  struct Entry {
    std::uint32_t type;
    std::size_t begin;
    std::size_t length;
    bool null;
    bool binary;
  };

  void Begin(std::uint32_t type, bool binary = true);
  Params& End();
  Params& Null(std::uint32_t type, bool binary = true);
  void CheckText(std::string_view value);
  void ArrayHeader(std::uint32_t element, std::size_t size, bool nulls);
  template <class Values, class Write>
  Params& Array(std::uint32_t type, std::uint32_t element, const Values& values, const Write& write);

  std::string bytes_;  // of all values; libpq's text format wants a NUL after each, so each has one
  std::vector<Entry> entries_;
  std::string error_;
};

}  // namespace millrace::storage::postgres
