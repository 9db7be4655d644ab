// Child processes for tests that work with the real programs: started, fed, signalled, waited for, measured.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace millrace::tests {

// How a child is started.
struct Start {
  std::vector<std::string> argv;           // argv[0] is a path
  std::filesystem::path folder;            // its working folder; empty: the test's
  std::map<std::string, std::string> env;  // beside (or in place of) the test's own
  std::string input;                       // its standard input
  std::optional<std::uint64_t> file_size;  // RLIMIT_FSIZE, with SIGXFSZ ignored so that writes fail instead
};

// How it ended.
struct Ended {
  int code = -1;           // exit status, or -1 when a signal ended it
  int signal = 0;          // that signal, or 0
  bool timed_out = false;  // it was killed by the test since it did not end
  std::string out, err;
  long peak_kib = 0;  // peak resident memory of the process itself, without its children
  double seconds = 0;
};

// A running child. Destroying it kills and reaps it. One thread only.
class Child {
 public:
  explicit Child(const Start& start);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  void Kill(int signal) const;
  // Reads what it prints until `text` was seen on standard output or error. False: it ended, or the time passed.
  bool WaitForText(const std::string& text, std::chrono::seconds limit);
  // False when the time passed first; the child then goes on.
  bool WaitForExit(std::chrono::milliseconds limit);
  // Waits for its end, killing it after `limit`.
  Ended Wait(std::chrono::seconds limit = std::chrono::seconds(120));

 private:
  void Pump(std::chrono::milliseconds limit);
  void Feed();
  void Drain(int& fd, std::string& into);
  void Sample();

  pid_t pid_ = -1;
  int pidfd_ = -1, in_ = -1, out_ = -1, err_ = -1;
  std::string input_;
  std::size_t fed_ = 0;
  bool exited_ = false;
  int status_ = 0;
  Ended ended_;
  std::chrono::steady_clock::time_point started_;
};

// Starts it and waits for its end.
Ended RunToEnd(const Start& start, std::chrono::seconds limit = std::chrono::seconds(120));

// Makes this process the one that orphans of its children fall to, so that they can be counted.
void AdoptOrphans();
// Waits until no child of this process is left, at most `limit`; the pids that were left (and are then killed).
std::vector<pid_t> RemainingChildren(std::chrono::seconds limit);

// A new folder, removed with all in it at the end.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Writes a file, making its folders; throws on failure, as everything here does.
void WriteFile(const std::filesystem::path& path, std::string_view bytes);
std::string ReadFile(const std::filesystem::path& path);

}  // namespace millrace::tests
