// For tests: a PostgreSQL of their own that goes when they end.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::storage::postgres {

// One private server for the test program, made and started when first asked for, in /dev/shm when that has room, else
// in the temporary folder. It stops and its files go when the program ends, however it ends. Its programs are those of
// the newest /usr/lib/postgresql/*/bin, or in MILLRACE_TEST_PG_BIN. With MILLRACE_TEST_DATABASE_URL set (a
// superuser's), that server is used instead; it is never stopped, and the databases made on it are dropped at the end.
// Thread-safe, but for Stop, Start and MoveTo. Failures throw std::runtime_error: a test cannot go on.
//
//   if (auto reason = TestCluster::SkipReason(); !reason.empty()) GTEST_SKIP() << reason;
//   const std::string url = TestCluster::Get().CreateDatabase();
class TestCluster {
 public:
  static TestCluster& Get();
  // Why there can be no server here; empty when there can.
  static std::string SkipReason();

  // The URL of a new, empty database, with a superuser and its password.
  std::string CreateDatabase();
  // The URL of one that is there, such as "postgres".
  [[nodiscard]] std::string Url(std::string_view database) const;
  // The same with another user and password.
  [[nodiscard]] std::string Url(std::string_view database, std::string_view user, std::string_view password) const;
  // Runs statements as superuser in the database `postgres`.
  void Execute(std::string_view sql);

  // Whether Stop and Start work: false on a server that is not ours.
  [[nodiscard]] bool CanStop() const { return !folder_.empty(); }
  // Stops the server: at once as in a crash, or closing connections in order. Start starts it again on the same port.
  void Stop(bool immediate);
  void Start();
  // A shell command, for others to run, that does both as in a crash.
  [[nodiscard]] std::string CrashCommand() const;
  // From now on the server listens on this address of this machine only, and lets those of its network in.
  void MoveTo(const std::string& address);
  [[nodiscard]] int port() const { return port_; }

  TestCluster(const TestCluster&) = delete;
  TestCluster& operator=(const TestCluster&) = delete;

 private:
  TestCluster();
  ~TestCluster();
  void Initialise();
  void StartSomewhere();
  void Supervise();
  void WriteConfiguration();
  void Control(const std::vector<std::string>& arguments);

  std::string bin_;
  std::string folder_;  // empty: the server is not ours
  std::string external_url_;
  std::string password_;
  std::string address_ = "127.0.0.1";
  int port_ = 0;
  int supervisor_ = -1;       // process that stops the server when this program is gone
  int supervisor_pipe_ = -1;  // its standard input: closes when this program ends
  std::mutex mutex_;
  std::vector<std::string> created_;
  int next_database_ = 0;
};

}  // namespace millrace::storage::postgres
