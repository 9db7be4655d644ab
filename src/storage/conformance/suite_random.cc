// Driver and model side by side under random operations.
#include <cstdlib>
#include <iostream>

#include "storage/conformance/random_ops.h"

namespace millrace::storage {

void LinkRandomSuite() {}

TEST_P(Conformance, RandomOperationsAgreeWithTheModel) {
  const std::uint64_t seed = RandomSeed();
  std::cout << "seed " << seed << " (MILLRACE_TEST_SEED repeats it)" << std::endl;
  RecordProperty("seed", std::to_string(seed));
  const int steps = std::getenv("MILLRACE_FULL") != nullptr ? 200'000 : 10'000;  // ./dev test --full
  const std::string difference = CompareRandomly(GetParam().open, seed, steps);
  EXPECT_EQ(difference, "") << "with seed " << seed;
}

}  // namespace millrace::storage
