#include "pipelines/documents/parser_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>

namespace millrace::documents {
namespace {

constexpr std::size_t kMaxWords = 300;
// A child that the machine keeps waiting, for a processor or a disk, is waited for up to so many times the limit. It is
// not when it had all but one part in so many of that time.
constexpr int kLongestWalls = 5;
constexpr int kFull = 20;
// Files of the child are made from these numbers on, so that none is one of the numbers it has in the child.
constexpr int kFirstFd = 16;

std::string Reason() { return std::strerror(errno); }

// The same file under a higher number that children do not inherit.
OwnedFd Raised(int fd) {
  const OwnedFd low(fd);
  return low.ok() ? OwnedFd(::fcntl(fd, F_DUPFD_CLOEXEC, kFirstFd)) : OwnedFd();
}

// A file without a name, on disk where there is one to write to.
OwnedFd MakeSpool() {
  std::error_code ignored;
  const std::string folder = std::filesystem::temp_directory_path(ignored).string();
  int fd = folder.empty() ? -1 : ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 && !folder.empty()) {
    std::string name = folder + "/millrace-spool-XXXXXX";
    fd = ::mkostemp(name.data(), O_CLOEXEC);
    if (fd >= 0) ::unlink(name.c_str());
  }
  if (fd < 0) fd = ::memfd_create("millrace-spool", MFD_CLOEXEC);
  return Raised(fd);
}

std::vector<std::string> ChildEnvironment() {
  // Without a name for it, every conversion of a time looks at the file of the machine's zone again; an archive has one
  // a member.
  std::vector<std::string> out = {"TZ=:/etc/localtime"};
  for (const char* name : {"LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) out.push_back(std::string(name) + "=" + value);
  }
  return out;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

class SpawnSetup {
 public:
  SpawnSetup() {
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawnattr_init(&attributes);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnSetup() {
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;

  posix_spawn_file_actions_t files{};
  posix_spawnattr_t attributes{};
};

// 0, or why not.
int Spawn(const std::vector<std::string>& command, int socket, int spool, int errors, pid_t& pid) {
  SpawnSetup setup;
  ::posix_spawn_file_actions_addopen(&setup.files, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&setup.files, 1, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&setup.files, errors, 2);
  ::posix_spawn_file_actions_adddup2(&setup.files, socket, kParserSocketFd);
  ::posix_spawn_file_actions_adddup2(&setup.files, spool, kParserSpoolFd);
  ::posix_spawn_file_actions_addclosefrom_np(&setup.files, kParserSpoolFd + 1);
  std::vector<std::string> arguments = command;
  std::vector<std::string> environment = ChildEnvironment();
  return ::posix_spawn(&pid, command[0].c_str(), &setup.files, &setup.attributes, Pointers(arguments).data(),
                       Pointers(environment).data());
}

void Drain(int event) {
  eventfd_t count = 0;
  ::eventfd_read(event, &count);
}

int MillisecondsUntil(std::chrono::steady_clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max()));
}

}  // namespace

OwnedFd::~OwnedFd() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::unique_ptr<ParserProcess>> ParserProcess::Start(const std::vector<std::string>& command) {
  const auto failed = [&](const std::string& reason) {
    return fail(ErrorCode::kIo, "cannot start the parser program " + command[0] + ": " + reason);
  };
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return failed(Reason());
  std::unique_ptr<ParserProcess> process(new ParserProcess());
  process->socket_ = Raised(ends[0]);
  const OwnedFd childs_socket = Raised(ends[1]);
  // Neither side ever waits for the other here: a child that complains too much loses words.
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return failed(Reason());
  process->errors_ = Raised(ends[0]);
  const OwnedFd childs_errors = Raised(ends[1]);
  process->spool_ = MakeSpool();
  process->wake_ = OwnedFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!process->wake_.ok() || !process->socket_.ok() || !childs_socket.ok() || !process->errors_.ok() ||
      !childs_errors.ok() || !process->spool_.ok()) {
    return failed(Reason());
  }
  const int error = Spawn(command, childs_socket.get(), process->spool_.get(), childs_errors.get(), process->pid_);
  if (error != 0) {
    process->pid_ = -1;
    return failed(std::strerror(error));
  }
  return process;
}

ParserProcess::~ParserProcess() { Kill(); }

bool ParserProcess::IsAlive() const {
  if (pid_ < 0) return false;
  pollfd socket{socket_.get(), POLLIN, 0};
  return ::poll(&socket, 1, 0) == 0;  // an idle child has nothing to say; one that ended has hung up
}

int ParserProcess::Kill() {
  if (pid_ < 0) return 0;
  ::kill(-pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return status;
}

std::string ParserProcess::Words() {
  std::string words;
  char buffer[4096];
  for (;;) {
    const ssize_t size = ::read(errors_.get(), buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    words.append(buffer, static_cast<std::size_t>(size));
    if (words.size() > 2 * sizeof(buffer)) words.erase(0, words.size() - 2 * sizeof(buffer));
  }
  for (char& c : words) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  words.erase(words.find_last_not_of(' ') + 1);
  if (words.size() > kMaxWords) words.erase(0, words.size() - kMaxWords);
  return ReplaceBadUtf8(words);
}

ParserAnswer ParserProcess::End(ParserAnswer::How how) {
  ParserAnswer answer;
  answer.how = how;
  // A child that hung up is about to end by itself; how, is only to be had when it is not killed first.
  if (how == ParserAnswer::How::kEnded) {
    for (int i = 0; i < 200 && ::waitpid(pid_, &answer.wait_status, WNOHANG) == 0; ++i) ::usleep(1000);
  }
  const int status = Kill();
  if (answer.wait_status == 0) {
    answer.wait_status = status;
    answer.ended_by_us = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  }
  answer.words = Words();
  return answer;
}

Result<void> ParserProcess::Send(int document, const RequestFrame& request) {
  std::string bytes = EncodeRequest(request);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(rights), &document, sizeof(int));
  while (::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    if (errno == EINTR) continue;
    if (errno == EPIPE || errno == ECONNRESET) return {};  // it ended; receiving says how
    return fail(ErrorCode::kIo, "cannot send a document to its parser: " + Reason());
  }
  return {};
}

Result<ParserAnswer> ParserProcess::Receive() {
  std::array<char, kMaxFrameBytes> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init): it is large
  const ssize_t size = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (size < 0 && errno != ECONNRESET) return fail(ErrorCode::kIo, "cannot hear from a parser: " + Reason());
  if (size <= 0) return End(ParserAnswer::How::kEnded);
  auto reply = DecodeReply({bytes.data(), static_cast<std::size_t>(size)});
  if (!reply) return End(ParserAnswer::How::kNonsense);
  ParserAnswer answer;
  answer.reply = std::move(*reply);
  Words();  // of a document that was parsed nobody asks
  return answer;
}

ParserProcess::Work ParserProcess::LookAtWork() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
  // pid (name) state and ten more fields, then processor time in ticks: in the program, and in the kernel for it.
  file.ignore(std::numeric_limits<std::streamsize>::max(), ')');
  char state = 0;
  std::string skipped;
  std::int64_t user = 0, system = 0;
  file >> state;
  for (int i = 0; i < 10; ++i) file >> skipped;
  file >> user >> system;
  if (!file) return {};
  return {state == 'R' || state == 'D',
          std::chrono::duration_cast<Duration>(std::chrono::seconds(user + system)) / ::sysconf(_SC_CLK_TCK)};
}

