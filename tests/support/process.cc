#include "support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>

extern char** environ;

namespace millrace::tests {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void Throw(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

struct Pipe {
  int read = -1, write = -1;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) Throw("pipe2");
    read = ends[0];
    write = ends[1];
  }
};

std::vector<std::string> Environment(const Start& start) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string_view text(*entry);
    if (!start.env.contains(std::string(text.substr(0, text.find('='))))) result.emplace_back(text);
  }
  for (const auto& [name, value] : start.env) result.push_back(name + "=" + value);
  return result;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

void CloseFd(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

// Between fork and exec: system calls only.
[[noreturn]] void Become(const Start& start, char** argv, char** env, int in, int out, int err) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(in, 0);
  dup2(out, 1);
  dup2(err, 2);
  if (!start.folder.empty() && chdir(start.folder.c_str()) != 0) _exit(126);
  if (start.file_size) {
    rlimit limit{*start.file_size, *start.file_size};
    setrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, SIG_IGN);
  }
  execve(argv[0], argv, env);
  _exit(127);
}

}  // namespace

Child::Child(const Start& start) : input_(start.input), started_(Clock::now()) {
  signal(SIGPIPE, SIG_IGN);
  Pipe in, out, err;
  std::vector<std::string> args = start.argv;
  std::vector<std::string> variables = Environment(start);
  std::vector<char*> argv = Pointers(args);
  std::vector<char*> env = Pointers(variables);
  pid_ = fork();
  if (pid_ < 0) Throw("fork");
  if (pid_ == 0) Become(start, argv.data(), env.data(), in.read, out.write, err.write);
  close(in.read);
  close(out.write);
  close(err.write);
  in_ = in.write;
  out_ = out.read;
  err_ = err.read;
  for (int fd : {in_, out_, err_}) fcntl(fd, F_SETFL, O_NONBLOCK);
  pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  if (pidfd_ < 0) Throw("pidfd_open");
}

Child::~Child() {
  if (!exited_) {
    Kill(SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  for (int* fd : {&in_, &out_, &err_, &pidfd_}) CloseFd(*fd);
}

void Child::Kill(int signal) const {
  if (!exited_) kill(pid_, signal);
}

void Child::Feed() {
  if (in_ < 0) return;
  while (fed_ < input_.size()) {
    ssize_t n = write(in_, input_.data() + fed_, input_.size() - fed_);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) break;
    fed_ += static_cast<std::size_t>(n);
  }
  CloseFd(in_);
}

void Child::Drain(int& fd, std::string& into) {
  if (fd < 0) return;
  std::array<char, 65536> buffer;
  for (;;) {
    ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n > 0) {
      into.append(buffer.data(), static_cast<std::size_t>(n));
    } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    } else {
      CloseFd(fd);
      return;
    }
  }
}

// The kernel keeps the high-water mark, so that the last look before the end is nearly exact.
void Child::Sample() {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) ended_.peak_kib = std::max(ended_.peak_kib, std::stol(line.substr(6)));
  }
}

// One round: waits for something to happen, at most `limit`, and takes what is there.
void Child::Pump(std::chrono::milliseconds limit) {
  Feed();
  // Looks at the memory often enough, whatever the caller's patience.
  limit = std::min(limit, std::chrono::milliseconds(10));
  std::array<pollfd, 4> fds{{{pidfd_, POLLIN, 0},
                             {out_, POLLIN, 0},
                             {err_, POLLIN, 0},
                             {in_, static_cast<short>(in_ >= 0 ? POLLOUT : 0), 0}}};
  poll(fds.data(), fds.size(), static_cast<int>(limit.count()));
  Sample();
  Drain(out_, ended_.out);
  Drain(err_, ended_.err);
  if (!exited_ && (fds[0].revents & POLLIN) != 0 && waitpid(pid_, &status_, WNOHANG) == pid_) {
    exited_ = true;
    ended_.seconds = std::chrono::duration<double>(Clock::now() - started_).count();
    Drain(out_, ended_.out);
    Drain(err_, ended_.err);
  }
}

bool Child::WaitForText(const std::string& text, std::chrono::seconds limit) {
  auto until = Clock::now() + limit;
  for (;;) {
    if (ended_.out.find(text) != std::string::npos || ended_.err.find(text) != std::string::npos) return true;
    if (exited_ || Clock::now() >= until) return false;
    Pump(std::chrono::milliseconds(10));
  }
}

bool Child::WaitForExit(std::chrono::milliseconds limit) {
  auto until = Clock::now() + limit;
  while (!exited_) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0) return false;
    Pump(left);
  }
  return true;
}

Ended Child::Wait(std::chrono::seconds limit) {
  if (!WaitForExit(limit)) {
    ended_.timed_out = true;
    Kill(SIGKILL);
    WaitForExit(std::chrono::seconds(30));
  }
  if (exited_ && WIFEXITED(status_)) ended_.code = WEXITSTATUS(status_);
  if (exited_ && WIFSIGNALED(status_)) ended_.signal = WTERMSIG(status_);
  return ended_;
}

Ended RunToEnd(const Start& start, std::chrono::seconds limit) { return Child(start).Wait(limit); }

void AdoptOrphans() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) Throw("prctl");
}

std::vector<pid_t> RemainingChildren(std::chrono::seconds limit) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  auto until = Clock::now() + limit;
  for (;;) {
    pid_t pid = waitpid(-1, nullptr, WNOHANG);
    if (pid < 0) return {};
    if (pid > 0) continue;
    auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(until - Clock::now());
    if (left.count() <= 0) break;
    timespec wait{left.count() / 1'000'000'000, left.count() % 1'000'000'000};
    sigtimedwait(&set, nullptr, &wait);
  }
  std::vector<pid_t> left;
  std::ifstream list("/proc/self/task/" + std::to_string(getpid()) + "/children");
  for (pid_t pid; list >> pid;) left.push_back(pid);
  for (pid_t pid : left) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  return left;
}

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "millrace test XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) Throw("mkdtemp");
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void WriteFile(const std::filesystem::path& path, std::string_view bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path.string());
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace millrace::tests
