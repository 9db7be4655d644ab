#include "storage/postgres/test_cluster.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "storage/postgres/connection.h"
#include "storage/postgres/url.h"

namespace millrace::storage::postgres {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUser = "postgres";  // the superuser's, and when root the account the server runs as

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The folder with the newest server's programs; empty: none is here.
std::string FindPrograms() {
  if (const std::string named = Environment("MILLRACE_TEST_PG_BIN"); !named.empty()) return named;
  std::pair<int, std::string> newest;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", none)) {
    const fs::path bin = entry.path() / "bin";
    if (!fs::exists(bin / "initdb", none)) continue;
    newest = std::max(newest, {std::atoi(entry.path().filename().c_str()), bin.string()});
  }
  return newest.second;
}

// Data of a few tests takes about 200 MB; half a gigabyte leaves room for those who need more.
std::string RoomyFolder() {
  struct statvfs room {};
  const bool fits = statvfs("/dev/shm", &room) == 0 && access("/dev/shm", W_OK) == 0 &&
                    static_cast<std::uint64_t>(room.f_bavail) * room.f_frsize > (512ULL << 20);
  return fits ? "/dev/shm" : fs::temp_directory_path().string();
}

// A server refuses to run as root. Its account may pass folders that are root's alone where even / is one, as in a
// chroot below a temporary folder; programs that ask access(2) are told so only with that bit.
std::vector<std::string> AsServerUser(std::vector<std::string> command) {
  if (geteuid() != 0) return command;
  std::vector<std::string> all = {"setpriv", "--reuid", kUser, "--regid", kUser, "--clear-groups"};
  struct stat top {};
  if (stat("/", &top) == 0 && (top.st_mode & S_IXOTH) == 0) {
    for (const char* word :
         {"--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search", "--securebits", "+no_setuid_fixup"}) {
      all.emplace_back(word);
    }
  }
  all.insert(all.end(), command.begin(), command.end());
  return all;
}

// Between fork and exec only what is safe in a program with threads. Standard output and error go to `log`.
pid_t Spawn(const std::vector<std::string>& command, const std::string& folder, int input, bool own_session) {
  std::vector<char*> words;
  words.reserve(command.size() + 1);
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const std::string log = folder + "/commands.log";
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child > 0) return child;
  const int output = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (input < 0) input = open("/dev/null", O_RDONLY);
  if (own_session) setsid();  // a Ctrl-C is for the tests, not for who cleans up after them
  dup2(input, 0);
  dup2(output, 1);
  dup2(output, 2);
  if (chdir(folder.c_str()) != 0) _exit(126);
  execvp(words[0], words.data());
  _exit(127);
}

std::string FileText(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  const bool found = fd >= 0 && bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
                     getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (fd >= 0) close(fd);
  if (!found) throw std::runtime_error("no free port on 127.0.0.1");
  return ntohs(address.sin_port);
}

void Check(Result<void> result) {
  if (!result) throw std::runtime_error(result.error().message);
}

}  // namespace

TestCluster& TestCluster::Get() {
  static TestCluster cluster;
  return cluster;
}

std::string TestCluster::SkipReason() {
  if (!Environment("MILLRACE_TEST_DATABASE_URL").empty() || !FindPrograms().empty()) return "";
  return "no PostgreSQL server is installed (apt install postgresql), and neither MILLRACE_TEST_PG_BIN nor "
         "MILLRACE_TEST_DATABASE_URL names one";
}

TestCluster::TestCluster() : bin_(FindPrograms()), external_url_(Environment("MILLRACE_TEST_DATABASE_URL")) {
  if (!external_url_.empty()) return;
  if (bin_.empty()) throw std::runtime_error(SkipReason());
  Initialise();
  Supervise();
  StartSomewhere();
}

TestCluster::~TestCluster() {
  if (folder_.empty()) {
    for (const std::string& name : created_) {
      try {
        Execute("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)");
      } catch (const std::exception&) {
        break;  // the server is gone, and the databases are somebody else's to drop
      }
    }
    return;
  }
  close(supervisor_pipe_);
  waitpid(supervisor_, nullptr, 0);
}

void TestCluster::Initialise() {
  std::string name = RoomyFolder() + "/millrace-pg-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot create " + name);
  folder_ = name;
  password_ = "test-" + folder_.substr(folder_.size() - 6);
  std::ofstream(folder_ + "/password") << password_;
  if (geteuid() == 0) {
    const passwd* account = getpwnam(kUser);
    if (account == nullptr) throw std::runtime_error("no account 'postgres' to run the server as");
    if (chown(folder_.c_str(), account->pw_uid, account->pw_gid) != 0 ||
        chown((folder_ + "/password").c_str(), account->pw_uid, account->pw_gid) != 0) {
      throw std::runtime_error("cannot give " + folder_ + " to 'postgres'");
    }
  }
  Control({bin_ + "/initdb", "--pgdata=" + folder_ + "/data", "--username=" + std::string(kUser), "--no-sync",
           "--encoding=UTF8", "--locale=C", "--auth-local=trust", "--auth-host=scram-sha-256",
           "--pwfile=" + folder_ + "/password"});
  WriteConfiguration();
}

