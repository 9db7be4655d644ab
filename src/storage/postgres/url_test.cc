#include "storage/postgres/url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace::storage::postgres {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Target Parsed(std::string_view text) {
  auto target = ParseUrl(text);
  EXPECT_TRUE(target.has_value()) << text << ": " << (target ? "" : target.error().message);
  return target ? *target : Target{};
}

std::string Complaint(std::string_view text) {
  auto target = ParseUrl(text);
  EXPECT_FALSE(target.has_value()) << text;
  if (target) return "";
  EXPECT_EQ(target.error().code, ErrorCode::kInvalidArgument);
  return target.error().message;
}

TEST(PostgresUrl, ThePasswordIsTakenOutOfTheUrl) {
  const Target target = Parsed("postgres://ann:s%40cret@db.example:5433/jobs?sslmode=require");
  EXPECT_EQ(target.password, "s@cret");
  EXPECT_EQ(target.url, "postgresql://ann@db.example:5433/jobs?sslmode=require");
  EXPECT_EQ(target.display, "postgresql://db.example:5433/jobs");
  EXPECT_EQ(target.endpoint.user, "ann");
  EXPECT_EQ(target.endpoint.Place(), "db.example:5433/jobs");
  EXPECT_EQ(Parsed("postgresql://db/jobs?user=ann&password=x").password, "x");
}

TEST(PostgresUrl, JdbcIsUnderstood) {
  const Target target =
      Parsed("jdbc:postgresql://db:5432/jobs?user=ann&password=s3&ssl=true&ApplicationName=app&connectTimeout=7");
  EXPECT_EQ(target.password, "s3");
  EXPECT_EQ(target.url, "postgresql://ann@db:5432/jobs?application_name=app&connect_timeout=7&sslmode=require");
  EXPECT_EQ(Parsed("jdbc:postgresql://db/jobs?ssl=false").keywords.at("sslmode"), "disable");
}

TEST(PostgresUrl, KeywordsSocketsAndSeveralHostsAreUnderstood) {
  const Target keywords = Parsed("host=db port=5432 dbname=jobs user=ann password='a b'");
  EXPECT_EQ(keywords.password, "a b");
  EXPECT_EQ(keywords.url, "postgresql://ann@db:5432/jobs");
  EXPECT_EQ(Parsed("postgresql:///jobs?host=/run/postgresql").url, "postgresql:///jobs?host=/run/postgresql");
  EXPECT_EQ(Parsed("postgresql://a:1,b:2/jobs").url, "postgresql:///jobs?host=a,b&port=1,2");
}

// What is normalised reads back as the same.
TEST(PostgresUrl, ANormalisedUrlReadsBackTheSame) {
  for (const char* text : {"postgres://ann:p@h:1/d?sslmode=require", "postgresql://a:1,b:2/jobs?user=u%20v",
                           "postgresql:///d%2Fe?host=/tmp/x%20y", "dbname=jobs options='-c a=b'"}) {
    const Target once = Parsed(text);
    const Target twice = Parsed(once.url);
    EXPECT_EQ(twice.url, once.url);
    EXPECT_EQ(twice.keywords, once.keywords);
    EXPECT_EQ(twice.password, "");
  }
}

TEST(PostgresUrl, WhatCannotBeReadIsRefusedWithoutShowingAPassword) {
  EXPECT_THAT(Complaint("mysql://db/x"), HasSubstr("does not begin with postgresql://"));
  EXPECT_THAT(Complaint("./jobs.db"), HasSubstr("does not begin with postgresql://"));
  EXPECT_THAT(Complaint("postgresql://db/x?nonsense=1"), HasSubstr("'nonsense'"));
  for (const char* text :
       {"postgresql://ann:s@hidden@db/jobs", "postgresql://ann:5/hidden@db/jobs", "postgresql://ann:hidden/x@db/jobs",
        "postgresql://ann:hidden%zz@db/jobs", "postgresql://ann:hidden%@db/jobs", "host=db password='hidden",
        "postgresql://db/jobs?password=hidden&x", "host=db hidden",
        "jdbc:postgresql://db/jobs?user=ann&password=%hidden"}) {
    const std::string message = Complaint(text);
    EXPECT_THAT(message, Not(HasSubstr("hidden"))) << text;
    EXPECT_THAT(message, HasSubstr("percent-encoded"));
  }
}

TEST(PostgresUrl, OtherTextIsNoPostgresUrl) {
  EXPECT_TRUE(IsPostgresUrl("postgres://x"));
  EXPECT_TRUE(IsPostgresUrl("jdbc:postgresql://x"));
  EXPECT_TRUE(IsPostgresUrl("host=db dbname=jobs"));
  EXPECT_TRUE(IsPostgresUrl("  sslmode = require host=db"));
  EXPECT_FALSE(IsPostgresUrl("d/host=a/m.db"));
  EXPECT_FALSE(IsPostgresUrl("a host=b"));
  EXPECT_FALSE(IsPostgresUrl("hosts=a"));
  EXPECT_FALSE(IsPostgresUrl("host"));
  EXPECT_FALSE(IsPostgresUrl(""));
  EXPECT_FALSE(IsPostgresUrl("./postgres.db"));
  EXPECT_FALSE(IsPostgresUrl("jdbc:sqlite:x"));
}

}  // namespace
}  // namespace millrace::storage::postgres
