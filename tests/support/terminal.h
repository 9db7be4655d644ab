// A program on a terminal of its own, for tests of what it draws and how it leaves the terminal behind.
#pragma once

#include <termios.h>

#include <functional>
#include <string>

#include "support/process.h"

namespace millrace::tests {

// A running program whose standard input, output and error are a new pseudo-terminal, which is its controlling one.
// Destroying it kills and reaps it. One thread only. Throws when the terminal cannot be made.
class TerminalProgram {
 public:
  TerminalProgram(const Start& start, unsigned short columns, unsigned short lines);
  ~TerminalProgram();
  TerminalProgram(const TerminalProgram&) = delete;
  TerminalProgram& operator=(const TerminalProgram&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  // As from the keyboard.
  void Type(const std::string& keys) const;
  // The program gets SIGWINCH.
  void Resize(unsigned short columns, unsigned short lines) const;
  // How the terminal was set before the program began.
  [[nodiscard]] const termios& Before() const { return before_; }
  // How the terminal is set right now.
  [[nodiscard]] termios Settings() const;
  // Everything that was written to it.
  [[nodiscard]] const std::string& output() const { return output_; }
  // The latest frame that is there whole: what stands between "cursor home" and "clear to the end"; empty before one.
  [[nodiscard]] std::string Frame() const;
  // Reads until the latest frame satisfies `wanted`. False: it ended, or the time passed.
  bool WaitForFrame(const std::function<bool(const std::string&)>& wanted, std::chrono::seconds limit);
  // Reads until it ends, killing it after `limit`; its exit status, or -1.
  int Wait(std::chrono::seconds limit);

 private:
  // False: nothing more comes.
  bool Pump(std::chrono::milliseconds limit);

  pid_t pid_ = -1;
  int master_ = -1;
  int slave_ = -1;  // kept open, so that the terminal outlives the program
  termios before_{};
  bool reaped_ = false;
  int status_ = 0;
  std::string output_;
};

}  // namespace millrace::tests
