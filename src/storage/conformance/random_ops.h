// Random operations on a driver and on the model, side by side: the first difference ends the run.
//
// What is compared: the answer of every call, and every so often everything that can be looked at. Ids, tokens and
// incarnations may differ between the two; each job carries a tag of its own, by which the two ids are matched. Which
// lane a claim takes from is compared too, as both ask FairShare with the same lanes.
#pragma once

#include <cstdint>
#include <string>

#include "storage/conformance/suite.h"

namespace millrace::storage {

// MILLRACE_TEST_SEED, or a fresh one.
std::uint64_t RandomSeed();

// Runs `steps` operations. Empty when driver and model agreed throughout; else what differed, after the operations that
// led there (the last 30).
std::string CompareRandomly(const Factory& driver, std::uint64_t seed, int steps);

}  // namespace millrace::storage
