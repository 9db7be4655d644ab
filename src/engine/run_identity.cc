#include "engine/run_identity.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/hash.h"

namespace millrace::engine {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

// Length before content, so that no two different lists give the same text.
void Append(std::string& out, std::string_view text) {
  out += std::to_string(text.size());
  out += ':';
  out += text;
}

std::string Canonical(const SourceFields& source) {
  std::string text;
  for (const auto& [name, value] : source) {
    if (IsSecretField(name)) continue;
    Append(text, name);
    Append(text, WithoutCredentials(value));
  }
  return text;
}

}  // namespace

bool IsSecretField(std::string_view name) {
  const std::string lower = Lower(name);
  if (lower.ends_with("_env") || lower.ends_with("_file")) return false;
  constexpr std::array<std::string_view, 10> kMarks = {"password",   "passwd",   "secret",     "token",
                                                       "api_key",    "apikey",   "access_key", "access-key",
                                                       "credential", "signature"};
  if (lower == "auth" || lower == "authorization" || lower == "pwd") return true;
  return std::any_of(kMarks.begin(), kMarks.end(),
                     [&](std::string_view mark) { return lower.find(mark) != std::string::npos; });
}

std::string WithoutCredentials(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::string(url);
  const std::size_t host = scheme + 3;
  const std::size_t host_end = std::min(url.find_first_of("/?#", host), url.size());
  const std::size_t at = url.substr(host, host_end - host).rfind('@');
  std::string out(url.substr(0, host));
  out += url.substr(at == std::string_view::npos ? host : host + at + 1);
  const std::size_t query = out.find('?');
  if (query == std::string::npos) return out;
  const std::size_t fragment = std::min(out.find('#', query), out.size());
  std::string kept;
  for (std::size_t begin = query + 1; begin < fragment;) {
    const std::size_t end = std::min(out.find('&', begin), fragment);
    const std::string_view parameter = std::string_view(out).substr(begin, end - begin);
    if (!IsSecretField(parameter.substr(0, parameter.find('=')))) {
      kept += (kept.empty() ? "?" : "&") + std::string(parameter);
    }
    begin = end + 1;
  }
  return out.substr(0, query) + kept + out.substr(fragment);
}

std::string RunIdentity(std::string_view pipeline, const std::vector<SourceFields>& sources) {
  std::vector<std::string> texts;
  texts.reserve(sources.size());
  for (const SourceFields& source : sources) texts.push_back(Canonical(source));
  std::sort(texts.begin(), texts.end());
  std::string all;
  Append(all, pipeline);
  for (const std::string& text : texts) Append(all, text);
  return base::Sha256Hex(all).substr(0, 32);
}

}  // namespace millrace::engine
