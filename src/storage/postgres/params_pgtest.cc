// Every kind of parameter goes to the server and comes back the same.
#include <gmock/gmock.h>

#include <limits>

#include "storage/postgres/params.h"
#include "storage/postgres/pg_fixture.h"

namespace millrace::storage::postgres {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kMin64 = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax64 = std::numeric_limits<std::int64_t>::max();

class PgParamsTest : public PgTest {
 protected:
  void SetUp() override {
    PgTest::SetUp();
    if (!IsSkipped()) connection_ = Open();
  }
  // What the server makes of one parameter, written by the server.
  std::string Shown(const Params& params) { return Text(*connection_, "SELECT $1::text", params); }
  std::unique_ptr<Connection> connection_;
};

TEST_F(PgParamsTest, NumbersComeBack) {
  for (const std::int64_t value : {kMin64, std::int64_t{-1}, std::int64_t{0}, std::int64_t{1} << 40, kMax64}) {
    EXPECT_EQ(Shown(Params().Int(value)), std::to_string(value));
    EXPECT_EQ(Number(*connection_, "SELECT $1", Params().Int(value)), value);
  }
  for (const std::int32_t value : {std::numeric_limits<std::int32_t>::min(), -7, 2147483647}) {
    EXPECT_EQ(Shown(Params().Int4(value)), std::to_string(value));
    EXPECT_EQ(Number(*connection_, "SELECT $1", Params().Int4(value)), value);
  }
  for (const int value : {-32768, -2, 32767}) {
    EXPECT_EQ(Shown(Params().Int2(static_cast<std::int16_t>(value))), std::to_string(value));
    EXPECT_EQ(Number(*connection_, "SELECT $1", Params().Int2(static_cast<std::int16_t>(value))), value);
  }
  auto result =
      connection_->Run({"reals", "SELECT $1, $2, $3::float4, $4::numeric, $5::numeric"},
                       Params().Real(-0.1).Real(1e300).Real(1.5).Text("-12345678901234567.25").Text("0.00042"));
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_EQ(result->row(0).real(0), -0.1);
  EXPECT_EQ(result->row(0).real(1), 1e300);
  EXPECT_EQ(result->row(0).real(2), 1.5);
  EXPECT_EQ(result->row(0).integer(3), -12345678901234567);
  EXPECT_DOUBLE_EQ(result->row(0).real(4), 0.00042);
  EXPECT_EQ(Number(*connection_, "SELECT (-9223372036854775808)::numeric"), kMin64);
  EXPECT_EQ(Number(*connection_, "SELECT 9223372036854775808::numeric"), kMax64) << "out of range: the nearest";
  EXPECT_EQ(Number(*connection_, "SELECT 20000::numeric"), 20000) << "trailing zeros are not sent";
}

TEST_F(PgParamsTest, BoolsAndNullsComeBack) {
  auto result =
      connection_->Run({"bools", "SELECT $1, $2, $3, $4"}, Params().Bool(true).Bool(false).NullText().NullTime());
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_TRUE(result->row(0).boolean(0));
  EXPECT_FALSE(result->row(0).is_null(1));
  EXPECT_FALSE(result->row(0).boolean(1));
  EXPECT_TRUE(result->row(0).is_null(2));
  EXPECT_EQ(result->row(0).text(2), "");
  EXPECT_TRUE(result->row(0).is_null(3));
  EXPECT_EQ(result->row(0).integer(3), 0);
}

TEST_F(PgParamsTest, TextsAndBytesComeBack) {
  const std::string large(1 << 20, 'x');
  for (const std::string& value : {std::string(), std::string("naïve \"quoted\" 'it' \\ 日本語 🙂\n\t"), large}) {
    EXPECT_EQ(Text(*connection_, "SELECT $1", Params().Text(value)), value);
    EXPECT_EQ(Number(*connection_, "SELECT length($1)", Params().Text(value)),
              value == large ? 1 << 20 : Number(*connection_, "SELECT char_length($1)", Params().Text(value)));
  }
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  EXPECT_EQ(Text(*connection_, "SELECT $1", Params().Bytes(bytes)), bytes);
  EXPECT_EQ(Number(*connection_, "SELECT octet_length($1)", Params().Bytes(bytes)), 256);
  EXPECT_EQ(Text(*connection_, "SELECT $1::jsonb", Params().Text(R"({"a": 1})")), R"({"a": 1})");
}

TEST_F(PgParamsTest, TimesComeBackToTheMicrosecond) {
  const Time time{Duration(1'790'000'000'123'456)};
  EXPECT_EQ(Shown(Params().Time(time)), "2026-09-21 14:13:20.123456+00");
  for (const Time each : {time, Time{}, Time{Duration(-1)}, Time{Duration(946'684'800'000'000)}}) {
    auto result = connection_->Run({"time", "SELECT $1"}, Params().Time(each));
    ASSERT_TRUE(result.has_value()) << result.error().message;
    EXPECT_EQ(result->row(0).time(0), each);
  }
}

TEST_F(PgParamsTest, ArraysComeBack) {
  EXPECT_EQ(Shown(Params().Ints(std::vector<std::int64_t>{kMin64, 0, kMax64})),
            "{-9223372036854775808,0,9223372036854775807}");
  EXPECT_EQ(Shown(Params().Int4s(std::vector<std::int32_t>{-5, 70000})), "{-5,70000}");
  EXPECT_EQ(Shown(Params().Int2s(std::vector<std::int16_t>{-5, 7})), "{-5,7}");
  EXPECT_EQ(Shown(Params().Bools(std::vector<bool>{true, false})), "{t,f}");
  EXPECT_EQ(Shown(Params().Texts(std::vector<std::string>{"a", "", "NULL", "x,\"y\"", "日本"})),
            R"({a,"","NULL","x,\"y\"",日本})");
  EXPECT_EQ(Shown(Params().Texts(std::vector<std::string_view>{"v", "w"})), "{v,w}");
  EXPECT_EQ(Shown(Params().NullableTexts(std::vector<std::optional<std::string_view>>{"a", std::nullopt, ""})),
            R"({a,NULL,""})");
  EXPECT_EQ(Shown(Params().Times(std::vector<std::optional<Time>>{Time{}, std::nullopt})),
            R"({"1970-01-01 00:00:00+00",NULL})");
}

TEST_F(PgParamsTest, EmptyArraysAreEmptyAndNotNull) {
  const Params params = Params()
                            .Ints({})
                            .Int4s({})
                            .Int2s({})
                            .Bools(std::vector<bool>{})
                            .Texts(std::span<const std::string>{})
                            .NullableTexts({})
                            .Times({});
  auto result = connection_->Run(
      {"empty", "SELECT $1::text, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text, cardinality($7)"},
      params);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  for (int column = 0; column < 7; ++column) EXPECT_EQ(result->row(0).text(column), "{}") << column;
  EXPECT_EQ(result->row(0).integer(7), 0);
  EXPECT_FALSE(result->row(0).is_null(7));
}

TEST_F(PgParamsTest, ALargeArrayIsOneParameter) {
  std::vector<std::string> texts(20'000, "0123456789012345678901234567890123456789012345678901234567890123456789");
  EXPECT_EQ(Number(*connection_, "SELECT sum(length(t))::int8 FROM unnest($1) t", Params().Texts(texts)), 1'400'000);
}

TEST_F(PgParamsTest, ANulByteIsRefusedBeforeSending) {
  using namespace std::string_view_literals;
  const Error error = RunError(*connection_, "SELECT $1, $2", Params().Int(1).Text("a\0b"sv));
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.message, HasSubstr("test: parameter $2 has a NUL byte at offset 1"));
  EXPECT_THAT(Params().Texts(std::vector<std::string_view>{"ok", "\0"sv}).error(), HasSubstr("$1"));
  EXPECT_EQ(Params().Bytes("a\0b"sv).error(), "");
  EXPECT_FALSE(connection_->broken());
  EXPECT_EQ(Number(*connection_, "SELECT 1"), 1);
}

}  // namespace
}  // namespace millrace::storage::postgres
