// The pool with real child processes (testing/parser_child_main.cc), which behave and misbehave as their document says.
#include "pipelines/documents/parser_pool.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <latch>
#include <map>
#include <stop_token>
#include <thread>

#include "pipelines/documents/parser_process.h"
#include "pipelines/documents/test_support.h"

namespace millrace::documents {
namespace {

using testing::HasSubstr;

const std::string kChild = std::string(MILLRACE_BINARY_DIR) + "/documents_parser_child";

// A document in memory, open for reading.
class Document {
 public:
  explicit Document(std::string_view bytes, std::string name = "document.txt")
      : name_(std::move(name)), fd_(::memfd_create("document", MFD_CLOEXEC)) {
    if (::write(fd_.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
      throw std::runtime_error("cannot write the test's document");
    }
  }
  [[nodiscard]] ParseInput input() const { return {fd_.get(), name_}; }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  std::string name_;
  OwnedFd fd_;
};

std::vector<std::string> Texts(ParsedDocument& document) {
  std::vector<std::string> texts;
  auto done = document.ForEach([&](const Element& element) -> Result<void> {
    if (element.parent >= 0) texts.push_back(element.text);
    return {};
  });
  if (!done) texts.push_back("ERROR " + done.error().message);
  return texts;
}

class ParserPoolTest : public testing::Test {
 protected:
  ParserPoolTest() { limits_.wall = std::chrono::seconds(30); }

  ParserPool& pool() {
    if (!pool_) pool_ = ParserPool::Create(kChild, kChild, limits_);
    return *pool_;
  }
  ParseOutcome Parse(std::string_view bytes, const std::string& name = "document.txt") {
    const Document document(bytes, name);
    auto outcome = pool().Parse(document.input(), {});
    if (!outcome) throw std::runtime_error(outcome.error().message);
    return std::move(*outcome);
  }
  // The reason of the failure, which there must be.
  std::string Reason(std::string_view bytes) {
    const ParseOutcome outcome = Parse(bytes);
    message_ = outcome.failure.message;
    return outcome.document ? "parsed" : outcome.failure.reason;
  }
  // What a child says of itself, by its first word.
  std::map<std::string, std::string> Probe() {
    const ParseOutcome outcome = Parse("?");
    std::map<std::string, std::string> said;
    for (const std::string& text : Texts(*outcome.document)) {
      said[text.substr(0, text.find(' '))] = text.substr(text.find(' ') + 1);
    }
    return said;
  }
  pid_t ChildPid() { return std::stoi(Probe()["pid"]); }
  void ExpectWorks() { EXPECT_EQ(Texts(*Parse("Still alive.").document), std::vector<std::string>{"Still alive."}); }

