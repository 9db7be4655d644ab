#include "storage/postgres/errors.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

namespace millrace::storage::postgres {
namespace {

constexpr std::array<std::string_view, 3> kRetryable = {"40001", "40P01", "55P03"};

std::string OrDefault(const std::string& text) { return text.empty() ? std::string("(default)") : text; }

std::string Trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  return std::string(text);
}

std::string During(std::string_view doing) { return doing.empty() ? "" : std::string(doing) + ": "; }

// The engine's own functions say everything in their message.
std::optional<ErrorCode> EngineCode(std::string_view state) {
  if (state == "MR001") return ErrorCode::kQueueFull;
  if (state == "MR002") return ErrorCode::kInvalidArgument;
  if (state == "MR003") return ErrorCode::kLeaseLost;
  if (state == "MR004") return ErrorCode::kNotFound;
  if (state == "MR005") return ErrorCode::kConflict;
  return std::nullopt;
}

ErrorCode CodeOf(std::string_view state) {
  if (state == "28P01" || state == "28000" || state == "42501") return ErrorCode::kPermission;
  if (state == "3F000" || state == "42P01" || state == "42883") return ErrorCode::kSchemaOld;
  if (state == "3D000") return ErrorCode::kNotFound;
  if (state == "25006") return ErrorCode::kReadOnly;
  if (state == "53100") return ErrorCode::kDiskFull;
  if (state == "53400" || state.starts_with("54")) return ErrorCode::kLimitExceeded;
  if (state == "57014") return ErrorCode::kTimeout;
  if (state == "0A000") return ErrorCode::kUnsupported;
  if (state == "25P02") return ErrorCode::kConflict;  // a statement failed earlier in this transaction
  if (state == "58030") return ErrorCode::kIo;
  if (state == "XX001" || state == "XX002") return ErrorCode::kCorrupt;
  if (state.starts_with("22") || state.starts_with("23")) return ErrorCode::kInvalidArgument;
  // 08 connection, 53 resources, 57 the operator (shutdown), 25P03 and 25P04 the server's own time limits on sessions.
  if (state.starts_with("08") || state.starts_with("53") || state.starts_with("57") || state == "25P03" ||
      state == "25P04" || std::find(kRetryable.begin(), kRetryable.end(), state) != kRetryable.end()) {
    return ErrorCode::kDatabaseUnavailable;
  }
  return ErrorCode::kInternal;
}

// What to do about it; empty when the server's message says all there is.
std::string Advice(std::string_view state, std::string_view message, const Endpoint& at) {
  if (state == "28P01" || state == "28000") {
    return "check DB_PASSWORD or what else storage.password comes from, the user in storage.url and the server's "
           "pg_hba.conf; `millrace config show` tells "
           "what is in effect";
  }
  if (state == "42501" && message.find("for database") != std::string_view::npos) {
    return "run it as the database's owner, who may make a schema in it, or `psql -c 'GRANT CREATE ON DATABASE " +
           at.database + " TO " + at.user + "'` as that owner";
  }
  if (state == "42501") {
    return "as the schema's owner run `psql -c 'GRANT millrace_worker TO " + at.user +
           "'` (millrace_reader is enough to look; roles have the schema's name before _worker and _reader); `millrace "
           "migrate up` makes them";
  }
  if (state == "3F000" || state == "42P01" || state == "42883") {
    return "the schema is missing or too old: run `millrace migrate up --db postgresql://" + at.Place() + "`";
  }
  if (state == "3D000") return "create it with `createdb " + at.database + "`, then run `millrace migrate up`";
  if (state == "25006") return "this is a replica or a read-only transaction: run the same with --db and the primary";
  if (state == "53100") return "free space on the server's disk; nothing was changed";
  if (state == "53200") return "the server is out of memory; lower work_mem or the number of connections";
  if (state == "53300") {
    return "the server's connections (max_connections, or the role's or the database's CONNECTION LIMIT) are "
           "exhausted; `psql -c 'SELECT usename, application_name, count(*) FROM pg_stat_activity GROUP BY 1, 2'` as a "
           "superuser tells who has them; lower storage.pool_size and max_overflow, raise max_connections, or put a "
           "PgBouncer before it";
  }
  if (state == "57014") return "it took longer than storage's statement_timeout allows, or was cancelled by hand";
  if (state == "55P03") return "another session holds the lock; trying again may work";
  if (state.starts_with("57P")) return "the server is stopping, starting or closed the session; trying again may work";
  return "";
}

std::string What(std::string_view state, std::string_view message, const Endpoint& at) {
  if (state == "28P01") {
    return "password authentication failed for user '" + at.user + "' at " + at.Server();
  }
  return Trimmed(message) + " (" + at.Place() + ")";
}

// libpq's verbose messages hold "SEVERITY:  SQLSTATE: message" lines. Several when it tried several ways: the last
// counts.
struct Parsed {
  std::string state;
  std::string message;
};
std::optional<Parsed> ParseVerbose(std::string_view text) {
  const auto is_state_char = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); };
  std::optional<Parsed> found;
  for (std::size_t at = text.find(":  "); at != std::string_view::npos; at = text.find(":  ", at + 1)) {
    const std::string_view state = text.substr(at + 3, 5);
    if (state.size() != 5 || !std::all_of(state.begin(), state.end(), is_state_char)) continue;
    if (text.substr(at + 8, 2) != ": ") continue;
    const std::string_view rest = text.substr(at + 10);
    found = Parsed{std::string(state), Trimmed(rest.substr(0, rest.find('\n')))};
  }
  return found;
}

}  // namespace

