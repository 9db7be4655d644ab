#include "pipelines/documents/sources/chooser.h"

#include <algorithm>
#include <cctype>

#include "base/try.h"

namespace millrace::documents {
namespace {

bool EndsWithExtension(std::string_view name, std::string_view extension) {
  if (extension.starts_with('.')) extension.remove_prefix(1);
  if (name.size() < extension.size() + 2 || name[name.size() - extension.size() - 1] != '.') return false;
  return std::equal(extension.begin(), extension.end(), name.end() - static_cast<std::ptrdiff_t>(extension.size()),
                    [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
}

bool AnyMatches(const std::vector<Glob>& globs, std::string_view path) {
  return std::any_of(globs.begin(), globs.end(), [&](const Glob& glob) { return glob.Matches(path); });
}

}  // namespace

Result<void> Chooser::CompileAll(const std::vector<std::string>& patterns, std::vector<Glob>& out) {
  for (const std::string& pattern : patterns) {
    MILLRACE_ASSIGN(Glob glob, Glob::Compile(pattern));
    out.push_back(std::move(glob));
  }
  return {};
}

Result<Chooser> Chooser::Create(const FileSource& source) {
  Chooser chooser;
  chooser.extensions_ = source.extensions;
  chooser.only_ = source.only;
  chooser.recursive_ = source.recursive;
  MILLRACE_TRY(CompileAll(source.include, chooser.include_));
  MILLRACE_TRY(CompileAll(source.exclude, chooser.exclude_));
  return chooser;
}

bool Chooser::Excludes(std::string_view path) const { return AnyMatches(exclude_, path); }

bool Chooser::ChoosesFile(std::string_view path) const {
  if (Excludes(path) || (!include_.empty() && !AnyMatches(include_, path))) return false;
  return extensions_.empty() ||
         std::any_of(extensions_.begin(), extensions_.end(), [&](const auto& e) { return EndsWithExtension(path, e); });
}

bool Chooser::Lists(std::string_view path) const {
  if (!only_.empty()) return path == only_;
  std::size_t folders = 0;
  for (std::size_t at = path.find('/'); at != std::string_view::npos; at = path.find('/', at + 1)) {
    if (!recursive_ || ++folders >= kMaxFolders || Excludes(path.substr(0, at))) return false;
  }
  return path.ends_with('/') || ChoosesFile(path);
}

}  // namespace millrace::documents
