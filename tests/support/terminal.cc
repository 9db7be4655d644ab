#include "support/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <vector>

extern char** environ;

namespace millrace::tests {
namespace {

using Clock = std::chrono::steady_clock;

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> Environment(const Start& start) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (!start.env.contains(std::string(text.substr(0, text.find('='))))) result.emplace_back(text);
  }
  for (const auto& [name, value] : start.env) result.push_back(name + "=" + value);
  return result;
}

// Between fork and exec: system calls only.
[[noreturn]] void Become(const char* folder, char** argv, char** env, int terminal) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setsid();
  ioctl(terminal, TIOCSCTTY, 0);
  for (const int fd : {0, 1, 2}) dup2(terminal, fd);
  if (*folder != '\0' && chdir(folder) != 0) _exit(126);
  execve(argv[0], argv, env);
  _exit(127);
}

}  // namespace

TerminalProgram::TerminalProgram(const Start& start, unsigned short columns, unsigned short lines) {
  winsize size{lines, columns, 0, 0};
  if (openpty(&master_, &slave_, nullptr, nullptr, &size) != 0)
    throw std::system_error(errno, std::generic_category(), "openpty");
  before_ = Settings();
  for (const int fd : {master_, slave_}) fcntl(fd, F_SETFD, FD_CLOEXEC);
  std::vector<std::string> args = start.argv;
  std::vector<std::string> variables = Environment(start);
  std::vector<char*> argv = Pointers(args);
  std::vector<char*> env = Pointers(variables);
  const std::string folder = start.folder.string();
  pid_ = fork();
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid_ == 0) Become(folder.c_str(), argv.data(), env.data(), slave_);
}

TerminalProgram::~TerminalProgram() {
  if (!reaped_) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(master_);
  close(slave_);
}

void TerminalProgram::Type(const std::string& keys) const {
  if (write(master_, keys.data(), keys.size()) != static_cast<ssize_t>(keys.size()))
    throw std::system_error(errno, std::generic_category(), "write");
}

void TerminalProgram::Resize(unsigned short columns, unsigned short lines) const {
  winsize size{lines, columns, 0, 0};
  ioctl(master_, TIOCSWINSZ, &size);
}

termios TerminalProgram::Settings() const {
  termios settings{};
  if (tcgetattr(slave_, &settings) != 0) throw std::system_error(errno, std::generic_category(), "tcgetattr");
  return settings;
}

std::string TerminalProgram::Frame() const {
  constexpr std::string_view kHome = "\033[H";
  constexpr std::string_view kEnd = "\033[J";
  const std::size_t end = output_.rfind(kEnd);
  if (end == std::string::npos) return "";
  const std::size_t home = output_.rfind(kHome, end);
  if (home == std::string::npos) return "";
  return output_.substr(home + kHome.size(), end - home - kHome.size());
}

bool TerminalProgram::Pump(std::chrono::milliseconds limit) {
  pollfd look{master_, POLLIN, 0};
  poll(&look, 1, static_cast<int>(std::min(limit, std::chrono::milliseconds(10)).count()));
  if ((look.revents & POLLIN) != 0) {
    std::array<char, 65536> buffer{};
    const ssize_t n = read(master_, buffer.data(), buffer.size());
    if (n > 0) output_.append(buffer.data(), static_cast<std::size_t>(n));
    return true;
  }
  if (!reaped_ && waitpid(pid_, &status_, WNOHANG) == pid_) reaped_ = true;
  return !reaped_;
}

bool TerminalProgram::WaitForFrame(const std::function<bool(const std::string&)>& wanted, std::chrono::seconds limit) {
  const auto until = Clock::now() + limit;
  while (!wanted(Frame())) {
    if (Clock::now() >= until || !Pump(std::chrono::milliseconds(10))) return wanted(Frame());
  }
  return true;
}

int TerminalProgram::Wait(std::chrono::seconds limit) {
  const auto until = Clock::now() + limit;
  while (Pump(std::chrono::milliseconds(10))) {
    if (Clock::now() < until) continue;
    kill(pid_, SIGKILL);
    waitpid(pid_, &status_, 0);
    reaped_ = true;
    return -1;
  }
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : -1;
}

}  // namespace millrace::tests
