#include "cli/thread_dump.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <barrier>
#include <thread>

namespace millrace::cli {
namespace {

TEST(ThreadDumpTest, ShowsEveryThreadByName) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the thread sanitizer holds signals back from threads that wait";
#endif
  std::barrier ready(2), done(2);
  std::thread other([&] {
    pthread_setname_np(pthread_self(), "sleepy-helper");
    ready.arrive_and_wait();
    done.arrive_and_wait();
  });
  ready.arrive_and_wait();
  const std::string dump = DumpThreads();
  done.arrive_and_wait();
  other.join();
  EXPECT_THAT(dump, ::testing::HasSubstr("(sleepy-helper)"));
  EXPECT_THAT(dump, ::testing::HasSubstr("DumpThreads"));
  EXPECT_THAT(dump, ::testing::HasSubstr("#1 "));
  EXPECT_THAT(dump, ::testing::Not(::testing::HasSubstr("does not answer")));
}

TEST(ThreadDumpTest, TwoAtOnceTakeTurns) {
  std::string a, b;
  std::thread other([&] { a = DumpThreads(); });
  b = DumpThreads();
  other.join();
  EXPECT_THAT(a, ::testing::HasSubstr("threads of process"));
  EXPECT_THAT(b, ::testing::HasSubstr("threads of process"));
}

}  // namespace
}  // namespace millrace::cli