  ParseLimits limits_;
  std::unique_ptr<ParserPool> pool_;
  std::string message_;
};

// Waits until a child that was asked to "!stop" is in the middle of its document.
void AwaitAtWork(pid_t child) {
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WSTOPPED), 0);
}

bool IsGone(pid_t pid) { return ::kill(pid, 0) != 0 && errno == ESRCH; }

TEST_F(ParserPoolTest, ParsesInAChildThatIsUsedAgain) {
  const ParseOutcome outcome = Parse("One.\n\nTwo\nlines.\n", "note.txt");
  ASSERT_TRUE(outcome.document) << outcome.failure.message;
  EXPECT_EQ(outcome.document->element_count(), 3);
  EXPECT_EQ(Texts(*outcome.document), (std::vector<std::string>{"One.", "Two\nlines."}));
  EXPECT_EQ(Texts(*outcome.document).size(), 2u) << "it can be read again";
  EXPECT_EQ(outcome.document->metadata().media_type, "text/plain");
  const pid_t first = ChildPid();
  EXPECT_EQ(ChildPid(), first);
}

TEST_F(ParserPoolTest, DocumentHoldsItsChild) {
  const ParseOutcome first = Parse("First.");
  const ParseOutcome second = Parse("Second.");
  EXPECT_EQ(Texts(*first.document), std::vector<std::string>{"First."});
  EXPECT_EQ(Texts(*second.document), std::vector<std::string>{"Second."});
}

TEST_F(ParserPoolTest, DocumentMayOutliveThePool) {
  const ParseOutcome outcome = Parse("Kept.");
  pool_.reset();
  EXPECT_EQ(Texts(*outcome.document), std::vector<std::string>{"Kept."});
}

TEST_F(ParserPoolTest, ChildHasNothingItDoesNotNeed) {
  const OwnedFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const OwnedFd inherited(::fcntl(null.get(), F_DUPFD, 50));  // not close-on-exec
  auto said = Probe();
  EXPECT_EQ(said["group"], said["pid"]);
  EXPECT_EQ(said["files"], "64");
  EXPECT_EQ(said["core"], "0");
  EXPECT_EQ(said["open"], "6") << "standard files, socket, spool and the document";
  EXPECT_EQ(said["home"], "none");
}

TEST_F(ParserPoolTest, ChildIsReplacedAfterSoManyDocuments) {
  limits_.recycle_after = 2;
  const pid_t first = ChildPid();
  EXPECT_EQ(ChildPid(), first);
  EXPECT_NE(ChildPid(), first);
  EXPECT_TRUE(IsGone(first));
}

TEST_F(ParserPoolTest, EndsItsChildren) {
  const pid_t child = ChildPid();
  EXPECT_FALSE(IsGone(child));
  pool_.reset();
  EXPECT_TRUE(IsGone(child));
}

TEST_F(ParserPoolTest, ChildKilledWhileIdleIsReplacedUnseen) {
  const pid_t child = ChildPid();
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  ExpectWorks();
}

TEST_F(ParserPoolTest, CrashEndsTheDocumentOnly) {
  const pid_t before = ChildPid();
  EXPECT_EQ(Reason("!signal"), "crashed");
  EXPECT_THAT(message_, HasSubstr("signal 10"));
  EXPECT_NE(ChildPid(), before);
  EXPECT_EQ(Reason("!abort"), "crashed");
  EXPECT_THAT(message_, HasSubstr("the last words"));
  EXPECT_EQ(Reason("!exit"), "crashed");
  EXPECT_THAT(message_, HasSubstr("status 3"));
  ExpectWorks();
}

TEST_F(ParserPoolTest, KilledFromOutsideInTheMiddleOfADocument) {
  const pid_t child = ChildPid();
  const Document document("!stop");
  Error error;
  std::thread parse([&] { error = pool().Parse(document.input(), {}).error(); });
  AwaitAtWork(child);
  EXPECT_EQ(::kill(child, SIGKILL), 0);
  parse.join();
  EXPECT_EQ(error.code, ErrorCode::kIo) << "not the document's fault, so that it is tried again";
  EXPECT_THAT(error.message, HasSubstr("killed from outside by signal 9"));
  ExpectWorks();
}

TEST_F(ParserPoolTest, ExceptionIsBroken) {
  EXPECT_EQ(Reason("!throw"), "broken");
  EXPECT_THAT(message_, HasSubstr("odd bytes"));
  ExpectWorks();
}

TEST_F(ParserPoolTest, MuchTalkDoesNotStopAChild) {
  EXPECT_EQ(Reason("!chatter"), "parsed");
  ExpectWorks();
}

TEST_F(ParserPoolTest, EndlessLoopEndsAtItsProcessorTime) {
  limits_.cpu = std::chrono::milliseconds(10);
  EXPECT_EQ(Reason("!loop"), "timeout");
  EXPECT_THAT(message_, HasSubstr("processor time"));
  ExpectWorks();
}

TEST_F(ParserPoolTest, WaitingEndsAtTheWallTime) {
  limits_.wall = std::chrono::milliseconds(300);
  EXPECT_EQ(Reason("!sleep"), "timeout");
  EXPECT_THAT(message_, HasSubstr("longer than the limit"));
}

// Keeps the only processor that `child` may run on busy for so long, or until destroyed.
class Hog {
 public:
  Hog(pid_t child, Duration how_long) {
    cpu_set_t allowed, one;
    ::sched_getaffinity(0, sizeof(allowed), &allowed);
    CPU_ZERO(&one);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &allowed)) ++cpu;
    CPU_SET(cpu, &one);
    const sched_param least{};
    EXPECT_EQ(::sched_setaffinity(child, sizeof(one), &one), 0);
    EXPECT_EQ(::sched_setscheduler(child, SCHED_IDLE, &least), 0);
    std::latch spinning(1);
    thread_ = std::jthread([&spinning, one, how_long](const std::stop_token& stop) {
      EXPECT_EQ(::pthread_setaffinity_np(::pthread_self(), sizeof(one), &one), 0);
      spinning.count_down();
      const auto until = std::chrono::steady_clock::now() + how_long;
      while (!stop.stop_requested() && std::chrono::steady_clock::now() < until) continue;
    });
    spinning.wait();
  }

 private:
  std::jthread thread_;
};

