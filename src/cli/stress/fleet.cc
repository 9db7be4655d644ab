#include "cli/stress/fleet.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace millrace::cli::stress {
namespace {

constexpr auto kPauseAfterFailure = std::chrono::milliseconds(500);
constexpr auto kLivedLongEnough = std::chrono::seconds(2);  // its end is then no failure to start

}  // namespace

Fleet::Fleet(std::vector<std::string> arguments, int workers, std::string log)
    : arguments_(std::move(arguments)), log_(std::move(log)), processes_(static_cast<std::size_t>(workers)) {}

Fleet::~Fleet() {
  for (Process& process : processes_) {
    if (process.pid <= 0) continue;
    kill(process.pid, SIGKILL);
    waitpid(process.pid, nullptr, 0);
    close(process.out);
  }
}

void Fleet::Start(Process& process, const std::string& extra) {
  std::vector<std::string> words = {"millrace"};
  words.insert(words.end(), arguments_.begin(), arguments_.end());
  if (!extra.empty()) words.push_back(extra);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("cannot create a pipe: out of file descriptors");
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) throw std::runtime_error("cannot start a worker process");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    setpgid(0, 0);  // Ctrl-C is for the parent, which then ends them in order
    const int errors = open(log_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    dup2(ends[1], STDOUT_FILENO);
    if (errors >= 0) dup2(errors, STDERR_FILENO);
    execv("/proc/self/exe", argv.data());
    _exit(1);
  }
  close(ends[1]);
  process = Process{pid, ends[0], false, Clock::now(), {}, {}, {}};
}

void Fleet::Understand(const std::string& line) {
  std::istringstream words(line);
  std::string what;
  words >> what;
  if (what == "refused") ++told_.refused;
  if (std::int64_t number = 0; what == "broken" && words >> number) told_.broken.push_back(number);
  if (std::int64_t first = 0, last = 0; what == "ordered" && words >> first >> last) told_.receipts.Take(first, last);
  if (Standing standing; what == "standing" && words >> standing.finished >> standing.open >> standing.all_ordered)
    told_.standing = standing;
}

void Fleet::Read(Process& process) {
  std::array<char, 4096> buffer{};
  for (ssize_t n = 0; (n = read(process.out, buffer.data(), buffer.size())) > 0;) {
    process.line.append(buffer.data(), static_cast<std::size_t>(n));
  }
  // A worker that was killed may leave half a line, which is dropped with it.
  for (std::size_t end = 0; (end = process.line.find('\n')) != std::string::npos;) {
    Understand(process.line.substr(0, end));
    process.line.erase(0, end + 1);
  }
}

// True when it has ended.
bool Fleet::Reap(Process& process) {
  int status = 0;
  if (waitpid(process.pid, &status, WNOHANG) != process.pid) return false;
  Read(process);
  close(process.out);
  const bool failed = !process.hit && status != 0;
  const auto lived = Clock::now() - process.started;
  failures_ = failed && lived < kLivedLongEnough ? failures_ + 1 : (process.hit ? failures_ : 0);
  process = Process{};
  if (failed) process.start_at = Clock::now() + kPauseAfterFailure;
  return true;
}

void Fleet::Tend(const std::string& extra) {
  const auto now = Clock::now();
  for (Process& process : processes_) {
    if (process.pid > 0) {
      Read(process);
      if (process.stopped_until && now >= *process.stopped_until) {
        process.stopped_until.reset();
        kill(process.pid, SIGCONT);
      }
      if (now - process.started > kLivedLongEnough) failures_ = 0;
      Reap(process);
    }
    if (process.pid <= 0 && now >= process.start_at) Start(process, extra);
  }
}

Fleet::Process* Fleet::Pick(std::mt19937& random) {
  std::vector<Process*> running;
  for (Process& process : processes_) {
    if (process.pid > 0 && !process.hit && !process.stopped_until) running.push_back(&process);
  }
  if (running.empty()) return nullptr;
  return running[std::uniform_int_distribution<std::size_t>(0, running.size() - 1)(random)];
}

bool Fleet::Kill(std::mt19937& random) {
  Process* process = Pick(random);
  if (process == nullptr) return false;
  process->hit = true;
  kill(process->pid, SIGKILL);
  return true;
}

bool Fleet::Stop(std::mt19937& random, Clock::time_point until) {
  Process* process = Pick(random);
  if (process == nullptr) return false;
  process->stopped_until = until;
  kill(process->pid, SIGSTOP);
  return true;
}

void Fleet::Wake() {
  for (Process& process : processes_) {
    if (process.stopped_until) process.stopped_until = Clock::now();
  }
}

void Fleet::End(std::chrono::seconds patience) {
  for (Process& process : processes_) {
    if (process.pid <= 0) continue;
    process.hit = true;
    kill(process.pid, SIGTERM);
    kill(process.pid, SIGCONT);
  }
  const auto until = Clock::now() + patience;
  bool left = true;
  while (left && Clock::now() < until) {
    left = false;
    for (Process& process : processes_) {
      if (process.pid <= 0) continue;
      Read(process);
      left = !Reap(process) || left;
    }
    if (left) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace millrace::cli::stress
