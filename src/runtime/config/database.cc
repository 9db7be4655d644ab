// Which database the settings name, and how to reach it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/json.h"
#include "engine/run_identity.h"
#include "runtime/config/loader.h"
#include "storage/open.h"

namespace millrace::runtime {
namespace {

// One keyword of libpq's form: key='value'.
std::string Keyword(std::string_view key, std::string_view value) {
  std::string out = fmt::format("{}='", key);
  for (const char c : value) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

constexpr std::array<std::string_view, 13> kPostgresKeys = {
    "storage.host",         "storage.port",         "storage.database",      "storage.user",   "storage.sslmode",
    "storage.password",     "storage.password_env", "storage.password_file", "storage.schema", "storage.pool_size",
    "storage.max_overflow", "storage.pool_timeout", "storage.pool_recycle",
};

}  // namespace

// Leaves what is effective in storage.backend and Config::database, whoever named it, or says why there is none.
void ConfigLoader::ResolveDatabase() {
  Setting& url = Find("storage.url");
  Setting& path = Find("storage.path");
  Setting& backend = Find("storage.backend");
  if (url.origin.kind == OriginKind::kFile && url.value.empty()) url.origin = {};
  const bool both = url.origin.kind == OriginKind::kFile && path.origin.kind == OriginKind::kFile;
  if (both) Problem(url, fmt::format("storage.path is set too (in {}); keep one of them", path.origin.Text()));
  const bool has_url = url.origin.kind != OriginKind::kDefault;
  const bool postgres = has_url ? storage::NamesPostgres(url.value) : backend.value == "postgresql";
  if (has_url && backend.origin.kind == url.origin.kind && (backend.value == "postgresql") != postgres)
    Problem(backend, fmt::format("is {}, but storage.url names {}", backend.value, postgres ? "PostgreSQL" : "a file"));
  if (postgres) {
    ResolvePostgres(has_url);
  } else {
    ResolveFile(has_url);
  }
  if (has_url) backend.origin = url.origin;
  backend.value = postgres ? "postgresql" : "sqlite";
  if (!postgres) WarnOfUnused();
}

// Leaves the SQLite file in storage.path.
void ConfigLoader::ResolveFile(bool has_url) {
  Setting& url = Find("storage.url");
  Setting& path = Find("storage.path");
  if (!has_url) {
    if (path.value.empty()) Problem(path, "must not be empty");
    config_.database_ = path.value;
    return;
  }
  std::string_view text = url.value;
  if (text.starts_with("jdbc:")) text.remove_prefix(5);
  if (text.starts_with("sqlite:")) text.remove_prefix(7);
  if (text.starts_with("//")) text.remove_prefix(2);
  if (text.find("://") != std::string_view::npos || text.empty()) {
    Problem(url, text.empty() ? "names no file" : "is neither a path nor a sqlite: or postgresql:// address");
    return;
  }
  config_.database_ = path.value = std::string(text);
  path.origin = url.origin;
  url.value.clear();
  url.origin = {};
}

void ConfigLoader::ResolvePostgres(bool has_url) {
  const auto value = [this](std::string_view key) -> const std::string& { return Find(key).value; };
  if (has_url) {
    config_.postgres_url_ = value("storage.url");
  } else if (value("storage.host").empty() || value("storage.database").empty()) {
    return Problem(Find("storage.backend"),
                   "is postgresql: give storage.url, or storage.host and storage.database, to say where");
  } else {
    std::string& url = config_.postgres_url_;
    url = Keyword("host", value("storage.host")) + " " + Keyword("port", value("storage.port")) + " " +
          Keyword("dbname", value("storage.database")) + " " + Keyword("sslmode", value("storage.sslmode"));
    if (!value("storage.user").empty()) url += " " + Keyword("user", value("storage.user"));
  }
  config_.database_ = has_url ? engine::WithoutCredentials(config_.postgres_url_)
                              : fmt::format("postgresql://{}:{}/{}", value("storage.host"), value("storage.port"),
                                            value("storage.database"));
  ResolvePassword();
}

// storage.password, or what password_env or password_file lead to. One in the URL is left to the driver.
void ConfigLoader::ResolvePassword() {
  config_.password_ = Find("storage.password").value;
  const Setting& variable = Find("storage.password_env");
  const Setting& file = Find("storage.password_file");
  if (!config_.password_.empty()) return;
  if (!variable.value.empty()) {
    const auto found = Variable(variable.value);
    if (!found) return Problem(variable, fmt::format("the environment variable {} is not set", variable.value));
    config_.password_ = *found;
  } else if (!file.value.empty()) {
    std::ifstream stream(file.value);
    if (!std::getline(stream, config_.password_))
      Problem(file, fmt::format("cannot read a line from {}: {}", file.value, std::strerror(errno)));
  }
}

// What says how to reach a PostgreSQL does nothing for a file.
void ConfigLoader::WarnOfUnused() {
  for (const std::string_view key : kPostgresKeys) {
    const Setting& setting = Find(key);
    if (setting.origin.kind == OriginKind::kDefault || setting.value == defaults_.at(setting.key)) continue;
    config_.warnings_.push_back(fmt::format("{} ({}) does nothing with SQLite", setting.key, setting.origin.Text()));
  }
}

}  // namespace millrace::runtime
