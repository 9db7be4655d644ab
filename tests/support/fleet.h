// A fleet under faults: `millrace stress` against a private PostgreSQL, and the account it gives.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "support/program.h"

namespace millrace::tests {

class FleetTest : public ::testing::Test {
 protected:
  // A migrated database of the test's own.
  void SetUp() override;

  // Runs `millrace stress ARGS --json` to its end; `meanwhile`, on this thread, begins with it. Fails the test unless
  // the books are exact and jobs were worked.
  base::json::object Stress(std::vector<std::string> args, const std::function<void(Child&)>& meanwhile = {});

  // How often a fault came.
  static std::int64_t Injected(const base::json::object& account, std::string_view fault);
  // After how many of them the rate was full again.
  static std::int64_t Recovered(const base::json::object& account, std::string_view fault);
  // "tried" or "refused".
  static std::int64_t LateWrites(const base::json::object& account, std::string_view what);
  static std::int64_t Attempts(const base::json::object& account, std::string_view outcome);

  std::string url_;
  std::vector<std::string> through_;  // a program, and its arguments, that starts the other ones
  TempDir folder_;
};

}  // namespace millrace::tests
