#include "engine/run_identity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#if __has_include(<rapidcheck/gtest.h>)
#include <rapidcheck/gtest.h>
#define MILLRACE_HAS_RAPIDCHECK 1
#endif

namespace millrace::engine {
namespace {

TEST(RunIdentityTest, Is32LowerCaseHexDigits) {
  const std::string identity = RunIdentity("documents", {{{"type", "file"}, {"base_path", "/srv"}}});
  EXPECT_EQ(identity.size(), 32u);
  EXPECT_EQ(identity.find_first_not_of("0123456789abcdef"), std::string::npos);
}

TEST(RunIdentityTest, DiffersByPipelineSourceAndField) {
  const std::vector<SourceFields> sources = {{{"type", "file"}, {"base_path", "/srv"}}};
  std::set<std::string> identities = {
      RunIdentity("documents", sources),
      RunIdentity("sites", sources),
      RunIdentity("documents", {}),
      RunIdentity("documents", {{{"type", "file"}, {"base_path", "/srv2"}}}),
      RunIdentity("documents", {{{"type", "file"}}, {{"base_path", "/srv"}}}),
      RunIdentity("documents", {{{"type", "file"}, {"base_path", "/srv"}}, {}}),
      RunIdentity("documents", {{{"typ", "efile"}, {"base_path", "/srv"}}}),
  };
  EXPECT_EQ(identities.size(), 7u);
}

TEST(RunIdentityTest, CredentialsDoNotCount) {
  const auto with = [](const std::string& url, const std::string& password) {
    return RunIdentity("documents", {{{"url", url}, {"password", password}}});
  };
  const std::string identity = with("https://host/a?page=1", "");
  EXPECT_EQ(identity, with("https://host/a?page=1", "secret"));
  EXPECT_EQ(identity, with("https://user:pass@host/a?page=1", "x"));
  EXPECT_EQ(identity, with("https://host/a?page=1&token=abc", "x"));
  EXPECT_NE(identity, with("https://host/a?page=2", ""));
}

TEST(RunIdentityTest, SecretFieldsAreKnownByName) {
  for (const char* name : {"password", "Password", "db_password", "token", "api_key", "apikey", "secret", "SECRET_KEY",
                           "access_key", "credentials", "auth", "authorization"}) {
    EXPECT_TRUE(IsSecretField(name)) << name;
  }
  for (const char* name : {"password_env", "password_file", "token_file", "url", "base_path", "author", "type"}) {
    EXPECT_FALSE(IsSecretField(name)) << name;
  }
}

TEST(RunIdentityTest, UrlsLoseUserInformationAndSecretParameters) {
  EXPECT_EQ(WithoutCredentials("postgres://u:p@host:5432/db"), "postgres://host:5432/db");
  EXPECT_EQ(WithoutCredentials("https://u:p%40x@host/a?b=1#c"), "https://host/a?b=1#c");
  EXPECT_EQ(WithoutCredentials("https://u:p@ss@host/a"), "https://host/a") << "the last @ ends the user information";
  EXPECT_EQ(WithoutCredentials("https://host/a@b"), "https://host/a@b");
  EXPECT_EQ(WithoutCredentials("https://host/?token=x"), "https://host/");
  EXPECT_EQ(WithoutCredentials("https://host/?a=1&api_key=x&b=2#f"), "https://host/?a=1&b=2#f");
  EXPECT_EQ(WithoutCredentials("https://host?password=p#f"), "https://host#f");
  EXPECT_EQ(WithoutCredentials("/a/path@x"), "/a/path@x");
  EXPECT_EQ(WithoutCredentials(""), "");
}

#ifdef MILLRACE_HAS_RAPIDCHECK
SourceFields AnySource() {
  SourceFields source;
  for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
    source["k" + std::to_string(*rc::gen::inRange(0, 5))] = *rc::gen::string<std::string>();
  }
  return source;
}

std::vector<SourceFields> AnySources(int least = 0) {
  std::vector<SourceFields> sources;
  for (int i = *rc::gen::inRange(least, 4); i > 0; --i) sources.push_back(AnySource());
  return sources;
}

RC_GTEST_PROP(RunIdentityLaws, TheOrderOfSourcesDoesNotCount, ()) {
  std::vector<SourceFields> sources = AnySources();
  const std::string identity = RunIdentity("p", sources);
  std::reverse(sources.begin(), sources.end());
  RC_ASSERT(RunIdentity("p", sources) == identity);
  if (!sources.empty()) std::rotate(sources.begin(), sources.begin() + 1, sources.end());
  RC_ASSERT(RunIdentity("p", sources) == identity);
}

RC_GTEST_PROP(RunIdentityLaws, SecretsNeverCount, ()) {
  std::vector<SourceFields> sources = AnySources(1);
  const std::string identity = RunIdentity("p", sources);
  const std::string field = *rc::gen::element<std::string>("password", "token", "client_secret", "api_key");
  sources[0][field] = *rc::gen::string<std::string>();
  RC_ASSERT(RunIdentity("p", sources) == identity);
}

RC_GTEST_PROP(RunIdentityLaws, AnythingElseCounts, ()) {
  std::vector<SourceFields> sources = AnySources(1);
  const std::string identity = RunIdentity("p", sources);
  sources[0]["another"] = "value";
  RC_ASSERT(RunIdentity("p", sources) != identity);
}

// Out of harmless letters and the signs that mean something in a URL, so that every branch is met.
RC_GTEST_PROP(RunIdentityLaws, NothingSecretSurvivesInAUrl, ()) {
  const auto text = [](const char* letters) {
    return *rc::gen::container<std::string>(rc::gen::elementOf(std::string(letters)));
  };
  const std::string url = "https://" + text("abc:@") + "@host/" + text("abc/@") + "?token=" + text("SECRT") + "&q=1";
  const std::string shown = WithoutCredentials(url);
  RC_ASSERT(shown.find("token") == std::string::npos);
  RC_ASSERT(shown.rfind("https://host/", 0) == 0);
  RC_ASSERT(shown.find("q=1") != std::string::npos);
  RC_ASSERT(WithoutCredentials(shown) == shown);
}
#endif

}  // namespace
}  // namespace millrace::engine
