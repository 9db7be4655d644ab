// The millrace program as tests drive it: by arguments, answers in JSON, everything in a folder of the test's own.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "support/process.h"

namespace millrace::tests {

// The program under test, of this build.
std::string Program();

// True under a sanitizer: memory and time are then not those of the program.
bool Sanitized();

// True in ./dev test --full: more rounds, more steps.
bool Full();

// The seed of this run's random choices: MILLRACE_TEST_SEED, else `usual`. Print it with a failure.
unsigned Seed(unsigned usual);

// The folder of real documents beside the source tree (or MILLRACE_CORPUS); empty when it is not there.
std::filesystem::path Corpus();

// `millrace ARGS..` in `folder`, without the HTTP port and without anything of the tester's environment that it reads.
Start Millrace(const std::filesystem::path& folder, std::vector<std::string> args);
Ended RunMillrace(const std::filesystem::path& folder, std::vector<std::string> args);

// The JSON a command printed on standard output; fails the test (and is null) when it is none.
base::json::value Json(const Ended& ended);

// Runs a command that must succeed and gives its JSON.
base::json::value MustJson(const std::filesystem::path& folder, std::vector<std::string> args);

// How a command ended, for failure messages.
std::string Describe(const Ended& ended);

}  // namespace millrace::tests
