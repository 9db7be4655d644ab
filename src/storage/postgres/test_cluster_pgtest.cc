#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "storage/postgres/pg_fixture.h"
#include "storage/postgres/test_cluster.h"

namespace millrace::storage::postgres {
namespace {

class PgTestClusterTest : public PgTest {};

TEST_F(PgTestClusterTest, EachDatabaseIsNewAndEmpty) {
  const std::string other = TestCluster::Get().CreateDatabase();
  EXPECT_NE(other, options_.url);
  Execute(*Open(), "CREATE TABLE t ()");
  options_.url = other;
  EXPECT_EQ(Number(*Open(), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), 0);
}

// The program is killed while its own server runs.
TEST_F(PgTestClusterTest, TheServerGoesWhenItsProgramIsKilled) {
  if (!TestCluster::Get().CanStop()) GTEST_SKIP() << "the server is not ours";
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // when this test fails
    dup2(ends[1], 3);
    dup2(open("/dev/null", O_WRONLY), 1);
    const char* const program = MILLRACE_BINARY_DIR "/postgres_server_holder";
    execl(program, program, nullptr);
    _exit(127);
  }
  close(ends[1]);
  std::array<char, 256> url{};
  const ssize_t size = read(ends[0], url.data(), url.size() - 1);
  ASSERT_GT(size, 0) << "it did not start its server";
  options_.url = std::string(url.data(), static_cast<std::size_t>(size));
  auto connection = Open();
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(RunError(*connection, "SELECT pg_sleep(25)").code, ErrorCode::kDatabaseUnavailable)
      << "its server was still there after 25 seconds";
  close(ends[0]);
}

}  // namespace
}  // namespace millrace::storage::postgres
