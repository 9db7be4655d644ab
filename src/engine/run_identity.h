// What makes two pipeline runs the same work: a hash of the pipeline's name and its sources, without credentials.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::engine {

// A source as key and value, such as {"type","file"}, {"base_path","/srv/handbook"}.
using SourceFields = std::map<std::string, std::string>;

// Whether a field's name says it is a secret (password, token, secret, api_key, access_key, credential, auth): left out
// of identities, logs and shown configurations. Names ending in _env or _file name a place, not a secret.
bool IsSecretField(std::string_view name);

// `url` without user information and without query parameters that IsSecretField; text that is no URL is unchanged.
std::string WithoutCredentials(std::string_view url);

// 32 lower-case hex digits, equal for equal pipelines over equal sources; the order of sources does not count.
std::string RunIdentity(std::string_view pipeline, const std::vector<SourceFields>& sources);

}  // namespace millrace::engine
