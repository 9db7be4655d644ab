// What the README and examples/ say works, does.
#include <gtest/gtest.h>

#include <sstream>

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

TEST(Examples, DependenciesRunInTheirOrder) {
  TempDir folder;
  Start start;
  start.argv = {MILLRACE_BINARY_DIR "/dependencies"};
  start.folder = folder.path();
  Ended ended = RunToEnd(start);
  EXPECT_EQ(ended.code, 0) << Describe(ended);
  EXPECT_EQ(ended.out, "part\npart\njoin\nclean_up: all jobs it waited for succeeded; it was to run if one failed\n")
      << Describe(ended);
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

// The commands a page shows: indented lines that begin with "millrace", comments after three spaces left out.
std::vector<std::string> CommandsOf(const std::string& page) {
  std::vector<std::string> commands;
  std::istringstream lines(ReadFile(MILLRACE_SOURCE_DIR "/" + page));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("    millrace ") && !line.starts_with("    printf ")) continue;
    line = line.substr(4, line.find("   ", 4) - 4);
    // Words in capitals stand for what the reader has.
    if (line.find("FOLDER") == std::string::npos && line.find("COMMAND") == std::string::npos) commands.push_back(line);
  }
  return commands;
}

TEST(Examples, TheCommandsOnThePagesWork) {
  TempDir folder;
  WriteFile(folder / "papers" / "tides.txt", "The tide tables hang in the harbour office.\n");
  WriteFile(folder / "papers" / "broken.pdf", "%PDF-1.4 broken");
  WriteFile(folder / "millrace.yaml", "environment: test\n");
  int ran = 0;
  for (const char* page : {"README.md", "docs/cli.md", "docs/documents.md", "docs/config.md",
                           "docs/operations-sqlite.md", "docs/dependencies.md"}) {
    for (const std::string& command : CommandsOf(page)) {
      Start start = Millrace(folder.path(), {});
      start.argv = {"/bin/bash", "-c", command};
      start.env["HOME"] = folder.path().string();
      start.env["PATH"] = MILLRACE_BINARY_DIR ":/usr/bin:/bin";
      Ended ended = RunToEnd(start);
      EXPECT_TRUE(ended.code == 0 || ended.code == 3) << page << ": " << command << "\n" << Describe(ended);
      ++ran;
    }
  }
  EXPECT_GT(ran, 20);
}

}  // namespace
}  // namespace millrace::tests
