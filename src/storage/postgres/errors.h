// PostgreSQL's errors as ours.
#pragma once

#include <string>
#include <string_view>

#include "millrace/error.h"

namespace millrace::storage::postgres {

// Whom a connection talks to, for messages; never with a password.
struct Endpoint {
  std::string user;
  std::string host;  // a name, an address or the folder of a Unix socket
  std::string port;
  std::string database;

  [[nodiscard]] std::string Server() const;  // "db.example:5432"
  [[nodiscard]] std::string Place() const;   // "db.example:5432/jobs"
};

// An Error with what only the driver needs to know of it.
struct PgError {
  Error error;
  std::string sqlstate;    // five characters; empty when the failure was not the server's answer
  bool retryable = false;  // the same transaction may work when it is run again from its start
};

// The server's answer in our codes. `message` is its primary message; `doing` names what was tried, such as the query's
// name, and may be empty. The engine's own functions raise MR001 (kQueueFull), MR002 (kInvalidArgument), MR003
// (kLeaseLost), MR004 (kNotFound) and MR005 (kConflict): their messages are passed on as they are.
PgError Translate(std::string_view sqlstate, std::string_view message, std::string_view doing, const Endpoint& at);

// A connection that could not be made. `message` is libpq's, at its verbose level, so that it carries the SQLSTATE.
PgError TranslateConnectFailure(std::string_view message, const Endpoint& at);

// A connection that broke while in use. What was sent last may or may not have been applied.
PgError ConnectionLost(std::string_view message, std::string_view doing, const Endpoint& at);

// Whether an error of this driver is a lost race (serialization failure, deadlock, lock not available): the transaction
// was rolled back and may be run again from its start. False for a lost connection, whose outcome is unknown.
bool IsRetryable(const Error& error);

// Whether the server (or the role's, or the database's limit) has no connection left.
bool IsServerFull(const Error& error);

}  // namespace millrace::storage::postgres
