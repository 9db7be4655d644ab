// Checks of values that several commands take. What does not pass is wrong usage, told with the option's name before
// anything is done.
#pragma once

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <string>

namespace millrace::cli {

// The id of a job or a run.
inline CLI::Validator IsId() {
  return CLI::Validator(
      [](std::string& value) {
        std::int64_t id = 0;
        const char* end = value.data() + value.size();
        const auto [at, error] = std::from_chars(value.data(), end, id);
        const bool good = error == std::errc() && at == end && id > 0;
        return good ? std::string() : "'" + value + "' is no id: a number from 1 is needed";
      },
      "");
}

// --limit of a list.
inline CLI::Range IsPageSize() { return {1, 1000}; }

}  // namespace millrace::cli
