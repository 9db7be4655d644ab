// The conformance suite on the SQLite driver, each test in a file of its own.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "storage/conformance/suite.h"
#include "storage/sqlite/driver.h"

namespace millrace::storage {
namespace {

// A folder that goes when its last user does. In memory where the system has such a place: what is shown here is about
// processes that die, not about disks, and thousands of commits need not wait for one.
class Folder {
 public:
  Folder() {
    const bool in_memory = access("/dev/shm", W_OK) == 0;
    const std::filesystem::path parent = in_memory ? "/dev/shm" : std::filesystem::temp_directory_path();
    std::string pattern = (parent / "millrace-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make a folder like " + pattern);
    path_ = pattern;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

Instance OpenFile(const StorageOptions& options) {
  struct Ground {
    Folder folder;
    base::ManualClock clock{Time(std::chrono::seconds(1'700'000'000))};
    StorageOptions options;
    std::unique_ptr<Storage> Open() { return Must(sqlite::OpenSqlite(options, clock)); }
  };
  auto ground = std::make_shared<Ground>();
  ground->options = options;
  ground->options.url = (ground->folder.path() / "jobs.db").string();
  Instance instance;
  instance.storage = ground->Open();
  instance.advance = [ground](Duration by) { ground->clock.Advance(by); };
  instance.reopen = [ground] { return ground->Open(); };
  return instance;
}

}  // namespace

INSTANTIATE_CONFORMANCE(Sqlite, Driver{"sqlite", OpenFile});

}  // namespace millrace::storage