Result<ParserAnswer> ParserProcess::Ask(int document, const RequestFrame& request, const std::stop_token& stop) {
  const Duration wall = request.limits.wall;
  const auto start = std::chrono::steady_clock::now();
  auto deadline = start + wall / kFull;
  std::optional<Duration> used_before;  // by the documents before: looked at late, since most take no time
  const std::stop_callback wake(stop, [this] { ::eventfd_write(wake_.get(), 1); });
  ++asked_;
  const auto exchange = [&]() -> Result<ParserAnswer> {
    if (auto sent = Send(document, request); !sent) return fail(sent.error());
    for (;;) {
      if (stop.stop_requested()) return fail(ErrorCode::kCancelled, "stopped while a document was parsed");
      pollfd wait[2] = {{socket_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
      const int ready = ::poll(wait, 2, MillisecondsUntil(deadline));
      if (ready < 0 && errno != EINTR) return fail(ErrorCode::kIo, "cannot wait for a parser: " + Reason());
      if (ready > 0 && wait[0].revents != 0) return Receive();
      if (ready > 0) Drain(wake_.get());  // the stop of a document before
      if (ready != 0) continue;
      const Work work = LookAtWork();
      if (!used_before) {
        used_before = work.used;
        deadline = start + wall;
        continue;
      }
      const Duration unused = wall - (work.used - *used_before);
      if (!work.wants_more || unused < wall / kFull) return End(ParserAnswer::How::kTimeout);
      const auto now = std::chrono::steady_clock::now();
      if (now >= start + kLongestWalls * wall) return fail(ErrorCode::kIo, "the machine has no time for the parser");
      deadline = std::min(now + unused, start + kLongestWalls * wall);
    }
  };
  auto answer = exchange();
  if (!answer) Kill();
  return answer;
}

}  // namespace millrace::documents
