// The door to JSON (Boost.JSON): strict parsing with errors that say where, and helpers to build text.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/error.h"

namespace millrace::base {

namespace json = boost::json;

// Parses one JSON document, UTF-8, nested at most `max_depth` deep. A member named twice in one object, trailing
// text and bad UTF-8 are errors too: kInvalidArgument with "line:column: what".
Result<json::value> ParseJson(std::string_view text, std::size_t max_depth = 64);

// Whether `text` is one JSON value, or one object: UTF-8, nested at most 64 deep, without building it, for hot paths.
// kInvalidArgument with "line:column: what".
Result<void> CheckJson(std::string_view text);
Result<void> CheckJsonObject(std::string_view text);

// The text of a value on one line, and on many for people (two spaces of indent).
std::string ToJson(const json::value& value);
std::string ToPrettyJson(const json::value& value);

// `text` as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD.
std::string JsonQuote(std::string_view text);

// Texts as a JSON array on one line, or nothing when there are none; and back. What is no array of strings has none.
std::string TextsToJson(const std::vector<std::string>& texts);
std::vector<std::string> TextsFromJson(std::string_view text);

}  // namespace millrace::base
