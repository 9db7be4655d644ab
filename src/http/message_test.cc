#include "http/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/router.h"

namespace millrace::http {
namespace {

using ::testing::HasSubstr;

TEST(MessageTest, TargetsGoThereAndBack) {
  ApiRequest request;
  request.path = "/api/v1/queues/" + PercentEncode("a/b c?%");
  request.query = {{"q", "\"x & y\" +1"}, {"empty", ""}};
  ApiRequest parsed;
  ASSERT_TRUE(ParseTarget(FormatTarget(request), parsed));
  EXPECT_EQ(parsed.path, request.path);
  EXPECT_EQ(parsed.query, request.query);
  EXPECT_EQ(PercentDecode("a%2Fb+c", true).value(), "a/b c");
  EXPECT_EQ(PercentDecode("a%2Fb+c", false).value(), "a/b+c");
}

TEST(MessageTest, BadTargetsAreErrors) {
  for (const char* target : {"", "api", "/a?x=%zz", "/a?x=%4", "/a?%=1", "http://host/a"}) {
    ApiRequest request;
    const auto parsed = ParseTarget(target, request);
    ASSERT_FALSE(parsed) << target;
    EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(MessageTest, EveryErrorComesBackFromItsProblem) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::kInternal); ++i) {
    const Error error{static_cast<ErrorCode>(i), "what \"went\" wrong"};
    const ApiResponse response = ProblemResponse(error);
    EXPECT_GE(response.status, 400);
    EXPECT_EQ(response.content_type, "application/problem+json");
    const auto back = ErrorOf(response);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->code, error.code) << error_code_name(error.code);
    EXPECT_EQ(back->message, error.message);
  }
  EXPECT_EQ(ProblemResponse({ErrorCode::kQueueFull, "full"}).headers.at("Retry-After"), "1");
  EXPECT_FALSE(ErrorOf({201, "application/json", "{}", {}}));
}

TEST(MessageTest, AnAnswerThatIsNoProblemIsStillAnError) {
  const auto error = ErrorOf({502, "text/html", "<html>", {}});
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, ErrorCode::kInternal);
  EXPECT_THAT(error->message, HasSubstr("502"));
}

class RouterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    router_.Add("GET", "/things/{id}", [](const auto&, const PathValues& path) {
      return ApiResponse{200, "text/plain", "thing " + path.at("id"), {}};
    });
    router_.Add("POST", "/things/{id}/act", [](const auto&, const auto&) {
      return ApiResponse{202, "text/plain", "", {}};
    });
    router_.Add("GET", "/bug", [](const auto&, const auto&) -> ApiResponse { throw std::runtime_error("a bug"); });
  }
  Router router_;
};

TEST_F(RouterTest, MatchesAndDecodesSegments) {
  EXPECT_EQ(router_.Handle({"GET", "/things/a%2Fb", {}, ""}).body, "thing a/b");
  EXPECT_EQ(router_.Handle({"HEAD", "/things/x/", {}, ""}).status, 200);
  EXPECT_EQ(router_.Handle({"POST", "/things/x/act", {}, ""}).status, 202);
}

TEST_F(RouterTest, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(router_.Handle({"GET", "/other", {}, ""}).status, 404);
  EXPECT_EQ(router_.Handle({"GET", "/things/%zz", {}, ""}).status, 404);
  const ApiResponse method = router_.Handle({"DELETE", "/things/x", {}, ""});
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.headers.at("Allow"), "GET");
}

TEST_F(RouterTest, AnExceptionIsA500) {
  const ApiResponse response = router_.Handle({"GET", "/bug", {}, ""});
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(ErrorOf(response)->message, "a bug");
}

}  // namespace
}  // namespace millrace::http
