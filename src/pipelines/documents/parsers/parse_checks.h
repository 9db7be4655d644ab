// What tests of parsers share: parsing into a list, and checks that hold for every parser on any bytes.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/documents/parsers/test_sink.h"

namespace millrace::documents {

struct Parsed {
  std::string tree;  // CollectSink::Tree
  std::size_t elements = 0;
  std::vector<std::string> warnings;
  DocumentMetadata metadata;
  std::optional<ParseFailure> failure;
};

inline Parsed ParseBytes(ParseFunction parse, std::string_view bytes, const ParseLimits& limits = {},
                         std::size_t max_elements = 5'000'000) {
  Parsed out;
  CollectSink sink(max_elements);
  try {
    out.failure = parse({bytes, "test", limits}, sink);
  } catch (const LimitReached& reached) {
    out.failure = reached.failure;
  }
  out.tree = sink.Tree();
  out.elements = sink.elements.size() - 1;
  out.warnings = sink.warnings;
  out.metadata = sink.document;
  return out;
}

// The bytes are a document or a failure with a reason; and the same the second time.
inline Parsed ExpectSteady(ParseFunction parse, std::string_view bytes) {
  Parsed first = ParseBytes(parse, bytes);
  const Parsed second = ParseBytes(parse, bytes);
  EXPECT_EQ(first.tree, second.tree);
  EXPECT_EQ(first.warnings, second.warnings);
  EXPECT_EQ(first.failure.has_value(), second.failure.has_value());
  if (first.failure) {
    EXPECT_EQ(first.failure->reason, "broken") << first.failure->message;
    EXPECT_FALSE(first.failure->message.empty());
  }
  return first;
}

// Truncated at about 50 offsets, then with a few bytes changed, inserted and removed at random.
inline void ExpectSteadyWhenDamaged(ParseFunction parse, const std::string& bytes) {
  for (std::size_t i = 0; i < 50; ++i) ExpectSteady(parse, std::string_view(bytes).substr(0, bytes.size() * i / 50));
  std::mt19937 random(20240229);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  static constexpr std::string_view kLively = "<>&;\"'/={}[],:\\\0\xff\xc3 \n";
  for (int round = 0; round < 200; ++round) {
    std::string damaged = bytes;
    for (std::size_t change = 0, changes = 1 + below(8); change < changes; ++change) {
      const std::size_t at = below(damaged.size());
      const char c = below(2) == 0 ? kLively[below(kLively.size())] : static_cast<char>(below(256));
      switch (below(4)) {
        case 0:
          damaged[at] = c;
          break;
        case 1:
          damaged.insert(at, 1 + below(4), c);
          break;
        case 2:
          damaged.erase(at, 1 + below(16));
          break;
        default:
          damaged.insert(at, damaged.substr(below(damaged.size()), below(64)));
      }
      if (damaged.empty()) damaged = bytes;
    }
    ExpectSteady(parse, damaged);
  }
}

// The files of the shared corpus with this extension; none when the corpus is not there.
inline std::vector<std::filesystem::path> CorpusFiles(std::string_view extension) {
  const char* named = std::getenv("MILLRACE_CORPUS");
  const std::filesystem::path corpus =
      named != nullptr ? std::filesystem::path(named) : std::filesystem::path(MILLRACE_SOURCE_DIR) / "../shared/corpus";
  std::vector<std::filesystem::path> files;
  std::error_code missing;
  for (std::filesystem::recursive_directory_iterator it(corpus, missing), end; !missing && it != end;
       it.increment(missing)) {
    if (it->path().extension() == extension) files.push_back(it->path());
  }
  return files;
}

inline std::string FileBytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::string Repeated(std::string_view text, std::size_t times) {
  std::string out;
  out.reserve(text.size() * times);
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

}  // namespace millrace::documents
