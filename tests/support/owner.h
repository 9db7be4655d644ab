// A worker that owns a file: for tests of what other processes ask it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "support/program.h"

namespace millrace::tests {

// Before each test a worker "the-owner" has m.db, in which a run has worked a folder of two documents, one of them
// broken, and is ready. After it the worker must end with 0 on SIGTERM.
class OwnerTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  TempDir folder_;
  std::unique_ptr<Child> worker_;
};

}  // namespace millrace::tests
