// The door to logging (spdlog). One line per event to standard error: human text, or JSON when
// structured. Thread-safe after Configure.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "millrace/error.h"

namespace millrace::base {

enum class Level { kDebug, kInfo, kWarn, kError, kOff };

// "debug", "info", "warn", "error", "off", any case.
Result<Level> ParseLevel(std::string_view name);

struct LogOptions {
  Level level = Level::kInfo;
  bool structured = false;  // one JSON object a line: timestamp, level, message and fields
  // Asked before each line that the level lets through; false drops it. It may also clear what stands on the terminal's
  // last line. Called on any thread, several at once.
  bool (*filter)(Level level, std::string_view message) = nullptr;
};

// May be called again at any time.
void ConfigureLog(const LogOptions& options);
[[nodiscard]] bool LogEnabled(Level level);

// One name and value beside a message, such as {"job", "42"}.
struct LogField {
  std::string_view name;
  std::string value;
};

// `Log(Level::kError, "Job failed", {{"job", "42"}, {"error", text}})`. Messages are constant texts that operators
// grep; what varies goes into fields. Control characters in values are escaped.
void Log(Level level, std::string_view message, std::initializer_list<LogField> fields = {});

}  // namespace millrace::base
