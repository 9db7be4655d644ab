// One child process that parses documents, seen from its parent.
#pragma once

#include <sys/types.h>

#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "pipelines/documents/parser_protocol.h"

namespace millrace::documents {

// An open file; closed with its owner.
class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  ~OwnedFd();
  OwnedFd(OwnedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool ok() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// How asking a child for a document ended.
struct ParserAnswer {
  enum class How { kReply, kTimeout, kEnded, kNonsense };
  How how = How::kReply;
  ReplyFrame reply;          // kReply
  int wait_status = 0;       // kEnded, as of waitpid
  bool ended_by_us = false;  // kEnded: it hung up but went on, and was killed here
  std::string words;         // the end of what the child wrote to its standard error, on one line
};

// Not thread-safe. Destroying it kills the child with all that it may have started, and reaps it.
class ParserProcess {
 public:
  // Starts command[0] (a path) with its arguments, in a process group of its own, with an empty environment but for the
  // language, the time zone and the sanitizers' options. kIo if it or its files cannot be made; the message names the
  // program.
  static Result<std::unique_ptr<ParserProcess>> Start(const std::vector<std::string>& command);
  ~ParserProcess();
  ParserProcess(const ParserProcess&) = delete;
  ParserProcess& operator=(const ParserProcess&) = delete;

  // Whether it still runs, as far as can be seen: one that was killed while idle does not.
  [[nodiscard]] bool IsAlive() const;
  // Sends a document and waits for the answer: at most for the wall time of the request's limits, or up to five times
  // as long while the machine keeps the child waiting. After any answer but kReply the child was killed. kCancelled
  // when `stop` is requested, kIo when the machine fails or has no time for the child; the child is killed then, too.
  Result<ParserAnswer> Ask(int document, const RequestFrame& request, const std::stop_token& stop);
  [[nodiscard]] int spool() const { return spool_.get(); }
  [[nodiscard]] int asked() const { return asked_; }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  ParserProcess() = default;
  Result<void> Send(int document, const RequestFrame& request);
  Result<ParserAnswer> Receive();
  struct Work {
    bool wants_more = false;  // it runs, or waits for a processor or a disk
    Duration used{0};         // processor time since its start
  };
  [[nodiscard]] Work LookAtWork() const;
  int Kill();
  ParserAnswer End(ParserAnswer::How how);
  std::string Words();

  pid_t pid_ = -1;  // -1 after Kill
  int asked_ = 0;
  OwnedFd socket_, spool_, errors_;
  OwnedFd wake_;  // from waiting, when a stop is requested
};

}  // namespace millrace::documents
