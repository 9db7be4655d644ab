// The terminal as a screen to draw on.
#pragma once

#include <termios.h>

#include <string>
#include <vector>

namespace millrace::cli::monitor {

struct ScreenSize {
  std::size_t width = 80, height = 24;
};

// While it lives, standard output shows its alternate screen without a cursor, and keys typed on standard input are not
// echoed and arrive one by one; what was there before comes back at the end. One thread.
class Screen {
 public:
  Screen();
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // Gives the terminal back, and takes it again: for a stop (Ctrl-Z) or the end. Each may be called again.
  void Leave();
  void Enter();
  [[nodiscard]] static ScreenSize Size();
  // Draws the lines over what was there. False: the terminal is gone.
  [[nodiscard]] bool Show(const std::vector<std::string>& lines) const;
  // The file descriptor that keys come from, or -1 when standard input is no terminal.
  [[nodiscard]] int keys() const { return has_keys_ ? 0 : -1; }
  // The next key that was typed; 0 when there is none.
  [[nodiscard]] char Key() const;

 private:
  bool entered_ = false;
  bool has_keys_ = false;
  termios before_{};
};

// SIGINT, SIGTERM, SIGHUP, SIGWINCH and SIGTSTP as something to poll for; they no longer act by themselves. To be made
// before other threads, which inherit that.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  [[nodiscard]] int fd() const { return fd_; }
  // The next one that came; 0 when there is none.
  [[nodiscard]] int Next() const;

 private:
  sigset_t before_{};
  int fd_ = -1;
};

}  // namespace millrace::cli::monitor
