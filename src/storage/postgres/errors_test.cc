#include "storage/postgres/errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace millrace::storage::postgres {
namespace {

using ::testing::HasSubstr;

const Endpoint kAt = {"ann", "db.example", "5432", "jobs"};

PgError Of(std::string_view state) { return Translate(state, "the message", "claim", kAt); }

TEST(PostgresErrors, EachStateHasItsCode) {
  struct Case {
    std::string_view state;
    ErrorCode code;
  };
  const std::array cases = {
      Case{"08006", ErrorCode::kDatabaseUnavailable},
      Case{"57P01", ErrorCode::kDatabaseUnavailable},
      Case{"57P02", ErrorCode::kDatabaseUnavailable},
      Case{"57P03", ErrorCode::kDatabaseUnavailable},
      Case{"53300", ErrorCode::kDatabaseUnavailable},
      Case{"40001", ErrorCode::kDatabaseUnavailable},
      Case{"40P01", ErrorCode::kDatabaseUnavailable},
      Case{"55P03", ErrorCode::kDatabaseUnavailable},
      Case{"28P01", ErrorCode::kPermission},
      Case{"28000", ErrorCode::kPermission},
      Case{"42501", ErrorCode::kPermission},
      Case{"3F000", ErrorCode::kSchemaOld},
      Case{"42P01", ErrorCode::kSchemaOld},
      Case{"42883", ErrorCode::kSchemaOld},
      Case{"25006", ErrorCode::kReadOnly},
      Case{"53100", ErrorCode::kDiskFull},
      Case{"53200", ErrorCode::kDatabaseUnavailable},
      Case{"57014", ErrorCode::kTimeout},
      Case{"22001", ErrorCode::kInvalidArgument},
      Case{"23505", ErrorCode::kInvalidArgument},
      Case{"3D000", ErrorCode::kNotFound},
      Case{"0A000", ErrorCode::kUnsupported},
      Case{"42601", ErrorCode::kInternal},
      Case{"XX000", ErrorCode::kInternal},
  };
  for (const Case& each : cases) {
    const PgError error = Of(each.state);
    EXPECT_EQ(error_code_name(error.error.code), error_code_name(each.code)) << each.state;
    EXPECT_EQ(error.sqlstate, each.state);
  }
}

TEST(PostgresErrors, MessagesSayWhatWhereAndWhatToDo) {
  EXPECT_EQ(
      Of("42P01").error.message,
      "claim: the message (db.example:5432/jobs); the schema is missing or too old: run `millrace migrate up --db "
      "postgresql://db.example:5432/jobs` [SQLSTATE 42P01]");
  EXPECT_THAT(Of("28P01").error.message, HasSubstr("password authentication failed for user 'ann' at db.example:5432"));
  EXPECT_THAT(Of("28P01").error.message, HasSubstr("storage.password"));
  EXPECT_THAT(Of("53300").error.message, HasSubstr("max_connections"));
  EXPECT_THAT(Of("3D000").error.message, HasSubstr("createdb jobs"));
}

TEST(PostgresErrors, TheEnginesOwnMessagesPassAsTheyAre) {
  const auto check = [](std::string_view state, ErrorCode code) {
    const PgError error = Translate(state, "queue 'mail' is full (100 jobs)", "enqueue", kAt);
    EXPECT_EQ(error.error.code, code) << state;
    EXPECT_EQ(error.error.message, "queue 'mail' is full (100 jobs)");
  };
  check("MR001", ErrorCode::kQueueFull);
  check("MR002", ErrorCode::kInvalidArgument);
  check("MR003", ErrorCode::kLeaseLost);
  check("MR004", ErrorCode::kNotFound);
  check("MR005", ErrorCode::kConflict);
}

TEST(PostgresErrors, OnlyLostRacesAreRetryable) {
  for (const char* state : {"40001", "40P01", "55P03"}) {
    EXPECT_TRUE(Of(state).retryable);
    EXPECT_TRUE(IsRetryable(Of(state).error)) << state;
  }
  for (const char* state : {"57P01", "08006", "23505", "57014"}) {
    EXPECT_FALSE(Of(state).retryable);
    EXPECT_FALSE(IsRetryable(Of(state).error)) << state;
  }
  EXPECT_FALSE(IsRetryable(ConnectionLost("server closed the connection", "claim", kAt).error));
}

TEST(PostgresErrors, AConnectFailureIsReadFromLibpqsVerboseText) {
  const PgError refused = TranslateConnectFailure(
      "connection to server at \"db\" (10.0.0.1), port 5432 failed: FATAL:  57P03: the database system is starting up\n"
      "LOCATION:  ProcessStartupPacket, postmaster.c:2409\n"
      "connection to server at \"db\" (10.0.0.2), port 5432 failed: SCHWERWIEGEND:  3D000: Datenbank fehlt\n"
      "LOCATION:  InitPostgres, postinit.c:885\n",
      kAt);
  EXPECT_EQ(refused.sqlstate, "3D000") << "the last host counts, in any language";
  EXPECT_EQ(refused.error.code, ErrorCode::kNotFound);
  EXPECT_THAT(refused.error.message, HasSubstr("Datenbank fehlt (db.example:5432/jobs)"));

  const PgError unreachable = TranslateConnectFailure("could not connect: Connection refused\n\tIs it there?\n", kAt);
  EXPECT_EQ(unreachable.error.code, ErrorCode::kDatabaseUnavailable);
  EXPECT_EQ(unreachable.sqlstate, "");
  EXPECT_EQ(TranslateConnectFailure("fe_sendauth: no password supplied\n", kAt).error.code, ErrorCode::kPermission);
}

}  // namespace
}  // namespace millrace::storage::postgres
