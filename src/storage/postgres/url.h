// Where a PostgreSQL is, as people write it.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "millrace/error.h"
#include "storage/postgres/errors.h"

namespace millrace::storage::postgres {

// A connection string, taken apart.
struct Target {
  std::map<std::string, std::string> keywords;  // libpq's keywords, such as host and sslmode; without password
  std::string password;                         // empty: none was in the text
  std::string url;                              // normalised postgresql:// URL without password and sslpassword
  std::string display;                          // for people and logs: without user, password or parameters
  Endpoint endpoint;                            // what the text says; empty where libpq's defaults apply
};

// As a part of a URL: everything but letters, digits and "-._~" is percent-encoded.
std::string PercentEncoded(std::string_view text);

// Whether the text names a PostgreSQL: postgres://, postgresql://, or one of them after jdbc:; or libpq's other form,
// which begins with one of its keywords and an equals sign ("host=db dbname=jobs"). Case counts as in libpq. Anything
// else may be a path, also one with an equals sign further on.
bool IsPostgresUrl(std::string_view text);

// Reads a postgres:// or postgresql:// URL, with jdbc: before it or not (then JDBC's names of parameters are
// understood: user, password, ssl, ApplicationName, connectTimeout, loginTimeout), or libpq's "host=... dbname=..."
// form. Anything else is kInvalidArgument; the message never holds what may be part of a password.
Result<Target> ParseUrl(std::string_view text);

}  // namespace millrace::storage::postgres
