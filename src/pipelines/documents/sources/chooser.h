// Which paths belong to a source, by its patterns and extensions alone.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/error.h"
#include "pipelines/documents/sources/file_source.h"
#include "pipelines/documents/sources/glob.h"

namespace millrace::documents {

// Folders below the base and each other that are read; what is deeper is reported, not read.
inline constexpr std::size_t kMaxFolders = 128;

// The compiled choice of one source. Immutable and thread-safe. Paths are relative to the base, as bytes of the file
// system.
class Chooser {
 public:
  // kInvalidArgument for a pattern that is wrong.
  static Result<Chooser> Create(const FileSource& source);

  // Whether a file or folder is left out by name, whatever else asks for it.
  [[nodiscard]] bool Excludes(std::string_view path) const;
  // Whether a file is read when its folder is.
  [[nodiscard]] bool ChoosesFile(std::string_view path) const;
  // Whether a listing of the source comes to this path: none of its folders is left out, and it is chosen itself. A
  // path that ends in '/' is a folder's.
  [[nodiscard]] bool Lists(std::string_view path) const;

 private:
  static Result<void> CompileAll(const std::vector<std::string>& patterns, std::vector<Glob>& out);

  std::vector<Glob> include_, exclude_;
  std::vector<std::string> extensions_;
  std::string only_;
  bool recursive_ = true;
};

}  // namespace millrace::documents
