// For tests of the commands: each runs in this process, on a database in a temporary folder of the test's.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "cli/cli.h"

namespace millrace::cli {

class CliTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              (std::string("cli-") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    db_ = (folder_ / "m.db").string();
    for (const char* name : {"DATABASE_URL", "MILLRACE_CONFIG", "GO_DOC_GO_CONFIG_PATH"}) unsetenv(name);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  struct Ran {
    int status = 0;
    std::string out, err;
    [[nodiscard]] base::json::object json() const {
      const auto parsed = base::ParseJson(out);
      EXPECT_TRUE(parsed) << out;
      return parsed ? parsed->as_object() : base::json::object();
    }
  };
  static Ran Run(std::vector<std::string> words) {
    words.insert(words.begin(), "millrace");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    Ran ran;
    ran.status = Main(static_cast<int>(argv.size()), argv.data());
    ran.out = testing::internal::GetCapturedStdout();
    ran.err = testing::internal::GetCapturedStderr();
    return ran;
  }
  // The same with this test's database.
  Ran RunDb(std::vector<std::string> words) const {
    words.insert(words.end(), {"--db", db_});
    return Run(std::move(words));
  }
  std::string Write(const std::string& name, const std::string& text) const {
    const std::string path = (folder_ / name).string();
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  std::filesystem::path folder_;
  std::string db_;
};

}  // namespace millrace::cli
