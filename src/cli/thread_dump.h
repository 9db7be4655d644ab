// Every thread's stack, for people who ask what a process is doing.
#pragma once

#include <memory>
#include <string>

namespace millrace::cli {

// The stacks of all threads of this process, with function names and lines where the program has them. Threads go on
// afterwards; one that does not answer within a second is listed without a stack. One call at a time; others wait.
std::string DumpThreads();

// While it lives, SIGQUIT prints the stacks to standard error.
class DumpOnSigquit {
 public:
  DumpOnSigquit();
  ~DumpOnSigquit();
  DumpOnSigquit(const DumpOnSigquit&) = delete;
  DumpOnSigquit& operator=(const DumpOnSigquit&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::cli