TEST_F(ParserPoolTest, WaitingForAProcessorIsNotTheDocumentsFault) {
  limits_.wall = std::chrono::milliseconds(500);
  const Hog hog(ChildPid(), 2 * limits_.wall);
  EXPECT_EQ(Reason("!work"), "parsed") << message_;
}

TEST_F(ParserPoolTest, NoProcessorAtAllIsTheMachinesFailure) {
  limits_.wall = std::chrono::milliseconds(50);
  const Hog hog(ChildPid(), std::chrono::minutes(1));
  const Document document("!work");
  const auto outcome = pool().Parse(document.input(), {});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::kIo);
}

TEST_F(ParserPoolTest, WhatAChildStartsEndsWithIt) {
  limits_.wall = std::chrono::milliseconds(300);
  const pid_t child = ChildPid();
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);  // what it leaves behind is ours to bury
  EXPECT_EQ(Reason("!family"), "timeout");
  int status = 0;
  const pid_t grandchild = ::waitpid(-child, &status, 0);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
  EXPECT_GT(grandchild, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST_F(ParserPoolTest, AllocationBombIsAMemoryLimit) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's shadow memory is larger than any limit";
#endif
  limits_.memory = 256 << 20;
  EXPECT_EQ(Reason("!alloc"), "memory_limit");
  EXPECT_THAT(message_, HasSubstr("256 MiB"));
  ExpectWorks();
}

TEST_F(ParserPoolTest, StopEndsADocumentAtOnce) {
  const pid_t child = ChildPid();
  const Document document("!stop");
  std::stop_source stop;
  std::thread stopper([&] {
    AwaitAtWork(child);
    stop.request_stop();
  });
  auto outcome = pool().Parse(document.input(), stop.get_token());
  stopper.join();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::kCancelled);
  EXPECT_TRUE(IsGone(child));
  ExpectWorks();
}

TEST_F(ParserPoolTest, AReasonThatIsNoneOfOursIsNotTaken) { EXPECT_EQ(Reason("!odd-reason"), "broken"); }

TEST_F(ParserPoolTest, LyingChildIsAFailureNotACrash) {
  for (const char* lie : {"!garbage-reply", "!empty-reply", "!garbage-trailer", "!no-spool", "!huge-counts"}) {
    EXPECT_EQ(Reason(lie), "crashed") << lie;
    EXPECT_FALSE(message_.empty()) << lie;
  }
  for (const char* lie : {"!garbage-spool", "!bad-parent", "!bad-type", "!bad-text", "!too-few", "!too-many"}) {
    const ParseOutcome outcome = Parse(lie);
    ASSERT_TRUE(outcome.document) << lie << ": " << outcome.failure.message;
    auto read = outcome.document->ForEach([](const Element&) -> Result<void> { return {}; });
    ASSERT_FALSE(read) << lie;
    EXPECT_EQ(read.error().code, ErrorCode::kCorrupt) << lie;
    EXPECT_THAT(read.error().message, HasSubstr("makes no sense")) << lie;
  }
  ExpectWorks();
}

TEST_F(ParserPoolTest, ErrorOfTheReceiverIsPassedOn) {
  const ParseOutcome outcome = Parse("One.\n\nTwo.");
  int seen = 0;
  auto done = outcome.document->ForEach([&](const Element&) -> Result<void> {
    if (++seen == 2) return fail(ErrorCode::kDiskFull, "full");
    return {};
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kDiskFull);
  EXPECT_EQ(seen, 2);
}

TEST_F(ParserPoolTest, PdfGoesToItsHelper) {
  const ParseOutcome outcome = Parse("%PDF-1.4\n", "a.pdf");
  EXPECT_EQ(Texts(*outcome.document), std::vector<std::string>{"a.pdf"});
  EXPECT_EQ(Texts(*Parse("junk before it\n%PDF-1.7\n", "b").document), std::vector<std::string>{"b"});
  EXPECT_EQ(Texts(*Parse("A PDF starts with %PDF-1.7", "c.txt").document),
            std::vector<std::string>{"A PDF starts with %PDF-1.7"});
}

TEST_F(ParserPoolTest, MissingProgramIsTheMachinesFailure) {
  auto without = ParserPool::Create(kChild, "/nowhere/millrace-pdf", limits_);
  const Document document("%PDF-1.4", "a.pdf");
  auto outcome = without->Parse(document.input(), {});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::kIo);
  EXPECT_THAT(outcome.error().message, HasSubstr("/nowhere/millrace-pdf"));
}

