// Errors as values: the closed set of codes every Millrace call can return, and Result<T>.
//
// Expected failures (a full queue, a lost lease, an unreadable file) are values of this type.
// Exceptions are left for bugs and for what handlers throw.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace millrace {

// What went wrong, as something a program can act on. The set is closed: a driver translates its
// database's errors into one of these, and nobody outside the driver matches an error's text.
enum class ErrorCode {
  kInvalidArgument,      // the caller passed something that can never work
  kConfig,               // the configuration is wrong; the message names file, line and key
  kNotFound,             // no such job, queue, run, document, file
  kUnknownKind,          // no handler is registered for the job's kind
  kBadArgs,              // the job's args do not decode; the message names the field
  kQueueFull,            // the queue's capacity is reached and its overflow policy is reject
  kLeaseLost,            // the attempt no longer belongs to this worker; its write was refused
  kConflict,             // the state does not allow it (cancel of a completed job, say)
  kOwned,                // another process owns the SQLite file; the message names it
  kNotADatabase,         // the file is not a Millrace database
  kReadOnly,             // the database cannot be written
  kDiskFull,             // no space left for the database
  kDatabaseUnavailable,  // cannot be reached now; trying again later may work
  kSchemaOld,            // the schema lacks migrations this program needs
  kSchemaNew,            // the schema has a newer breaking migration than this program knows
  kPermission,           // the operating system or the database refused access
  kTimeout,              // a limit on time passed
  kCancelled,            // asked to stop
  kLimitExceeded,        // a limit on memory, size or depth was reached
  kUnsupported,          // a format or feature this build does not handle
  kCorrupt,              // input or stored data is damaged
  kIo,                   // any other failure of the operating system
  kInternal,             // a bug in Millrace
};

// The code's stable name, such as "queue_full": what logs, JSON and the CLI print.
[[nodiscard]] std::string_view error_code_name(ErrorCode code);

// One failure: a code to act on and a message for people (what, where, what to do).
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

// A value or an Error. Never ignore one: the type is [[nodiscard]].
template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

// `return fail(ErrorCode::kNotFound, "no queue 'mail'");` from any function returning a Result.
[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}

// Passes an Error on from one Result to another.
[[nodiscard]] inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace millrace
