#include "cli/monitor/screen.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace millrace::cli::monitor {
namespace {

// The alternate screen, no cursor, no wrapping of long lines; and back.
constexpr std::string_view kEnter = "\033[?1049h\033[?25l\033[?7l";
constexpr std::string_view kLeave = "\033[?7h\033[?25h\033[?1049l";

bool WriteAll(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(STDOUT_FILENO, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

Screen::Screen() { Enter(); }

Screen::~Screen() { Leave(); }

void Screen::Enter() {
  if (entered_) return;
  entered_ = true;
  has_keys_ = tcgetattr(STDIN_FILENO, &before_) == 0;
  if (has_keys_) {
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);  // ISIG stays: Ctrl-C and Ctrl-Z are signals
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  (void)WriteAll(kEnter);
}

void Screen::Leave() {
  if (!entered_) return;
  entered_ = false;
  (void)WriteAll(kLeave);
  // TCSAFLUSH: keys that were meant for the monitor do not reach the shell.
  if (has_keys_) (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
}

ScreenSize Screen::Size() {
  winsize size{};
  ScreenSize out;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return out;
  if (size.ws_col > 0) out.width = size.ws_col;
  if (size.ws_row > 0) out.height = size.ws_row;
  return out;
}

bool Screen::Show(const std::vector<std::string>& lines) const {
  std::string frame = "\033[H";
  for (std::size_t i = 0; i < lines.size(); ++i) frame += (i == 0 ? "" : "\r\n") + lines[i] + "\033[K";
  frame += "\033[J";
  return WriteAll(frame);
}

char Screen::Key() const {
  if (!has_keys_) return 0;
  pollfd look{STDIN_FILENO, POLLIN, 0};
  char key = 0;
  if (poll(&look, 1, 0) != 1 || read(STDIN_FILENO, &key, 1) != 1) return 0;
  return key;
}

Signals::Signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP}) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, &before_);
  fd_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

Signals::~Signals() {
  if (fd_ >= 0) close(fd_);
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

int Signals::Next() const {
  signalfd_siginfo info{};
  return read(fd_, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

}  // namespace millrace::cli::monitor
