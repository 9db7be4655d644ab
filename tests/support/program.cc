#include "support/program.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace millrace::tests {

std::string Program() { return std::string(MILLRACE_BINARY_DIR) + "/millrace"; }

bool Sanitized() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#else
  return false;
#endif
}

bool Full() { return std::getenv("MILLRACE_FULL") != nullptr; }

unsigned Seed(unsigned usual) {
  const char* text = std::getenv("MILLRACE_TEST_SEED");
  return text != nullptr ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : usual;
}

std::filesystem::path Corpus() {
  const char* named = std::getenv("MILLRACE_CORPUS");
  std::filesystem::path path = named != nullptr ? named : MILLRACE_SOURCE_DIR "/../shared/corpus/tika";
  return std::filesystem::is_directory(path) ? path : std::filesystem::path();
}

Start Millrace(const std::filesystem::path& folder, std::vector<std::string> args) {
  args.insert(args.begin(), Program());
  Start start;
  start.argv = std::move(args);
  start.folder = folder;
  start.env = {{"HTTP_PORT", "off"}, {"NO_COLOR", "1"}, {"TERM", "dumb"}};
  return start;
}

Ended RunMillrace(const std::filesystem::path& folder, std::vector<std::string> args) {
  return RunToEnd(Millrace(folder, std::move(args)));
}

std::string Describe(const Ended& ended) {
  return "exit " + std::to_string(ended.code) + ", signal " + std::to_string(ended.signal) +
         (ended.timed_out ? ", killed after its time" : "") + "\n--- out\n" + ended.out.substr(0, 4000) +
         "\n--- err\n" + ended.err.substr(0, 4000);
}

base::json::value Json(const Ended& ended) {
  auto value = base::ParseJson(ended.out);
  if (!value) {
    ADD_FAILURE() << "not JSON: " << value.error().message << "\n" << Describe(ended);
    return nullptr;
  }
  return *value;
}

base::json::value MustJson(const std::filesystem::path& folder, std::vector<std::string> args) {
  args.emplace_back("--json");
  Ended ended = RunMillrace(folder, std::move(args));
  EXPECT_EQ(ended.code, 0) << Describe(ended);
  return Json(ended);
}

}  // namespace millrace::tests
