// Documents: the whole pipeline by the real program, and its parse stage against the bare libraries.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench.h"
#include "pipelines/documents/parser_pool.h"
#include "support/make_documents.h"
#include "support/process.h"

namespace millrace::bench {
namespace {

namespace fs = std::filesystem;
using tests::MakeDocx;
using tests::MakeHtml;
using tests::MakePdf;
using tests::MakeProse;

double Since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string Lines(std::size_t count, unsigned seed) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += MakeProse(11, seed + static_cast<unsigned>(i)) + "\n";
  return text;
}

std::string OnePdf(unsigned seed) {
  std::vector<std::string> pages;
  for (unsigned i = 0; i < 12; ++i) pages.push_back(Lines(50, seed * 31 + i));
  return MakePdf(pages);
}

std::string OneDocx(unsigned seed) {
  std::vector<std::string> paragraphs;
  std::vector<std::vector<std::string>> table;
  for (unsigned i = 0; i < 300; ++i) paragraphs.push_back(MakeProse(60, seed * 31 + i));
  for (unsigned i = 0; i < 60; ++i) table.push_back({std::to_string(i), MakeProse(4, i), MakeProse(6, seed + i)});
  return MakeDocx(paragraphs, table);
}

std::string OneMarkdown(unsigned seed) {
  std::string text = "# Report " + std::to_string(seed) + "\n";
  for (unsigned i = 0; i < 60; ++i) {
    text += "\n## Part " + std::to_string(i) + "\n\n" + MakeProse(80, seed + i) + "\n\n- " + MakeProse(8, i) +
            "\n- `code` and **" + MakeProse(3, i) + "**\n";
  }
  return text;
}

std::string OneCsv(unsigned seed) {
  std::string text = "id,name,amount,remark\n";
  for (unsigned i = 0; i < 600; ++i) {
    text += std::to_string(i) + "," + MakeProse(2, seed + i) + "," + std::to_string(i * 17 % 1000) + ",\"" +
            MakeProse(6, i) + "\"\n";
  }
  return text;
}

std::string OneJson(unsigned seed) {
  std::string text = "[";
  for (unsigned i = 0; i < 400; ++i) {
    text += (i == 0 ? "" : ",\n") + std::string(R"({"id":)") + std::to_string(i) + R"(,"name":")" +
            MakeProse(3, seed + i) + R"(","tags":["a","b"],"ok":true})";
  }
  return text + "]\n";
}

std::string OneXml(unsigned seed) {
  std::string text = "<?xml version=\"1.0\"?>\n<list>\n";
  for (unsigned i = 0; i < 400; ++i) {
    text += "<item id=\"" + std::to_string(i) + "\"><name>" + MakeProse(3, seed + i) + "</name><note>" +
            MakeProse(9, i) + "</note></item>\n";
  }
  return text + "</list>\n";
}

struct Format {
  const char* name;
  const char* extension;
  int count;
  std::string (*make)(unsigned seed);
};

