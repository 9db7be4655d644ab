#include "pipelines/documents/parser_pool.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>

#include "pipelines/documents/parser_process.h"
#include "pipelines/documents/reasons.h"
#include "pipelines/documents/spool_document.h"

namespace millrace::documents {
namespace {

constexpr off_t kKeepSpoolBytes = 4 << 20;  // a spool that grew beyond gives its room back

enum class Program { kMillrace, kPdf };

std::string Seconds(Duration time) {
  return std::to_string(std::chrono::ceil<std::chrono::seconds>(time).count()) + " s";
}

// "%PDF-1.4" may have other bytes before it, but text that only speaks of it is not a PDF.
bool LooksLikePdf(int fd) {
  std::array<char, 1024> buffer{};
  const ssize_t size = ::pread(fd, buffer.data(), buffer.size(), 0);
  if (size <= 0) return false;
  const std::string_view start(buffer.data(), static_cast<std::size_t>(size));
  const std::size_t at = start.find("%PDF-");
  if (at == std::string_view::npos) return false;
  if (at == 0 || start.substr(0, at).find_first_not_of(" \t\r\n\f\xef\xbb\xbf") == std::string_view::npos) return true;
  const std::string_view rest = start.substr(at + 5);
  const auto digit = [&](std::size_t i) { return i < rest.size() && rest[i] >= '0' && rest[i] <= '9'; };
  const bool at_line_start = start[at - 1] == '\n' || start[at - 1] == '\r' || start[at - 1] == '\0';
  return digit(0) && rest.size() > 2 && rest[1] == '.' && digit(2) &&
         (at_line_start || start.find('\0') != std::string_view::npos);
}

// The children that wait for work; outlives the pool as long as documents hold children.
class IdleChildren {
 public:
  explicit IdleChildren(int recycle_after) : recycle_after_(recycle_after) {}

  std::unique_ptr<ParserProcess> Take(Program program) {
    for (;;) {
      std::unique_ptr<ParserProcess> child;
      {
        const std::lock_guard lock(mutex_);
        auto& idle = idle_.at(static_cast<std::size_t>(program));
        if (idle.empty()) return nullptr;
        child = std::move(idle.back());
        idle.pop_back();
      }
      if (child->IsAlive()) return child;
    }
  }

  void GiveBack(Program program, std::unique_ptr<ParserProcess> child) {
    struct stat info {};
    const bool large = ::fstat(child->spool(), &info) == 0 && info.st_size > kKeepSpoolBytes;
    if (large && ::ftruncate(child->spool(), 0) != 0) return;
    if (child->asked() >= recycle_after_) return;
    const std::lock_guard lock(mutex_);
    if (!closed_) idle_.at(static_cast<std::size_t>(program)).push_back(std::move(child));
  }

  void Close() {
    std::array<std::vector<std::unique_ptr<ParserProcess>>, 2> ended;
    const std::lock_guard lock(mutex_);
    closed_ = true;
    ended.swap(idle_);
  }

 private:
  int recycle_after_;
  std::mutex mutex_;
  bool closed_ = false;
  std::array<std::vector<std::unique_ptr<ParserProcess>>, 2> idle_;
};

// A child whose spool is being read.
class BusyChild : public SpoolDocument::Holder {
 public:
  BusyChild(Program program, std::shared_ptr<IdleChildren> idle, std::unique_ptr<ParserProcess> child)
      : program_(program), idle_(std::move(idle)), child_(std::move(child)) {}
  ~BusyChild() override {
    if (trusted_) idle_->GiveBack(program_, std::move(child_));
  }
  void Distrust() override { trusted_ = false; }
  BusyChild(const BusyChild&) = delete;
  BusyChild& operator=(const BusyChild&) = delete;

 private:
  Program program_;
  std::shared_ptr<IdleChildren> idle_;
  std::unique_ptr<ParserProcess> child_;
  bool trusted_ = true;
};

ParseOutcome Failure(std::string reason, std::string message) {
  ParseOutcome outcome;
  outcome.failure = {std::move(reason), std::move(message)};
  return outcome;
}

class Pool : public ParserPool {
 public:
  Pool(std::string self, std::string pdf_helper, ParseLimits limits)
      : commands_{{{std::move(self), "parser-child"}, {std::move(pdf_helper)}}},
        limits_(limits),
        idle_(std::make_shared<IdleChildren>(limits.recycle_after)) {}
  ~Pool() override { idle_->Close(); }

  Result<ParseOutcome> Parse(const ParseInput& input, std::stop_token stop) override;

 private:
  Result<ParseOutcome> Judge(Program program, std::unique_ptr<ParserProcess> child, ParserAnswer answer,
                             const ParseInput& input, off_t size);
  Result<ParseOutcome> JudgeReply(Program program, std::unique_ptr<ParserProcess> child, ReplyFrame reply);
  Result<ParseOutcome> JudgeEnd(Program program, const ParserAnswer& answer, const ParseInput& input, off_t size);
  Result<ParseOutcome> Open(Program program, std::unique_ptr<ParserProcess> child, const ReplyFrame& reply);

