// A parser's process for tests. Run as `PROGRAM parser-child` it is the real one, but a document that starts with "!"
// has it misbehave, and one with "?" has it tell of itself; without an argument it stands for the helper for PDF.
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "pipelines/documents/detect.h"
#include "pipelines/documents/language.h"
#include "pipelines/documents/parser_protocol.h"

namespace millrace::documents {
namespace {

void Write(std::string_view bytes) {
  if (::pwrite(kParserSpoolFd, bytes.data(), bytes.size(), 0) < 0) std::abort();
}

// Answers in place of the honest loop, and never comes back.
[[noreturn]] void Say(std::string_view frame) {
  if (::send(kParserSocketFd, frame.data(), frame.size(), 0) < 0) std::abort();
  for (;;) ::pause();
}

std::string OneElement(std::int32_t parent, ElementType type, std::string text) {
  std::string bytes;
  EncodeElement({-1, ElementType::kRoot, 0, "", "", ""}, bytes);
  EncodeElement({parent, type, 0, std::move(text), "", ""}, bytes);
  return bytes;
}

[[noreturn]] void Lie(const std::string& elements, std::uint64_t count, const std::string& trailer) {
  Write(elements + trailer);
  ReplyFrame reply;
  reply.status = ReplyFrame::Status::kParsed;
  reply.element_count = count;
  reply.element_bytes = elements.size();
  reply.trailer_bytes = trailer.size();
  Say(EncodeReply(reply));
}

void LieIfAsked(std::string_view order) {
  const std::string trailer = EncodeTrailer({});
  if (order.starts_with("!garbage-reply")) Say("\x7f\x45\x4c\x46 this is no frame");
  if (order.starts_with("!empty-reply")) Say("");
  if (order.starts_with("!garbage-spool")) Lie(std::string(5000, '\xfe'), 7, trailer);
  if (order.starts_with("!garbage-trailer")) Lie(OneElement(0, ElementType::kLine, "x"), 2, std::string(300, '\xff'));
  if (order.starts_with("!bad-parent")) Lie(OneElement(5, ElementType::kLine, "x"), 2, trailer);
  if (order.starts_with("!bad-type")) Lie(OneElement(0, static_cast<ElementType>(200), "x"), 2, trailer);
  if (order.starts_with("!bad-text")) Lie(OneElement(0, ElementType::kLine, "\xc3"), 2, trailer);
  if (order.starts_with("!too-few")) Lie(OneElement(0, ElementType::kLine, "x"), 9, trailer);
  if (order.starts_with("!too-many")) Lie(OneElement(0, ElementType::kLine, "x"), 1, trailer);
  if (order.starts_with("!no-spool")) {
    ReplyFrame reply;
    reply.status = ReplyFrame::Status::kParsed;
    reply.element_count = 3;
    reply.element_bytes = 1 << 30;
    reply.trailer_bytes = 100;
    Say(EncodeReply(reply));
  }
  if (order.starts_with("!odd-reason")) {
    ReplyFrame reply;
    reply.status = ReplyFrame::Status::kFailed;
    reply.failure = {"\033[2Jno word of ours", "a reason that it made up"};
    Say(EncodeReply(reply));
  }
  if (order.starts_with("!huge-counts")) {
    ReplyFrame reply;
    reply.status = ReplyFrame::Status::kParsed;
    reply.element_count = reply.element_bytes = reply.trailer_bytes = ~std::uint64_t{0};
    Say(EncodeReply(reply));
  }
}

void Allocate() {
  std::vector<std::string> all;  // far beyond the tests' limit, but not without end: the limit is what is tested
  for (int i = 0; i < 100; ++i) all.emplace_back(8 << 20, 'x');
}

void Burn(Duration processor_time) {
  const auto used = [] {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  };
  for (const auto until = used() + processor_time; used() < until;) {
  }
}

// What a misbehaving parser does.
void Misbehave(std::string_view order) {
  if (order.starts_with("!loop")) {
    for (std::atomic<unsigned> turns{0};; ++turns) {
    }
  }
  if (order.starts_with("!stop")) ::raise(SIGSTOP);  // tells its parent that it is at work
  if (order.starts_with("!sleep") || order.starts_with("!stop")) {
    for (;;) ::pause();
  }
  if (order.starts_with("!family")) {  // a child of its own, which must not be left behind
    if (::fork() == 0) ::pause();
    for (;;) ::pause();
  }
  if (order.starts_with("!signal")) ::kill(::getpid(), SIGUSR1);
  if (order.starts_with("!abort")) {
    std::fputs("the last words\n", stderr);
    ::signal(SIGABRT, SIG_DFL);
    ::abort();
  }
  if (order.starts_with("!exit")) ::_exit(3);
  if (order.starts_with("!throw")) throw std::runtime_error("odd bytes");
  if (order.starts_with("!chatter")) {
    for (int i = 0; i < 100'000; ++i) std::fputs("complaints without end\n", stderr);
  }
  if (order.starts_with("!work")) Burn(std::chrono::milliseconds(50));
  if (order.starts_with("!alloc")) Allocate();
  LieIfAsked(order);
}

std::optional<ParseFailure> Probe(ElementSink& sink) {
  rlimit files{}, core{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  ::getrlimit(RLIMIT_CORE, &core);
  int environment = 0;
  for (char** variable = environ; *variable != nullptr; ++variable) ++environment;
  int open = 0;
  for (int fd = 0; fd < 1000; ++fd) open += ::lseek(fd, 0, SEEK_CUR) >= 0 || errno != EBADF ? 1 : 0;
  const auto say = [&](const std::string& text) { sink.Add(0, ElementType::kLine, text, "line 1"); };
  say("pid " + std::to_string(::getpid()));
  say("group " + std::to_string(::getpgrp()));
  say("files " + std::to_string(files.rlim_cur));
  say("core " + std::to_string(core.rlim_max));
  say("open " + std::to_string(open));
  say("home " + std::string(std::getenv("HOME") == nullptr ? "none" : "some"));
  return std::nullopt;
}

std::optional<ParseFailure> Parse(const ParserInput& input, ElementSink& sink) {
  if (input.bytes.starts_with("!")) Misbehave(input.bytes);
  if (input.bytes.starts_with("?")) return Probe(sink);
  return ParseByContent(input, sink);
}

std::optional<ParseFailure> StandInForPdf(const ParserInput& input, ElementSink& sink) {
  sink.Add(0, ElementType::kPage, input.name, "page 1");
  return std::nullopt;
}

}  // namespace
}  // namespace millrace::documents

int main(int argc, char**) {
  using namespace millrace::documents;
  return argc > 1 ? RunParserChild(Parse, DetectLanguage) : RunParserChild(StandInForPdf);
}
