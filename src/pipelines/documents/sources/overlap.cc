#include "pipelines/documents/sources/overlap.h"

#include <algorithm>

#include "base/try.h"
#include "pipelines/documents/sources/path_text.h"

namespace millrace::documents {
namespace {

// `path` relative to `base`, both absolute; nothing if it is not below it. Empty: the base itself.
std::optional<std::string_view> Below(std::string_view base, std::string_view path) {
  if (base == "/") return path.substr(1);
  if (!path.starts_with(base)) return std::nullopt;
  path.remove_prefix(base.size());
  if (path.empty()) return path;
  if (!path.starts_with('/')) return std::nullopt;
  return path.substr(1);
}

std::string Join(const std::string& base, std::string_view rest) {
  return base + (base.ends_with('/') || rest.empty() ? "" : "/") + std::string(rest);
}

bool SameChoice(const FileSource& a, const FileSource& b) {
  return a.base_path == b.base_path && a.only == b.only && a.include == b.include && a.exclude == b.exclude &&
         a.extensions == b.extensions && a.recursive == b.recursive;
}

bool Includes(const std::vector<std::string>& all, const std::vector<std::string>& some) {
  return std::all_of(some.begin(), some.end(),
                     [&](const std::string& one) { return std::find(all.begin(), all.end(), one) != all.end(); });
}

}  // namespace

bool IsNamedByPath(const FileSource& source) { return source.name == EncodePath(Join(source.base_path, source.only)); }

bool Covers(const FileSource& outer, const FileSource& inner) {
  if (SameChoice(outer, inner)) return true;
  if (!outer.only.empty()) return false;
  const auto below = Below(outer.base_path, inner.base_path);
  const auto chooser = Chooser::Create(outer);
  if (!below || !chooser) return false;
  const std::string folder = below->empty() ? "" : std::string(*below) + "/";
  if (!inner.only.empty()) return chooser->Lists(folder + inner.only);
  if (!folder.empty() && !chooser->Lists(folder)) return false;
  // A pattern that is anchored, or that inner does not leave out as well, may keep outer from something of inner.
  const bool anchored = std::any_of(outer.exclude.begin(), outer.exclude.end(),
                                    [](const std::string& pattern) { return pattern.find('/') != pattern.npos; });
  if (anchored && !folder.empty()) return false;
  return outer.include.empty() && outer.extensions.empty() && (outer.recursive || !inner.recursive) &&
         Includes(inner.exclude, outer.exclude);
}

std::vector<FileSource> WithoutCovered(std::vector<FileSource> sources) {
  std::vector<FileSource> kept;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    bool covered = false;
    for (std::size_t j = 0; j < sources.size() && !covered; ++j) {
      if (i == j || !Covers(sources[j], sources[i])) continue;
      covered = j < i || !Covers(sources[i], sources[j]);
    }
    if (!covered) kept.push_back(sources[i]);
  }
  return kept;
}

std::optional<std::string> PathIn(const FileSource& outer, const FileSource& inner, std::string_view path) {
  const std::string absolute = Join(inner.base_path, DecodePath(path));
  const auto below = Below(outer.base_path, absolute);
  if (!below) return std::nullopt;
  return EncodePath(*below);
}

Result<EarlierSources> EarlierSources::Of(std::span<const FileSource> sources, std::size_t at) {
  EarlierSources result;
  result.source_ = sources[at];
  const std::string& base = result.source_.base_path;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const FileSource& other = sources[i];
    const bool outer = Below(other.base_path, base) && (other.base_path != base || i < at);
    if (i == at || !outer) continue;
    MILLRACE_ASSIGN(Chooser chooser, Chooser::Create(other));
    result.earlier_.emplace_back(other, std::move(chooser));
  }
  return result;
}

bool EarlierSources::Have(std::string_view path) const {
  return std::any_of(earlier_.begin(), earlier_.end(), [&](const auto& earlier) {
    const auto below = PathIn(earlier.first, source_, path);
    return below && earlier.second.Lists(DecodePath(*below));
  });
}

}  // namespace millrace::documents
