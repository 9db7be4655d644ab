// One file, one source: what happens when the folders of several sources overlap.
//
// A file that two sources would read belongs to the one with the outer folder; with the same folder, to the first.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pipelines/documents/sources/chooser.h"

namespace millrace::documents {

// Whether the source is named after the path it reads, as one that a person typed.
bool IsNamedByPath(const FileSource& source);

// Whether `outer` lists all that `inner` lists. Both are resolved. Never true when in doubt (other patterns, other
// extensions).
bool Covers(const FileSource& outer, const FileSource& inner);

// Leaves out sources that another one of the list covers (of two alike, the later).
std::vector<FileSource> WithoutCovered(std::vector<FileSource> sources);

// The path of `inner`'s entry in `outer`, both as EncodePath's text; nothing if it is not below `outer`'s base.
std::optional<std::string> PathIn(const FileSource& outer, const FileSource& inner, std::string_view path);

// The sources before one of a list that may have files of it. Immutable and thread-safe.
class EarlierSources {
 public:
  // Of `sources[at]`. kInvalidArgument for a wrong pattern.
  static Result<EarlierSources> Of(std::span<const FileSource> sources, std::size_t at);
  // Whether an entry of the source (EncodePath's text) belongs to one of them.
  [[nodiscard]] bool Have(std::string_view path) const;

 private:
  FileSource source_;
  std::vector<std::pair<FileSource, Chooser>> earlier_;
};

}  // namespace millrace::documents
