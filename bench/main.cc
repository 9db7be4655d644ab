// millrace_bench: measures Millrace by named workloads; prints a table, then JSON.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "base/log.h"
#include "bench.h"

namespace millrace::bench {
namespace {

struct Measurement {
  std::string workload, name, unit, note;
  double value = 0;
};

struct Options {
  std::vector<std::string> workloads;
  std::string json_file, docs_file;
  bool write = false, list = false;
  std::int64_t jobs = 0;
  std::filesystem::path scratch = std::filesystem::current_path();
};

constexpr const char* kUsage =
    "millrace_bench [NAME..] [--jobs N] [--scratch FOLDER] [--json FILE] [--write] [--list]\n"
    "  NAME       workloads to run (default: all); --list names them\n"
    "  --jobs     jobs per workload, in place of each one's own number\n"
    "  --scratch  where the databases are made: the disk that is measured (default: the current folder)\n"
    "  --json     also write the JSON to FILE\n"
    "  --write    put the table into the benchmarks page of the documentation\n";

// Sends results through a pipe, one a line, fields separated by tabs.
class PipeResults : public Results {
 public:
  explicit PipeResults(int fd) : fd_(fd) {}
  void Add(const std::string& name, double value, const std::string& unit, const std::string& note) override {
    std::ostringstream line;
    line.precision(17);
    line << name << '\t' << value << '\t' << unit << '\t' << note << '\n';
    std::string text = line.str();
    if (write(fd_, text.data(), text.size()) < 0) throw std::runtime_error("write to pipe");
  }

