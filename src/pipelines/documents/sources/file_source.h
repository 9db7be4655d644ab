// The file source: documents of a folder on this machine, listed as a stream and opened without ever leaving the
// folder.
//
// Symbolic links are never followed, neither while listing nor while opening: a link to the inside names a file that is
// listed under its own name anyway, a link to the outside leaves the folder. Each is listed with the reason it was not
// read. So loops cannot occur and nobody can swap a link in between. Only base_path itself may be reached through
// links.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/error.h"
#include "pipelines/documents/sources/glob.h"

namespace millrace::documents {

struct FileSource {
  std::string name;                  // part of each document's id; without one, the base path (or the file's) is used
  std::string base_path;             // a folder, absolute once resolved; bytes as the system has them
  std::string only;                  // when not empty: just this file of base_path
  std::vector<std::string> include;  // patterns (Glob) of files; empty: all
  std::vector<std::string> exclude;  // patterns of files and folders; win over include
  std::vector<std::string> extensions;  // "pdf" or ".pdf", ASCII case ignored; empty: all
  bool recursive = true;
};

// One thing found in a folder. With a `reason` it cannot be read, and `message` says why to a person:
//   "link" (to the inside), "link_outside", "link_broken", "not_regular" (socket, device, ...), "vanished",
//   "unreadable" (a folder or its entry: permission, I/O), "too_deep" (a folder below 128 others).
struct FileEntry {
  std::string path;       // relative to the base, text of EncodePath; a folder (only ever with a reason) ends in '/'
  std::int64_t size = 0;  // bytes
  std::int64_t mtime_ns = 0;  // since the Unix epoch
  std::string reason, message;
};

// Makes a source of what a person typed: a folder, or a single file. Resolves the path and names the source after it.
// Fails with kNotFound, kPermission, kUnsupported (neither a folder nor a file), kIo; messages name the path.
Result<FileSource> FileSourceOf(std::string_view input);

// Checks a source and makes its base_path absolute and free of links. Fails as FileSourceOf, and with kInvalidArgument
// for a pattern that is wrong.
Result<FileSource> ResolveFileSource(FileSource source);

// The entries of a source in one pass, ordered by the bytes of their `path`. Memory is bounded by the depth of the
// tree: at most 65,536 names a level, however large its folders (very large ones are read several times). Files that
// come or go meanwhile may or may not be listed. Not thread-safe.
class FileListing {
 public:
  // `window`: names of one folder held at once. Fails with kNotFound, kPermission, kIo if base_path cannot be opened,
  // kInvalidArgument as ResolveFileSource.
  static Result<std::unique_ptr<FileListing>> Open(const FileSource& source, std::size_t window = 65536);
  ~FileListing();
  FileListing(const FileListing&) = delete;
  FileListing& operator=(const FileListing&) = delete;

  // The next `max` entries or fewer; none at the end. Fails with kCancelled when `stop` was requested, kIo if a folder
  // breaks off while it is read for a second time.
  Result<std::vector<FileEntry>> Next(std::size_t max, std::stop_token stop = {});

 private:
  struct Impl;
  explicit FileListing(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// A file open for reading; closes it.
class OpenFile {
 public:
  OpenFile() = default;
  explicit OpenFile(int fd) : fd_(fd) {}
  OpenFile(OpenFile&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  OpenFile& operator=(OpenFile&& other) noexcept;
  ~OpenFile();
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

struct FileStamp {
  std::int64_t size = 0;
  std::int64_t mtime_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

// Opens a regular file below the source's base, given an entry's path; no component may be a link. Fails with kNotFound
// (it vanished, or is no regular file of the folder any more), kPermission, kIo (also a base that is gone: the message
// says so).
Result<OpenFile> OpenEntry(const FileSource& source, std::string_view path);

// Size and modification time of a file that may not be opened for reading, by the rules of OpenEntry.
Result<FileStamp> StampOfEntry(const FileSource& source, std::string_view path);

// Size and modification time of an open file.
Result<FileStamp> StampOf(const OpenFile& file);

// SHA-256 of a file's bytes, 32 hex digits of it, comparable with ContentHash. Reads with a small buffer from offset 0
// and leaves the descriptor's offset alone. kIo, kCancelled.
Result<std::string> HashFile(const OpenFile& file, std::stop_token stop = {});

}  // namespace millrace::documents
