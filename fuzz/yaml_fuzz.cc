// The config's YAML: any text either reads or has problems that can be shown.
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<millrace::base::YamlProblem> problems;
  auto none = [](const std::string&) { return std::optional<std::string>(); };
  millrace::base::ParseYaml({reinterpret_cast<const char*>(data), size}, "fuzz.yaml", none, problems);
  for (const auto& problem : problems) millrace::base::FormatProblem(problem);
  return 0;
}
