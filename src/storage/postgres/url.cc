#include "storage/postgres/url.h"

#include <libpq-fe.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <vector>

namespace millrace::storage::postgres {
namespace {

constexpr std::string_view kJdbc = "jdbc:";

// The parts of a URL's query that JDBC calls otherwise. What is not here has libpq's name or is refused by libpq.
std::string FromJdbc(std::string_view parameter) {
  const std::size_t equals = std::min(parameter.find('='), parameter.size());
  const std::string_view name = parameter.substr(0, equals);
  const std::string value(parameter.substr(std::min(equals + 1, parameter.size())));
  if (name == "ApplicationName") return "application_name=" + value;
  if (name == "connectTimeout" || name == "loginTimeout") return "connect_timeout=" + value;
  if (name == "tcpKeepAlive") return std::string("keepalives=") + (value == "false" ? "0" : "1");
  if (name == "ssl") return value == "false" ? "sslmode=disable" : "sslmode=require";
  return std::string(parameter);
}

std::string JdbcToLibpq(std::string_view url) {
  const std::size_t query = url.find('?');
  if (query == std::string_view::npos) return std::string(url);
  std::string out(url.substr(0, query));
  char separator = '?';
  for (std::size_t begin = query + 1; begin < url.size();) {
    const std::size_t end = std::min(url.find('&', begin), url.size());
    out += separator + FromJdbc(url.substr(begin, end - begin));
    separator = '&';
    begin = end + 1;
  }
  return out;
}

std::string Encoded(std::string_view text, std::string_view also_plain = "") {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || std::string_view("-._~").find(c) != std::string_view::npos ||
        also_plain.find(c) != std::string_view::npos) {
      out += c;
    } else {
      constexpr std::string_view kHex = "0123456789ABCDEF";
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

// A folder of Unix sockets and a list of hosts do not fit before the slash; libpq takes them as parameters too.
bool FitsAuthority(const std::string& host, const std::string& port) {
  return !host.empty() && host.find_first_of("/,:@") == std::string::npos && port.find(',') == std::string::npos;
}

std::string BuildUrl(const std::map<std::string, std::string>& keywords) {
  const auto get = [&](const char* name) {
    const auto found = keywords.find(name);
    return found == keywords.end() ? std::string() : found->second;
  };
  const std::string host = get("host");
  const std::string port = get("port");
  const bool authority = FitsAuthority(host, port);
  std::string url = "postgresql://";
  if (authority) {
    if (!get("user").empty()) url += Encoded(get("user")) + "@";
    url += host + (port.empty() ? "" : ":" + port);
  }
  url += "/" + Encoded(get("dbname"));
  char separator = '?';
  for (const auto& [name, value] : keywords) {
    if (name == "dbname" || name == "sslpassword" ||
        (authority && (name == "host" || name == "port" || name == "user")))
      continue;
    url += separator + name + "=" + Encoded(value, ",/:");
    separator = '&';
  }
  return url;
}

bool IsPortList(const std::string& port) {
  return std::all_of(port.begin(), port.end(), [](char c) { return (c >= '0' && c <= '9') || c == ','; });
}

// The text is not repeated: what is wrong with it may be how a password was written.
tl::unexpected<Error> Unreadable(std::string_view what) {
  return fail(ErrorCode::kInvalidArgument,
              "cannot read the PostgreSQL URL: " + std::string(what) +
                  "; write postgresql://user@host:5432/database and the password apart from it (storage.password), or "
                  "in it with every special character percent-encoded ('/' as %2F, '@' as %40)");
}

// libpq ends the user and password at the first '@' and the host at the first '/': with one of them plain in a password
// the rest of it would be taken for a host or a database, and shown as such.
bool HasStrayAt(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return false;
  std::string_view place = url.substr(scheme + 3);
  place = place.substr(0, place.find('?'));
  const std::size_t at = place.find('@');
  return at != std::string_view::npos && (place.find('@', at + 1) != std::string_view::npos || place.find('/') < at);
}

// libpq quotes what it could not read; only these of its complaints cannot quote a password.
std::string SafeComplaint(std::string_view complaint) {
  if (complaint.find("URI query parameter") != std::string_view::npos) {
    const std::size_t open = complaint.find('"');
    const std::size_t close = complaint.rfind('"');
    const std::string_view name = open == close ? std::string_view() : complaint.substr(open + 1, close - open - 1);
    const bool plain = std::all_of(name.begin(), name.end(),
                                   [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; });
    if (plain) return "it has a parameter '" + std::string(name) + "', which libpq does not know or which has no value";
    return "one of its parameters cannot be read";
  }
  if (complaint.find("percent-encoded") != std::string_view::npos)
    return "a percent sign is not followed by two digits";
  return "it is not well formed";
}

// "host = db": a keyword that libpq knows, and an equals sign after it.
bool BeginsWithKeyword(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\n\r\f\v";
  text.remove_prefix(std::min(text.find_first_not_of(kSpaces), text.size()));
  const std::size_t end = std::min(text.find_first_of("= \t\n\r\f\v"), text.size());
  const std::size_t equals = text.find_first_not_of(kSpaces, end);
  if (equals == std::string_view::npos || text[equals] != '=') return false;
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> known(PQconndefaults(), &PQconninfoFree);
  for (const PQconninfoOption* option = known.get(); option != nullptr && option->keyword != nullptr; ++option) {
    if (text.substr(0, end) == option->keyword) return true;
  }
  return false;
}

}  // namespace

std::string PercentEncoded(std::string_view text) { return Encoded(text); }

bool IsPostgresUrl(std::string_view text) {
  if (BeginsWithKeyword(text)) return true;
  if (text.starts_with(kJdbc)) text.remove_prefix(kJdbc.size());
  return text.starts_with("postgres://") || text.starts_with("postgresql://");
}

Result<Target> ParseUrl(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return Unreadable("it has a NUL byte");
  if (!IsPostgresUrl(text)) {
    return Unreadable("it does not begin with postgresql:// or postgres://");
  }
  std::string plain(text);
  if (text.starts_with(kJdbc)) plain = JdbcToLibpq(text.substr(kJdbc.size()));

  if (!BeginsWithKeyword(text) && HasStrayAt(plain))
    return Unreadable("it has an '@' that is not the one before the host");

  char* complaint = nullptr;
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(
      PQconninfoParse(plain.c_str(), &complaint), &PQconninfoFree);
  const std::unique_ptr<char, void (*)(void*)> complaint_owner(complaint, &PQfreemem);
  if (options == nullptr) return Unreadable(SafeComplaint(complaint == nullptr ? "" : complaint));

  Target target;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    if (std::string_view(option->keyword) == "password") {
      target.password = option->val;
    } else {
      target.keywords[option->keyword] = option->val;
    }
  }
  target.endpoint = {target.keywords["user"], target.keywords["host"], target.keywords["port"],
                     target.keywords["dbname"]};
  std::erase_if(target.keywords, [](const auto& entry) { return entry.second.empty(); });
  if (!IsPortList(target.endpoint.port)) return Unreadable("what stands after the host's colon is not a port number");
  target.url = BuildUrl(target.keywords);
  std::map<std::string, std::string> shown = target.keywords;
  std::erase_if(shown, [](const auto& entry) {
    return entry.first != "host" && entry.first != "port" && entry.first != "dbname";
  });
  target.display = BuildUrl(shown);
  return target;
}

}  // namespace millrace::storage::postgres