std::string Endpoint::Server() const { return OrDefault(host) + (port.empty() ? "" : ":" + port); }

std::string Endpoint::Place() const { return Server() + "/" + OrDefault(database); }

PgError Translate(std::string_view sqlstate, std::string_view message, std::string_view doing, const Endpoint& at) {
  PgError result;
  result.sqlstate = sqlstate;
  if (const auto code = EngineCode(sqlstate)) {
    result.error = {*code, Trimmed(message)};
    return result;
  }
  result.retryable = std::find(kRetryable.begin(), kRetryable.end(), sqlstate) != kRetryable.end();
  std::string text = During(doing) + What(sqlstate, message, at);
  if (const std::string advice = Advice(sqlstate, message, at); !advice.empty()) text += "; " + advice;
  result.error = {CodeOf(sqlstate), text + " [SQLSTATE " + std::string(sqlstate) + "]"};
  return result;
}

PgError TranslateConnectFailure(std::string_view message, const Endpoint& at) {
  if (const auto parsed = ParseVerbose(message)) {
    return Translate(parsed->state, parsed->message, "cannot connect", at);
  }
  std::string text = Trimmed(message);
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (text.find("no password supplied") != std::string::npos) {
    return {{ErrorCode::kPermission, "cannot connect: " + at.Server() + " wants a password for user '" + at.user +
                                         "' and none was given; set DB_PASSWORD, or storage.password_file"},
            "28P01"};
  }
  return {{ErrorCode::kDatabaseUnavailable, "cannot connect to PostgreSQL at " + at.Place() + ": " + text +
                                                "; check that it runs and that storage.url is right"},
          ""};
}

PgError ConnectionLost(std::string_view message, std::string_view doing, const Endpoint& at) {
  // The server's parting words, when they came before the end.
  if (const auto parsed = ParseVerbose(message)) {
    PgError error = Translate(parsed->state, parsed->message, doing, at);
    error.error.code = ErrorCode::kDatabaseUnavailable;
    error.retryable = false;
    return error;
  }
  std::string text = Trimmed(message.substr(0, message.find('\n')));
  if (text.empty()) text = "the connection is closed";
  return {{ErrorCode::kDatabaseUnavailable,
           During(doing) + "lost the connection to PostgreSQL at " + at.Place() + ": " + text},
          ""};
}

bool IsRetryable(const Error& error) {
  return error.code == ErrorCode::kDatabaseUnavailable &&
         std::any_of(kRetryable.begin(), kRetryable.end(), [&](std::string_view state) {
           return error.message.ends_with("[SQLSTATE " + std::string(state) + "]");
         });
}

bool IsServerFull(const Error& error) {
  return error.code == ErrorCode::kDatabaseUnavailable && error.message.ends_with("[SQLSTATE 53300]");
}

}  // namespace millrace::storage::postgres