const std::vector<Format>& Formats() {
  static const std::vector<Format> formats = {
      {"text", "txt", 400, [](unsigned seed) { return Lines(400, seed); }},
      {"markdown", "md", 400, OneMarkdown},
      {"html", "html", 400, [](unsigned seed) { return MakeHtml(40'000, seed); }},
      {"csv", "csv", 200, OneCsv},
      {"json", "json", 200, OneJson},
      {"xml", "xml", 200, OneXml},
      {"pdf", "pdf", 200, OnePdf},
      {"docx", "docx", 100, OneDocx},
  };
  return formats;
}

// Makes the files of one format; their bytes in all.
std::int64_t MakeFolder(const Format& format, const fs::path& folder, int count) {
  std::int64_t bytes = 0;
  for (int i = 0; i < count; ++i) {
    std::string content = format.make(static_cast<unsigned>(i));
    bytes += static_cast<std::int64_t>(content.size());
    tests::WriteFile(folder / (std::to_string(i) + "." + format.extension), content);
  }
  return bytes;
}

// Seconds of `millrace run documents FOLDER`, as the user waits for it, on `cores` of the machine's cores.
double Ingest(const Setting& setting, const fs::path& folder, const std::string& database, int cores) {
  std::vector<std::string> argv = {
      (setting.programs / "millrace").string(), "run",   "documents", folder.string(), "--db",
      (setting.folder / database).string(),     "--json"};
  if (cores == 1) argv.insert(argv.begin(), {"/usr/bin/taskset", "-c", "0"});
  tests::Ended ended = tests::RunToEnd({.argv = std::move(argv), .folder = setting.folder}, std::chrono::seconds(1200));
  if (ended.code != 0)
    throw std::runtime_error("run documents ended with " + std::to_string(ended.code) + ": " + ended.err);
  return ended.seconds;
}

void DocumentsWorkload(const Setting& setting, Results& results) {
  for (const Format& format : Formats()) {
    fs::path folder = setting.folder / format.name;
    std::int64_t bytes = MakeFolder(format, folder, format.count);
    double seconds = Ingest(setting, folder, std::string(format.name) + ".db", 0);
    std::string what = std::to_string(format.count) + " files of " + std::to_string(bytes / format.count / 1000) +
                       " kB, whole pipeline, start included";
    results.Add(std::string("documents.") + format.name, format.count / seconds, "docs/s", what);
    results.Add(std::string("documents.") + format.name + "_bytes", static_cast<double>(bytes) / 1e6 / seconds, "MB/s");
  }
}

void ScaleWorkload(const Setting& setting, Results& results) {
  fs::path folder = setting.folder / "mixed";
  int count = 0;
  for (const Format& format : Formats()) {
    MakeFolder(format, folder / format.name, format.count / 2);
    count += format.count / 2;
  }
  double one = Ingest(setting, folder, "one.db", 1);
  double two = Ingest(setting, folder, "two.db", 0);
  results.Add("documents-scale.1_core", count / one, "docs/s", "all formats mixed, pinned to one core");
  results.Add("documents-scale.all_cores", count / two, "docs/s", "the same, not pinned");
  results.Add("documents-scale.ratio", one / two, "");
}

// ---- The parse stage ----------------------------------------------------------------------------

std::vector<fs::path> FilesIn(const fs::path& folder, const std::string& extension) {
  std::vector<fs::path> files;
  std::error_code none;
  for (const auto& entry : fs::recursive_directory_iterator(folder, none)) {
    if (entry.is_regular_file() && entry.path().extension() == "." + extension) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Parses every file through the pool, reading every element; seconds. Files that fail are dropped from the list.
double PoolRound(documents::ParserPool& pool, std::vector<fs::path>& files) {
  std::vector<fs::path> good;
  auto start = std::chrono::steady_clock::now();
  for (const fs::path& path : files) {
    int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) throw std::runtime_error("cannot open " + path.string());
    auto outcome = pool.Parse({fd, path.filename().string()}, {});
    close(fd);
    if (!outcome) throw std::runtime_error(outcome.error().message);
    if (!outcome->document) continue;
    std::size_t text = 0;
    auto read = outcome->document->ForEach([&](const documents::Element& element) -> Result<void> {
      text += element.text.size();
      return {};
    });
    if (!read) throw std::runtime_error(read.error().message);
    good.push_back(path);
  }
  double seconds = Since(start);
  files = good;
  return seconds;
}

// The same files by the bare library, in a program of its own (Poppler is GPL); seconds.
double BareRound(const Setting& setting, const std::string& format, const std::vector<fs::path>& files) {
  std::vector<std::string> argv = {(setting.programs / "millrace_bench_bare").string(), format};
  for (const fs::path& path : files) argv.push_back(path.string());
  tests::Ended ended = tests::RunToEnd({.argv = std::move(argv)}, std::chrono::seconds(600));
  if (ended.code != 0) throw std::runtime_error("millrace_bench_bare: " + ended.err);
  return std::stod(ended.out);
}

void CompareParse(const Setting& setting, Results& results, const std::string& label, const std::string& format,
                  std::vector<fs::path> files) {
  auto pool = documents::ParserPool::Create((setting.programs / "millrace").string(),
                                            (setting.programs / "millrace-pdf").string(), {});
  PoolRound(*pool, files);  // warms up, and drops what cannot be parsed
  if (files.empty()) return;
  double ours = 1e9, bare = 1e9;
  for (int round = 0; round < 3; ++round) {
    ours = std::min(ours, PoolRound(*pool, files));
    bare = std::min(bare, BareRound(setting, format, files));
  }
  auto count = static_cast<double>(files.size());
  std::string what = std::to_string(files.size()) + " files, best of three";
  results.Add("parse." + label, count / ours, "docs/s", what + ", in the limited child process");
  const char* alone =
      format == "docx" ? ", libzip and pugixml alone on the same parts, in-process" : ", the library alone, in-process";
  results.Add("parse." + label + "_bare", count / bare, "docs/s", what + alone);
  results.Add("parse." + label + "_ratio", bare / ours, "", "target: at least 0.8");
}

void ParseWorkload(const Setting& setting, Results& results) {
  const char* corpus = std::getenv("MILLRACE_CORPUS");
  for (const Format& format : Formats()) {
    std::string name = format.name;
    if (name != "pdf" && name != "docx" && name != "html") continue;
    MakeFolder(format, setting.folder / name, format.count);
    CompareParse(setting, results, name, name, FilesIn(setting.folder / name, format.extension));
    if (corpus != nullptr) CompareParse(setting, results, name + "_corpus", name, FilesIn(corpus, format.extension));
  }
}

}  // namespace

std::vector<Workload> DocumentWorkloads() {
  return {
      {"documents", "documents/s and MB/s by format, whole pipeline", DocumentsWorkload},
      {"documents-scale", "one core and all of them", ScaleWorkload},
      {"parse", "the parse stage against the bare libraries (MILLRACE_CORPUS: real files too)", ParseWorkload},
  };
}

}  // namespace millrace::bench
