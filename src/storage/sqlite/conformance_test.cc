// The conformance suite on the SQLite driver, each test in a file of its own.
#include <cstdlib>
#include <filesystem>

#include "storage/conformance/suite.h"
#include "storage/sqlite/driver.h"

namespace millrace::storage {
namespace {

// A folder that goes when its last user does.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "millrace-XXXXXX").string();
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
