// Making a connection.
#include <poll.h>

#include <cerrno>
#include <cstdlib>

#include "base/log.h"
#include "base/try.h"
#include "storage/postgres/connection.h"
#include "storage/postgres/url.h"

namespace millrace::storage::postgres {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kOldestServer = 140000;

std::string Milliseconds(Duration time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

struct Setting {
  const char* name;
  std::string value;
};

std::vector<Setting> SettingsOf(const ConnectOptions& options) {
  return {{"statement_timeout", Milliseconds(options.statement_timeout)},
          {"lock_timeout", Milliseconds(options.lock_timeout)},
          {"idle_in_transaction_session_timeout", Milliseconds(options.idle_in_transaction_timeout)},
          {"jit", "off"},
          {"timezone", "UTC"}};
}

std::string StartupOptions(const ConnectOptions& options) {
  std::string text;
  for (const Setting& setting : SettingsOf(options))
    text += "-c " + std::string(setting.name) + "=" + setting.value + " ";
  return text;
}

// For the transaction it runs in, whatever the session has.
std::string SetForTransaction(const ConnectOptions& options) {
  std::string text;
  for (const Setting& setting : SettingsOf(options)) {
    text += (text.empty() ? "SELECT " : ", ") + ("set_config('" + std::string(setting.name)) + "', '" + setting.value +
            "', true)";
  }
  return text;
}

std::map<std::string, std::string> KeywordsOf(const Target& target, const ConnectOptions& options) {
  std::map<std::string, std::string> keywords = target.keywords;
  const std::string& password = options.password.empty() ? target.password : options.password;
  if (!password.empty()) keywords["password"] = password;
  // emplace: what the URL sets wins.
  keywords.emplace("application_name", options.application_name);
  keywords.emplace("keepalives_idle", "10");
  keywords.emplace("keepalives_interval", "5");
  keywords.emplace("keepalives_count", "3");
  keywords.emplace("tcp_user_timeout", "20000");
  keywords["client_encoding"] = "UTF8";
  // The server takes the last of two equal options, so that those of the URL win.
  if (!options.pooled) keywords["options"] = StartupOptions(options) + keywords["options"];
  std::erase_if(keywords, [](const auto& entry) { return entry.second.empty(); });
  return keywords;
}

PGconn* StartConnecting(const std::map<std::string, std::string>& keywords) {
  std::vector<const char*> names;
  std::vector<const char*> values;
  for (const auto& [name, value] : keywords) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  return PQconnectStartParams(names.data(), values.data(), 0);
}

// libpq would print them to standard error.
void LogNotice(void* /*unused*/, const char* message) {
  base::Log(base::Level::kDebug, "PostgreSQL notice", {{"notice", message}});
}

std::string TextOf(const char* text) { return text == nullptr ? "" : text; }

Endpoint EndpointOf(const PGconn* conn) {
  std::string host = TextOf(PQhost(conn));
  if (host.empty()) host = TextOf(PQhostaddr(conn));
  return {TextOf(PQuser(conn)), host, TextOf(PQport(conn)), TextOf(PQdb(conn))};
}

bool RefusesOptions(const PgError& error) {
  return error.sqlstate == "08P01" && error.error.message.find("startup parameter") != std::string::npos;
}

}  // namespace

Connection::Connection(PGconn* conn, ConnectOptions options)
    : conn_(conn), options_(std::move(options)), settings_{"set_timeouts", SetForTransaction(options_)} {}

Connection::~Connection() = default;

Result<std::unique_ptr<Connection>> Connection::Open(const ConnectOptions& options) {
  bool refused_options = false;
  auto opened = OpenOnce(options, &refused_options);
  if (opened || !refused_options || options.pooled) return opened;
  ConnectOptions pooled = options;
  pooled.pooled = true;
  return OpenOnce(pooled, &refused_options);
}

Result<std::unique_ptr<Connection>> Connection::OpenOnce(const ConnectOptions& options, bool* refused_options) {
  MILLRACE_ASSIGN(const Target target, ParseUrl(options.url));
  ConnectOptions own = options;
  if (const auto found = target.keywords.find("connect_timeout"); found != target.keywords.end()) {
    // libpq leaves it to the caller when it connects without blocking.
    own.connect_timeout = std::chrono::seconds(std::atoi(found->second.c_str()));
  }
  own.password.clear();
  PGconn* conn = StartConnecting(KeywordsOf(target, options));
  if (conn == nullptr) return fail(ErrorCode::kLimitExceeded, "out of memory while connecting to PostgreSQL");
  std::unique_ptr<Connection> connection(new Connection(conn, std::move(own)));
  connection->endpoint_ = EndpointOf(conn);
  PQsetNoticeProcessor(conn, &LogNotice, nullptr);
  PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);  // only so do libpq's own messages carry the SQLSTATE
  if (auto connected = connection->WaitUntilConnected(); !connected) {
    *refused_options = RefusesOptions(connection->last_error_);
    return fail(std::move(connected).error());
  }
  connection->endpoint_ = EndpointOf(conn);
  MILLRACE_TRY(connection->CheckServer());
  return connection;
}

Result<void> Connection::WaitUntilConnected() {
  const auto give_up = Clock::now() + options_.connect_timeout;
  const bool limited = options_.connect_timeout.count() > 0;
  PostgresPollingStatusType status =
      PQstatus(conn_.get()) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (status != PGRES_POLLING_OK) {
    endpoint_ = EndpointOf(conn_.get());
    if (status == PGRES_POLLING_FAILED)
      return Remember(TranslateConnectFailure(PQerrorMessage(conn_.get()), endpoint_));
    pollfd fds[2] = {{socket(), static_cast<short>(status == PGRES_POLLING_READING ? POLLIN : POLLOUT), 0},
                     {options_.cancel_fd, POLLIN, 0}};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(give_up - Clock::now()).count();
    const int ready = limited && left <= 0 ? 0 : poll(fds, 2, limited ? static_cast<int>(left) : -1);
    if (ready < 0 && errno == EINTR) continue;
    if (fds[1].revents != 0) return Remember({{ErrorCode::kCancelled, "stopped while connecting to PostgreSQL"}});
    if (ready <= 0) {
      return Remember(
          {{ErrorCode::kDatabaseUnavailable, "cannot connect to PostgreSQL at " + endpoint_.Place() +
                                                 ": no answer within " + Milliseconds(options_.connect_timeout) +
                                                 " ms; check that it runs and that storage.url is right"}});
    }
    status = PQconnectPoll(conn_.get());
  }
  return {};
}

Result<void> Connection::CheckServer() {
  if (PQsetnonblocking(conn_.get(), 1) != 0) return Lost("connect");
  if (server_version() >= kOldestServer) return {};
  const char* version = PQparameterStatus(conn_.get(), "server_version");
  return Remember({{ErrorCode::kUnsupported, "PostgreSQL " + TextOf(version) + " at " + endpoint_.Server() +
                                                 ": millrace needs 14 or newer; upgrade the server"}});
}

}  // namespace millrace::storage::postgres
