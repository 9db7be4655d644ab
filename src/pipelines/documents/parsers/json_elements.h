// From JSON events to elements, shared by the parsers of JSON and JSON Lines.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "pipelines/documents/parsers/parser.h"

namespace millrace::documents {

// Where one JSON value goes.
struct JsonTarget {
  std::int32_t parent = 0;
  // The type of the element of the value itself: kRecord, or kRoot for "whatever fits the value" (json_object,
  // json_array, json_value).
  ElementType type = ElementType::kRoot;
  std::string location;  // of the value: "line 4"; pointers below it stand after a space; empty: pointers alone
};

// Why JSON could not be read: "syntax error", at a byte offset of the text.
struct JsonFailure {
  std::size_t offset = 0;
  std::string what;
};

// Reads the JSON value at the beginning of `text` (UTF-8) and sets `used` to its length. White space after it counts to
// it. What is nested deeper than `max_depth` is flattened with a warning; deeper than kMaxJsonDepth it is a failure.
// Warns of names that stand twice in one object. Elements may have been added when it fails.
inline constexpr int kMaxJsonDepth = 1000;
std::optional<JsonFailure> AddJson(std::string_view text, const JsonTarget& target, int max_depth, ElementSink& sink,
                                   std::size_t& used);

// Whether `text` is one JSON value and nothing else; the failure if it is not.
std::optional<JsonFailure> CheckJson(std::string_view text);

// "line:column", both from 1, of an offset; the column in characters.
std::string JsonPosition(std::string_view text, std::size_t offset);

}  // namespace millrace::documents
