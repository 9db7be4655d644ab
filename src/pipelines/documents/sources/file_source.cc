#include "pipelines/documents/sources/file_source.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <system_error>

#include "base/hash.h"
#include "base/try.h"
#include "pipelines/documents/sources/chooser.h"
#include "pipelines/documents/sources/path_text.h"

namespace millrace::documents {
namespace {

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

std::string ErrnoText(int number) { return std::error_code(number, std::generic_category()).message(); }

ErrorCode CodeOf(int number) {
  if (number == ENOENT || number == ENOTDIR) return ErrorCode::kNotFound;
  if (number == EACCES || number == EPERM) return ErrorCode::kPermission;
  return ErrorCode::kIo;
}

tl::unexpected<Error> FailPath(const char* what, std::string_view path, int number) {
  return fail(CodeOf(number), std::string(what) + " '" + EncodePath(path) + "': " + ErrnoText(number));
}

Result<std::string> RealPath(const std::string& path) {
  if (path.empty() || path.find('\0') != std::string::npos) {
    return fail(ErrorCode::kInvalidArgument, "a path is empty or contains a zero byte");
  }
  char* real = ::realpath(path.c_str(), nullptr);
  if (real == nullptr) return FailPath("cannot open", path, errno);
  std::string result(real);
  ::free(real);
  return result;
}

FileStamp StampOfStat(const struct stat& st) {
  return {st.st_size, static_cast<std::int64_t>(st.st_mtim.tv_sec) * 1'000'000'000 + st.st_mtim.tv_nsec};
}

// A name of a folder. Keys order as whole paths do: a folder's ends in '/'.
struct Name {
  std::string key;
  std::string raw;
  bool folder = false;
  bool operator<(const Name& other) const { return key < other.key; }
};

// A folder being listed.
struct Level {
  DIR* dir = nullptr;
  std::string raw_prefix, prefix;  // of paths in it: empty, or ending in '/'
  std::vector<Name> names;         // the next ones, in order
  std::size_t at = 0;
  std::string last_key;  // of the latest window
  bool more = false;     // names beyond the window are left

  Level() = default;
  Level(Level&& other) noexcept { *this = std::move(other); }
  Level& operator=(Level&& other) noexcept {
    std::swap(dir, other.dir);
    raw_prefix = std::move(other.raw_prefix), prefix = std::move(other.prefix), names = std::move(other.names);
    at = other.at, last_key = std::move(other.last_key), more = other.more;
    return *this;
  }
  ~Level() {
    if (dir != nullptr) ::closedir(dir);
  }
};

}  // namespace

struct FileListing::Impl {
  FileSource source;
  Chooser chooser;
  std::size_t window;
  std::vector<Level> levels;
  bool only_pending = false;

