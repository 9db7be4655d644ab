#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "base/clock.h"
#include "base/json.h"

namespace millrace::base {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"debug", "info", "warn", "error", "off"};
constexpr std::array<std::string_view, 5> kShown = {"DEBUG", "INFO", "WARN", "ERROR", "OFF"};

std::atomic<Level> g_level = Level::kInfo;
std::atomic<bool> g_structured = false;
std::atomic<bool (*)(Level, std::string_view)> g_filter = nullptr;

// Lines are formatted here, so the logger only writes them, whole, one at a time.
spdlog::logger& Sink() {
  static const auto logger = [] {
    auto made = std::make_shared<spdlog::logger>("millrace", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->set_level(spdlog::level::trace);
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *logger;
}

std::string HumanValue(std::string_view value) {
  const bool plain = !value.empty() && std::all_of(value.begin(), value.end(), [](unsigned char c) {
    return c > 0x20 && c != '"' && c != 0x7F && c < 0x80;
  });
  return plain ? std::string(value) : JsonQuote(value);
}

}  // namespace

Result<Level> ParseLevel(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  if (lower == "warning") lower = "warn";
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == lower) return static_cast<Level>(i);
  }
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("unknown log level '{}'; known: debug, info, warn, error, off", name));
}

void ConfigureLog(const LogOptions& options) {
  g_level = options.level;
  g_structured = options.structured;
  g_filter = options.filter;
}

bool LogEnabled(Level level) { return level >= g_level.load(std::memory_order_relaxed); }

void Log(Level level, std::string_view message, std::initializer_list<LogField> fields) {
  if (!LogEnabled(level) || level == Level::kOff) return;
  if (auto* filter = g_filter.load(std::memory_order_relaxed); filter != nullptr && !filter(level, message)) return;
  const std::string time = FormatTime(Clock::System().Now());
  const std::string_view name = kShown[static_cast<std::size_t>(level)];
  std::string line;
  if (g_structured.load(std::memory_order_relaxed)) {
    line = fmt::format("{{\"timestamp\":\"{}\",\"level\":\"{}\",\"message\":{}", time, name, JsonQuote(message));
    for (const LogField& field : fields) line += fmt::format(",{}:{}", JsonQuote(field.name), JsonQuote(field.value));
    line += '}';
  } else {
    line = fmt::format("{} {:<5} {}", time, name, message);
    for (const LogField& field : fields) line += fmt::format(" {}={}", field.name, HumanValue(field.value));
  }
  Sink().log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace millrace::base
