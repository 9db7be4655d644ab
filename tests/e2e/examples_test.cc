// What the README and examples/ say works, does.
#include <gtest/gtest.h>

#include "support/content.h"
#include "support/program.h"

namespace millrace::tests {
namespace {

TEST(Examples, HelloRuns) {
  TempDir folder;
  Start start;
  start.argv = {MILLRACE_BINARY_DIR "/hello"};
  start.folder = folder.path();
  Ended ended = RunToEnd(start);
  EXPECT_EQ(ended.code, 0) << Describe(ended);
  // High goes before default.
  EXPECT_EQ(ended.out, "hello, Grace\nhello, Ada\nhello, Ada\n") << Describe(ended);
}

TEST(Examples, TheConfigIsValid) {
  TempDir folder;
  Ended ended =
      RunMillrace(folder.path(), {"config", "check", "--config", MILLRACE_SOURCE_DIR "/examples/millrace.yaml"});
  EXPECT_EQ(ended.code, 0) << Describe(ended);
}

TEST(Examples, TheDocumentsCanBeSearched) {
  TempDir folder;
  Ended ended =
      RunMillrace(folder.path(), {"run", "documents", MILLRACE_SOURCE_DIR "/examples/documents", "--db", "m.db"});
  EXPECT_EQ(ended.code, 0) << Describe(ended);
  for (const char* query :
       {"\"mud berth\"", "\"south channel\"", "lindqvist", "\"bridge closed\"", "\"leading light\""}) {
    auto hits = MustJson(folder.path(), {"search", query, "--db", "m.db"}).at("hits").as_array();
    EXPECT_GE(hits.size(), 1u) << query;
  }
}

TEST(Examples, TheProjectsOwnDocumentsAreRead) {
  TempDir folder;
  Ended ended = RunMillrace(folder.path(), {"run", "documents", MILLRACE_SOURCE_DIR "/docs", "--db", "m.db"});
  EXPECT_TRUE(ended.code == 0 || ended.code == 3) << Describe(ended);
  EXPECT_EQ(Documents(folder / "m.db").at("architecture.md").status, documents::DocumentStatus::kParsed);
}

}  // namespace
}  // namespace millrace::tests