 private:
  int fd_;
};

std::string ReadAll(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(n));
  return text;
}

// A process of its own for each: memory and threads of one workload are not another's.
bool RunWorkload(const Workload& workload, const Options& options, std::vector<Measurement>& all) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("pipe");
  std::string pattern = (options.scratch / "millrace-bench-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr)
    throw std::runtime_error("cannot make a folder in " + options.scratch.string());
  std::fflush(nullptr);
  pid_t pid = fork();
  if (pid == 0) {
    close(ends[0]);
    int status = 0;
    try {
      PipeResults results(ends[1]);
      Setting setting{pattern, std::filesystem::read_symlink("/proc/self/exe").parent_path(), options.jobs};
      workload.run(setting, results);
    } catch (const std::exception& e) {
      std::cerr << workload.name << ": " << e.what() << "\n";
      status = 1;
    }
    std::fflush(nullptr);
    _exit(status);
  }
  close(ends[1]);
  std::istringstream lines(ReadAll(ends[0]));
  close(ends[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  std::filesystem::remove_all(pattern);
  for (std::string line; std::getline(lines, line);) {
    Measurement m;
    std::istringstream fields(line);
    std::string value;
    std::getline(fields, m.name, '\t');
    std::getline(fields, value, '\t');
    std::getline(fields, m.unit, '\t');
    std::getline(fields, m.note);
    m.workload = workload.name;
    m.value = std::stod(value);
    all.push_back(std::move(m));
  }
  return status == 0;
}

std::string Number(double value) {
  int decimals = std::abs(value) >= 100 ? 0 : std::abs(value) >= 10 ? 1 : std::abs(value) >= 0.1 ? 2 : 4;
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", decimals, value);
  std::string text = buffer;
  // 1234567 as 1,234,567
  std::size_t end = text.find('.');
  if (end == std::string::npos) end = text.size();
  for (std::size_t at = end; at > 3 + (text[0] == '-' ? 1u : 0u); at -= 3) text.insert(at - 3, ",");
  return text;
}

void PrintRow(const Measurement& m) {
  std::printf("%-34s %14s %-7s %s\n", m.name.c_str(), Number(m.value).c_str(), m.unit.c_str(), m.note.c_str());
  std::fflush(stdout);
}

std::string Processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

std::string Today() {
  std::time_t now = std::time(nullptr);
  char buffer[16];
  std::strftime(buffer, sizeof buffer, "%Y-%m-%d", std::gmtime(&now));
  return buffer;
}

std::string AsJson(const std::vector<Measurement>& all) {
  base::json::array results;
  for (const Measurement& m : all) {
    results.push_back(
        {{"workload", m.workload}, {"name", m.name}, {"value", m.value}, {"unit", m.unit}, {"note", m.note}});
  }
  base::json::object document{{"date", Today()},
                              {"processor", Processor()},
                              {"cores", std::thread::hardware_concurrency()},
                              {"results", std::move(results)}};
  return base::ToPrettyJson(document);
}

// Replaces what stands between the two marks of the page, and nothing else of it.
void WriteDocs(const std::string& file, const std::vector<Measurement>& all) {
  std::ifstream in(file);
  std::string page{std::istreambuf_iterator<char>(in), {}};
  const std::string begin = "<!-- numbers -->\n", end = "<!-- end of numbers -->";
  std::size_t from = page.find(begin), to = page.find(end);
  if (from == std::string::npos || to == std::string::npos)
    throw std::runtime_error(file + " has no place for numbers");
  std::string table = "Measured on " + Today() + ", " + std::to_string(std::thread::hardware_concurrency()) +
                      " cores of " + Processor() + ".\n\n| what | value | unit | note |\n|---|---:|---|---|\n";
  for (const Measurement& m : all) {
    table += "| " + m.name + " | " + Number(m.value) + " | " + m.unit + " | " + m.note + " |\n";
  }
  page.replace(from + begin.size(), to - from - begin.size(), table);
  std::ofstream(file) << page;
}

std::vector<Workload> AllWorkloads() {
  std::vector<Workload> all = JobWorkloads();
  for (const auto& more : {ClaimWorkloads(), ProcessWorkloads(), DocumentWorkloads()})
    all.insert(all.end(), more.begin(), more.end());
  return all;
}

Options ParseOptions(const std::vector<std::string>& args) {
  Options options;
  auto value = [&](std::size_t& i) -> const std::string& {
    if (++i >= args.size()) throw std::invalid_argument(args[i - 1] + " needs a value");
    return args[i];
  };
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (arg == "--json")
      options.json_file = value(i);
    else if (arg == "--docs")
      options.docs_file = value(i);
    else if (arg == "--scratch")
      options.scratch = value(i);
    else if (arg == "--jobs")
      options.jobs = std::stoll(value(i));
    else if (arg == "--write")
      options.write = true;
    else if (arg == "--list")
      options.list = true;
    else if (arg.starts_with("-"))
      throw std::invalid_argument("unknown option " + arg);
    else
      options.workloads.push_back(arg);
  }
  return options;
}

// The workloads asked for, in the order they are defined.
std::vector<Workload> Chosen(const Options& options) {
  std::vector<Workload> all = AllWorkloads();
  for (const std::string& name : options.workloads) {
    if (std::none_of(all.begin(), all.end(), [&](const Workload& w) { return w.name == name; }))
      throw std::invalid_argument("no workload '" + name + "'; --list names them");
  }
  std::erase_if(all, [&](const Workload& w) {
    return !options.workloads.empty() && std::count(options.workloads.begin(), options.workloads.end(), w.name) == 0;
  });
  return all;
}

int RunAll(const Options& options) {
  std::vector<Measurement> all;
  bool ok = true;
  for (const Workload& workload : Chosen(options)) {
    std::size_t before = all.size();
    ok = RunWorkload(workload, options, all) && ok;
    for (std::size_t i = before; i < all.size(); ++i) PrintRow(all[i]);
  }
  std::string json = AsJson(all);
  std::cout << "\n" << json << "\n";
  if (!options.json_file.empty()) std::ofstream(options.json_file) << json << "\n";
  if (options.write) WriteDocs(options.docs_file, all);
  return ok ? 0 : 1;
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  using namespace millrace::bench;
  std::vector<std::string> args(argv + 1, argv + argc);
  millrace::base::ConfigureLog({.level = millrace::base::Level::kWarn});
  try {
    if (args.size() == 2 && args[0] == "--first-job") return FirstJobMain(args[1]);
    if (!args.empty() && (args[0] == "--help" || args[0] == "-h")) {
      std::cout << kUsage;
      return 0;
    }
    Options options = ParseOptions(args);
    if (options.list) {
      for (const Workload& workload : AllWorkloads())
        std::printf("%-12s %s\n", workload.name.c_str(), workload.about.c_str());
      return 0;
    }
    return RunAll(options);
  } catch (const std::invalid_argument& e) {
    std::cerr << e.what() << "\n" << kUsage;
    return 2;
  } catch (const std::exception& e) {
    std::cerr << "millrace_bench: " << e.what() << "\n";
    return 1;
  }
}