TEST_F(ParserPoolTest, TooLargeAndUnreadable) {
  limits_.max_bytes = 10;
  EXPECT_EQ(Reason("eleven bytes"), "too_large");
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const OwnedFd read(ends[0]), write(ends[1]);
  EXPECT_EQ(pool().Parse({read.get(), "pipe"}, {}).value().failure.reason, "unreadable");
}

TEST_F(ParserPoolTest, TooManyElementsOrTooMuchOutput) {
  limits_.max_elements = 3;
  limits_.max_output = 1 << 20;
  EXPECT_EQ(Reason("a\n\nb\n\nc\n"), "parsed");
  EXPECT_EQ(Reason("a\n\nb\n\nc\n\nd\n"), "too_large");
  std::string large;
  for (int i = 0; i < 40'000; ++i) large += "a line of some length to fill the spool\n";
  EXPECT_EQ(Reason(large), "too_large");
  EXPECT_THAT(message_, HasSubstr("elements"));
}

TEST_F(ParserPoolTest, ManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  pool();
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        const std::string text = "thread " + std::to_string(t) + " document " + std::to_string(i);
        const Document document(i % 5 == 4 ? "!signal" : text);
        auto outcome = pool().Parse(document.input(), {});
        if (!outcome) continue;
        if (i % 5 == 4) {
          good += outcome->failure.reason == "crashed" ? 1 : 0;
        } else if (outcome->document) {
          good += Texts(*outcome->document) == std::vector<std::string>{text} ? 1 : 0;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 40);
}

TEST_F(ParserPoolTest, SpoolOfADifferentSizeDoesNotShowThrough) {
  std::string large;
  for (int i = 0; i < 200'000; ++i) large += "paragraph " + std::to_string(i) + "\n\n";
  EXPECT_EQ(Parse(large).document->element_count(), 200'001);
  ExpectWorks();
}

TEST_F(ParserPoolTest, LanguageIsDetectedWhenReliable) {
  EXPECT_EQ(Parse("Der schnelle braune Fuchs springt über den faulen Hund und läuft dann durch den Wald nach Hause.")
                .document->metadata()
                .language,
            "de");
  EXPECT_EQ(Parse("xk 12").document->metadata().language, "");
}

// Starts a child on this end of a socket.
pid_t StartAlone(int socket) {
  const OwnedFd spool(::memfd_create("spool", MFD_CLOEXEC));
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::dup2(socket, 100);
  ::dup2(spool.get(), 101);
  ::dup2(100, kParserSocketFd);
  ::dup2(101, kParserSpoolFd);
  ::close_range(kParserSpoolFd + 1, ~0u, 0);
  ::execl(kChild.c_str(), kChild.c_str(), "parser-child", nullptr);
  ::_exit(99);
}

void SendRequest(int socket, int document) {
  std::string frame = EncodeRequest({"a.txt", {}});
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  iovec part{frame.data(), frame.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(rights), &document, sizeof(document));
  ASSERT_GT(::sendmsg(socket, &message, 0), 0);
}

TEST(ParserProcessTest, DiesInTheMiddleOfADocumentWhenItsParentGoes) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  const pid_t child = StartAlone(ends[1]);
  ::close(ends[1]);
  const Document document("!stop");
  SendRequest(ends[0], document.fd());
  AwaitAtWork(child);
  ::close(ends[0]);
  ::kill(child, SIGCONT);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << status;
}

TEST(ParserProcessTest, EndsByItselfWhenItsParentGoesBetweenDocuments) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  const pid_t child = StartAlone(ends[1]);
  ::close(ends[1]);
  ::close(ends[0]);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(ParserProcessTest, WithoutAParentItEnds) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::close_range(3, ~0u, 0);
    ::execl(kChild.c_str(), kChild.c_str(), "parser-child", nullptr);
    ::_exit(99);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

}  // namespace
}  // namespace millrace::documents
