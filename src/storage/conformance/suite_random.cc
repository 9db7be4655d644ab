// Driver and model side by side under random operations.
#include <iostream>

#include "storage/conformance/random_ops.h"

namespace millrace::storage {

void LinkRandomSuite() {}

TEST_P(Conformance, RandomOperationsAgreeWithTheModel) {
  const std::uint64_t seed = RandomSeed();
  std::cout << "seed " << seed << " (MILLRACE_TEST_SEED repeats it)" << std::endl;
  RecordProperty("seed", std::to_string(seed));
  const std::string difference = CompareRandomly(GetParam().open, seed, 10'000);
  EXPECT_EQ(difference, "") << "with seed " << seed;
}

}  // namespace millrace::storage