  Result<void> Fill(Level& level);
  bool Wanted(Level& level, const dirent& entry, Name& name) const;
  std::optional<FileEntry> Visit(Level& level, const Name& name);
  std::optional<FileEntry> Enter(const Level& level, const Name& name);
  [[nodiscard]] FileEntry Link(const Level& level, const Name& name, FileEntry entry) const;
};

bool FileListing::Impl::Wanted(Level& level, const dirent& entry, Name& name) const {
  name.raw = entry.d_name;
  if (name.raw == "." || name.raw == "..") return false;
  name.folder = entry.d_type == DT_DIR;
  if (entry.d_type == DT_UNKNOWN) {
    struct stat st {};
    name.folder = ::fstatat(::dirfd(level.dir), entry.d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
  }
  name.key = EncodePath(name.raw);
  if (name.folder) name.key += '/';
  if (name.key <= level.last_key) return false;
  const std::string path = level.raw_prefix + name.raw;
  if (name.folder) return source.recursive && !chooser.Excludes(path);
  return chooser.ChoosesFile(path);
}

// Finds the next `window` names after last_key, however many the folder has.
Result<void> FileListing::Impl::Fill(Level& level) {
  level.names.clear();
  level.at = 0;
  level.more = false;
  ::rewinddir(level.dir);
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(level.dir);
    if (entry == nullptr) {
      if (errno == 0) break;
      return FailPath("cannot list", source.base_path + "/" + level.raw_prefix, errno);
    }
    Name name;
    if (!Wanted(level, *entry, name)) continue;
    if (level.names.size() < window) {
      level.names.push_back(std::move(name));
      if (level.names.size() == window) std::make_heap(level.names.begin(), level.names.end());
      continue;
    }
    level.more = true;
    if (!(name < level.names.front())) continue;
    std::pop_heap(level.names.begin(), level.names.end());
    level.names.back() = std::move(name);
    std::push_heap(level.names.begin(), level.names.end());
  }
  std::sort(level.names.begin(), level.names.end());
  if (!level.names.empty()) level.last_key = level.names.back().key;
  return {};
}

FileEntry FileListing::Impl::Link(const Level& level, const Name& name, FileEntry entry) const {
  std::array<char, PATH_MAX> target{};
  const ssize_t length = ::readlinkat(::dirfd(level.dir), name.raw.c_str(), target.data(), target.size() - 1);
  const std::string shown = length > 0 ? EncodePath({target.data(), static_cast<std::size_t>(length)}) : "?";
  auto real = RealPath(source.base_path + "/" + level.raw_prefix + name.raw);
  if (!real) {
    entry.reason = "link_broken";
    entry.message = "a link to '" + shown + "', which cannot be resolved: " + real.error().message;
  } else if (*real == source.base_path || source.base_path == "/" || real->starts_with(source.base_path + "/")) {
    entry.reason = "link";
    entry.message = "a link to '" + shown + "' in the same source, which is read under its own name";
  } else {
    entry.reason = "link_outside";
    entry.message = "a link to '" + shown + "', outside of the source's folder; add that folder as a source to read it";
  }
  return entry;
}

// Starts listing a subfolder; an entry if it cannot be listed.
std::optional<FileEntry> FileListing::Impl::Enter(const Level& level, const Name& name) {
  FileEntry entry;
  entry.path = level.prefix + name.key;
  if (levels.size() >= kMaxFolders) {
    entry.reason = "too_deep";
    entry.message = "a folder below 128 others is not read";
    return entry;
  }
  entry.reason = "unreadable";
  const int fd = ::openat(::dirfd(level.dir), name.raw.c_str(), kFolderFlags);
  if (fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) entry.reason = "vanished";
    entry.message = "the folder cannot be opened: " + ErrnoText(errno);
    return entry;
  }
  Level next;
  next.dir = ::fdopendir(fd);
  if (next.dir == nullptr) {
    ::close(fd);
    entry.message = "the folder cannot be opened: " + ErrnoText(errno);
    return entry;
  }
  next.raw_prefix = level.raw_prefix + name.raw + "/";
  next.prefix = level.prefix + name.key;
  if (auto r = Fill(next); !r) {
    entry.message = r.error().message;
    return entry;
  }
  levels.push_back(std::move(next));
  return std::nullopt;
}

std::optional<FileEntry> FileListing::Impl::Visit(Level& level, const Name& name) {
  if (name.folder) return Enter(level, name);
  FileEntry entry;
  entry.path = level.prefix + name.key;
  struct stat st {};
  if (::fstatat(::dirfd(level.dir), name.raw.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
    entry.reason = errno == ENOENT ? "vanished" : "unreadable";
    entry.message = "cannot be looked at: " + ErrnoText(errno);
    return entry;
  }
  const FileStamp stamp = StampOfStat(st);
  entry.size = stamp.size;
  entry.mtime_ns = stamp.mtime_ns;
  if (S_ISLNK(st.st_mode)) return Link(level, name, std::move(entry));
  if (!S_ISREG(st.st_mode)) {
    entry.reason = "not_regular";
    entry.message = S_ISFIFO(st.st_mode)   ? "a pipe, not a file"
                    : S_ISSOCK(st.st_mode) ? "a socket, not a file"
                    : S_ISDIR(st.st_mode)  ? "became a folder while it was listed"
                                           : "a device, not a file";
  }
  return entry;
}

FileListing::FileListing(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FileListing::~FileListing() = default;

Result<std::unique_ptr<FileListing>> FileListing::Open(const FileSource& source, std::size_t window) {
  auto chooser = Chooser::Create(source);
  if (!chooser) return fail(chooser.error());
  auto impl = std::make_unique<Impl>(Impl{source, std::move(*chooser), std::max<std::size_t>(window, 1), {}, false});
  Level base;
  base.dir = ::opendir(source.base_path.c_str());
  if (base.dir == nullptr) return FailPath("cannot open the folder", source.base_path, errno);
  if (!source.only.empty()) {
    base.names.push_back({EncodePath(source.only), source.only, false});
  } else if (auto r = impl->Fill(base); !r) {
    return fail(r.error());
  }
  impl->levels.push_back(std::move(base));
  return std::unique_ptr<FileListing>(new FileListing(std::move(impl)));
}

Result<std::vector<FileEntry>> FileListing::Next(std::size_t max, std::stop_token stop) {
  std::vector<FileEntry> entries;
  auto& levels = impl_->levels;
  while (!levels.empty() && entries.size() < max) {
    if (stop.stop_requested()) return fail(ErrorCode::kCancelled, "listing was asked to stop");
    Level& level = levels.back();
    if (level.at == level.names.size()) {
      if (!level.more) {
        levels.pop_back();
        continue;
      }
      if (auto r = impl_->Fill(level); !r) return fail(ErrorCode::kIo, r.error().message);
      continue;
    }
    // Entering a folder may move the levels, so nothing of this one is referred to afterwards.
    const Name name = std::move(level.names[level.at++]);
    if (auto entry = impl_->Visit(level, name)) entries.push_back(std::move(*entry));
  }
  return entries;
}

Result<FileSource> ResolveFileSource(FileSource source) {
  if (auto chooser = Chooser::Create(source); !chooser) return fail(chooser.error());
  auto real = RealPath(source.base_path);
  if (!real) return fail(real.error());
  struct stat st {};
  if (::stat(real->c_str(), &st) != 0) return FailPath("cannot open", *real, errno);
  if (!S_ISDIR(st.st_mode)) {
    return fail(ErrorCode::kUnsupported, "'" + EncodePath(source.base_path) + "' is not a folder");
  }
  source.base_path = std::move(*real);
  if (source.name.empty()) {
    source.name = EncodePath(source.base_path);
    if (!source.only.empty()) source.name += (source.base_path == "/" ? "" : "/") + EncodePath(source.only);
  }
  return source;
}

Result<FileSource> FileSourceOf(std::string_view input) {
  auto real = RealPath(std::string(input));
  if (!real) return fail(real.error());
  struct stat st {};
  if (::stat(real->c_str(), &st) != 0) return FailPath("cannot open", *real, errno);
  FileSource source;
  if (S_ISDIR(st.st_mode)) {
    source.base_path = *real;
  } else if (S_ISREG(st.st_mode)) {
    const std::size_t slash = real->rfind('/');
    source.base_path = slash == 0 ? "/" : real->substr(0, slash);
    source.only = real->substr(slash + 1);
  } else {
    return fail(ErrorCode::kUnsupported, "'" + EncodePath(input) + "' is neither a folder nor a regular file");
  }
  return ResolveFileSource(std::move(source));
}

OpenFile& OpenFile::operator=(OpenFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

OpenFile::~OpenFile() {
  if (fd_ >= 0) ::close(fd_);
}

namespace {

// Walks down from the base, one folder at a time, so that no link is ever followed; opens the last component with
// `flags`.
Result<OpenFile> Walk(const FileSource& source, std::string_view path, int flags) {
  OpenFile at(::open(source.base_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (at.fd() < 0) {
    const int number = errno;
    return fail(number == EACCES ? ErrorCode::kPermission : ErrorCode::kIo,
                "the source's folder '" + EncodePath(source.base_path) + "' cannot be opened: " + ErrnoText(number));
  }
  std::string_view rest = path;
  while (true) {
    const std::size_t slash = rest.find('/');
    const bool last = slash == std::string_view::npos;
    const std::string name = DecodePath(rest.substr(0, slash));
    if (name.empty() || name == "." || name == ".." || name.find_first_of(std::string_view("/\0", 2)) != name.npos) {
      return fail(ErrorCode::kNotFound, "'" + std::string(path) + "' is not the path of a file");
    }
    OpenFile next(::openat(at.fd(), name.c_str(), last ? flags | O_NOFOLLOW | O_CLOEXEC : kFolderFlags));
    if (next.fd() < 0) {
      const int number = errno == ELOOP || errno == ENXIO || errno == ENODEV ? ENOENT : errno;
      return FailPath("cannot open", DecodePath(path), number);
    }
    at = std::move(next);
    if (last) return at;
    rest.remove_prefix(slash + 1);
  }
}

}  // namespace

Result<OpenFile> OpenEntry(const FileSource& source, std::string_view path) {
  // Without blocking: a pipe that took the file's place must not hold us.
  MILLRACE_ASSIGN(OpenFile file, Walk(source, path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  struct stat st {};
  if (::fstat(file.fd(), &st) != 0) return FailPath("cannot look at", DecodePath(path), errno);
  if (!S_ISREG(st.st_mode))
    return fail(ErrorCode::kNotFound, "'" + std::string(path) + "' is no regular file any more");
  return file;
}

Result<FileStamp> StampOfEntry(const FileSource& source, std::string_view path) {
  MILLRACE_ASSIGN(const OpenFile file, Walk(source, path, O_PATH));
  return StampOf(file);
}

Result<FileStamp> StampOf(const OpenFile& file) {
  struct stat st {};
  if (::fstat(file.fd(), &st) != 0) return fail(ErrorCode::kIo, "cannot look at an open file: " + ErrnoText(errno));
  return StampOfStat(st);
}

Result<std::string> HashFile(const OpenFile& file, std::stop_token stop) {
  base::Sha256 digest;
  std::vector<char> buffer(64 << 10);
  for (off_t offset = 0;;) {
    if (stop.stop_requested()) return fail(ErrorCode::kCancelled, "reading was asked to stop");
    const ssize_t n = ::pread(file.fd(), buffer.data(), buffer.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(ErrorCode::kIo, "cannot read: " + ErrnoText(errno));
    if (n == 0) return digest.Hex().substr(0, 32);
    digest.Add({buffer.data(), static_cast<std::size_t>(n)});
    offset += n;
  }
}

}  // namespace millrace::documents
