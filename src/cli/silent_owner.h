// What people are told while the process that owns a database does not answer.
#pragma once

#include <string>

#include "http/unix_client.h"

namespace millrace::cli {

// "the owner of m.db (process 4711, millrace worker, since ..) is stopped; `kill -CONT 4711` lets it go on", or that it
// does not answer and how to look at it.
std::string DescribeSilentOwner(const std::string& database);

// Limits of a call to the owner of this database: after two seconds a line on standard error tells why nothing happens,
// and `timeout` ends it.
http::UnixClient::Options PatientOptions(const std::string& database, Duration timeout);

// The error of a call to the owner, in place of a bare timeout; other errors as they are.
Error ExplainSilence(Error error, const std::string& database, Duration timeout);

}  // namespace millrace::cli