  std::array<std::vector<std::string>, 2> commands_;
  ParseLimits limits_;
  std::shared_ptr<IdleChildren> idle_;
};

Result<ParseOutcome> Pool::Parse(const ParseInput& input, std::stop_token stop) {
  if (stop.stop_requested()) return fail(ErrorCode::kCancelled, "stopped before " + input.name + " was parsed");
  struct stat info {};
  if (::fstat(input.fd, &info) != 0) {
    return fail(ErrorCode::kIo, "cannot look at " + input.name + ": " + std::strerror(errno));
  }
  if (!S_ISREG(info.st_mode)) return Failure("unreadable", "not a regular file");
  if (info.st_size > limits_.max_bytes) {
    return Failure("too_large", std::to_string(info.st_size) + " bytes are more than this worker's limit of " +
                                    std::to_string(limits_.max_bytes));
  }
  const Program program = LooksLikePdf(input.fd) ? Program::kPdf : Program::kMillrace;
  auto child = idle_->Take(program);
  if (!child) {
    auto started = ParserProcess::Start(commands_.at(static_cast<std::size_t>(program)));
    if (!started) return fail(started.error());
    child = std::move(*started);
  }
  auto answer = child->Ask(input.fd, {input.name, limits_}, stop);
  if (!answer) return fail(answer.error());
  return Judge(program, std::move(child), std::move(*answer), input, info.st_size);
}

Result<ParseOutcome> Pool::Judge(Program program, std::unique_ptr<ParserProcess> child, ParserAnswer answer,
                                 const ParseInput& input, off_t size) {
  switch (answer.how) {
    case ParserAnswer::How::kReply:
      return JudgeReply(program, std::move(child), std::move(answer.reply));
    case ParserAnswer::How::kTimeout:
      return Failure("timeout", "parsing took longer than the limit of " + Seconds(limits_.wall));
    case ParserAnswer::How::kNonsense:
      return Failure("crashed", "the parser's answer makes no sense; it was ended");
    case ParserAnswer::How::kEnded:
      break;
  }
  return JudgeEnd(program, answer, input, size);
}

Result<ParseOutcome> Pool::JudgeReply(Program program, std::unique_ptr<ParserProcess> child, ReplyFrame reply) {
  switch (reply.status) {
    case ReplyFrame::Status::kParsed:
      return Open(program, std::move(child), reply);
    case ReplyFrame::Status::kMachine:
      return fail(ErrorCode::kIo, "the parser: " + reply.failure.message);
    case ReplyFrame::Status::kFailed:
      break;
  }
  // A child that turned a document away at the door is as good as before; after any other failure a fresh one is safer.
  if (reply.failure.reason == "unsupported_format" || reply.failure.reason == "encrypted") {
    idle_->GiveBack(program, std::move(child));
  }
  // The child has read what nobody trusts: its word is none of ours until it is one.
  if (!IsReason(reply.failure.reason)) reply.failure.reason = "broken";
  return Failure(std::move(reply.failure.reason), std::move(reply.failure.message));
}

Result<ParseOutcome> Pool::JudgeEnd(Program program, const ParserAnswer& answer, const ParseInput& input, off_t size) {
  constexpr int kCannotRun = 127;  // the loader's: a shared library is missing
  const std::string words = answer.words.empty() ? "" : " (" + answer.words + ")";
  if (WIFEXITED(answer.wait_status)) {
    const int status = WEXITSTATUS(answer.wait_status);
    if (status == kCannotRun) {
      return fail(ErrorCode::kIo,
                  "the parser program " + commands_.at(static_cast<std::size_t>(program))[0] + " cannot run" + words);
    }
    return Failure("crashed", "the parser ended with status " + std::to_string(status) + words);
  }
  const int signal = WTERMSIG(answer.wait_status);
  if (signal == SIGXCPU) {
    return Failure("timeout", "parsing took more processor time than the limit of " + Seconds(limits_.cpu));
  }
  // No parser does this to itself: the kernel was out of memory, or somebody ended it.
  const bool outside =
      signal == SIGKILL || signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT;
  if (outside && !answer.ended_by_us) {
    return fail(ErrorCode::kIo, "the parser was killed from outside by signal " + std::to_string(signal) + " (" +
                                    ::strsignal(signal) + ") while it read " + input.name);
  }
  struct stat now {};
  if (signal == SIGBUS && ::fstat(input.fd, &now) == 0 && now.st_size < size) {
    return fail(ErrorCode::kIo, input.name + " became shorter while it was parsed");
  }
  return Failure("crashed",
                 "the parser was ended by signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")" + words);
}

Result<ParseOutcome> Pool::Open(Program program, std::unique_ptr<ParserProcess> child, const ReplyFrame& reply) {
  auto document = SpoolDocument::Open(child->spool(), reply, limits_);
  if (!document) return Failure("crashed", document.error().message);
  (*document)->Hold(std::make_unique<BusyChild>(program, idle_, std::move(child)));
  ParseOutcome outcome;
  outcome.document = std::move(*document);
  return outcome;
}

}  // namespace

std::unique_ptr<ParserPool> ParserPool::Create(std::string self, std::string pdf_helper, ParseLimits limits) {
  return std::make_unique<Pool>(std::move(self), std::move(pdf_helper), limits);
}

}  // namespace millrace::documents