void TestCluster::WriteConfiguration() {
  std::ofstream(folder_ + "/data/postgresql.conf", std::ios::app) << "listen_addresses = '127.0.0.1'\n"
                                                                     "unix_socket_directories = '"
                                                                  << folder_
                                                                  << "'\n"
                                                                     "fsync = off\n"
                                                                     "full_page_writes = off\n"
                                                                     "max_connections = 300\n"
                                                                     "shared_buffers = 64MB\n"
                                                                     "min_wal_size = 32MB\n"
                                                                     "max_wal_size = 256MB\n";
}

// Reads until the pipe closes, which the kernel does when this program ends in whatever way.
void TestCluster::Supervise() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("cannot create a pipe");
  const std::string script = "read -r nothing; '" + bin_ + "/pg_ctl' stop -s -m immediate -D '" + folder_ +
                             "/data'; cd /; rm -rf '" + folder_ + "'";
  supervisor_ = Spawn(AsServerUser({"sh", "-c", script}), folder_, ends[0], true);
  close(ends[0]);
  supervisor_pipe_ = ends[1];
}

// Another program may take the port between our look and the server's start.
void TestCluster::StartSomewhere() {
  for (int attempt = 1;; ++attempt) {
    port_ = FreePort();
    try {
      Start();
      return;
    } catch (const std::exception&) {
      if (attempt == 5) throw;
    }
  }
}

void TestCluster::Start() {
  Control({bin_ + "/pg_ctl", "start", "-s", "-w", "-D", folder_ + "/data", "-l", folder_ + "/server.log", "-o",
           "-p " + std::to_string(port_)});
}

void TestCluster::Stop(bool immediate) {
  Control({bin_ + "/pg_ctl", "stop", "-s", "-w", "-m", immediate ? "immediate" : "fast", "-D", folder_ + "/data"});
}

std::string TestCluster::CrashCommand() const {
  std::string command;
  for (const std::string& word : AsServerUser({})) command += word + " ";
  return command + "'" + bin_ + "/pg_ctl' restart -s -w -m immediate -D '" + folder_ + "/data' -l '" + folder_ +
         "/server.log' -o '-p " + std::to_string(port_) + "' > /dev/null";
}

void TestCluster::MoveTo(const std::string& address) {
  std::ofstream(folder_ + "/data/postgresql.conf", std::ios::app) << "listen_addresses = '" << address << "'\n";
  std::ofstream(folder_ + "/data/pg_hba.conf", std::ios::app) << "host all all samenet scram-sha-256\n";
  Stop(false);
  Start();
  address_ = address;
}

void TestCluster::Control(const std::vector<std::string>& arguments) {
  if (folder_.empty()) throw std::runtime_error("the server of MILLRACE_TEST_DATABASE_URL is not ours to control");
  const pid_t child = Spawn(AsServerUser(arguments), folder_, -1, false);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  throw std::runtime_error(arguments.front() + " failed: " + FileText(folder_ + "/commands.log") +
                           FileText(folder_ + "/server.log"));
}

std::string TestCluster::Url(std::string_view database) const {
  if (external_url_.empty()) return Url(database, kUser, password_);
  const Target target = ParseUrl(external_url_).value();
  return Url(database, target.endpoint.user, target.password);
}

std::string TestCluster::Url(std::string_view database, std::string_view user, std::string_view password) const {
  Endpoint at = {"", address_, std::to_string(port_), ""};
  if (!external_url_.empty()) at = ParseUrl(external_url_).value().endpoint;
  std::string url = "postgresql://" + PercentEncoded(user);
  if (!password.empty()) url += ":" + PercentEncoded(password);
  if (!at.host.empty() && at.host.find('/') == std::string::npos)
    return url + "@" + at.Server() + "/" + std::string(database);
  url += "@/" + std::string(database) + "?host=" + PercentEncoded(at.host);
  return at.port.empty() ? url : url + "&port=" + at.port;
}

void TestCluster::Execute(std::string_view sql) {
  ConnectOptions options;
  options.url = Url("postgres");
  auto connection = Connection::Open(options);
  if (!connection) throw std::runtime_error(connection.error().message);
  Check((*connection)->Script(sql));
}

std::string TestCluster::CreateDatabase() {
  std::string name;
  {
    const std::lock_guard lock(mutex_);
    name = "millrace_test_" + std::to_string(getpid()) + "_" + std::to_string(++next_database_);
    created_.push_back(name);
  }
  Execute("CREATE DATABASE " + name);
  return Url(name);
}

}  // namespace millrace::storage::postgres
