#include "cli/silent_owner.h"

#include <fmt/format.h>

#include <charconv>
#include <fstream>

#include "base/clock.h"
#include "cli/output.h"
#include "storage/sqlite/owner_lock.h"

namespace millrace::cli {
namespace {

// The number in "process 4711, ..."; 0 when there is none.
int PidOf(std::string_view owner) {
  constexpr std::string_view kBefore = "process ";
  int pid = 0;
  if (owner.starts_with(kBefore))
    (void)std::from_chars(owner.data() + kBefore.size(), owner.data() + owner.size(), pid);
  return pid;
}

// Stopped by a signal (SIGSTOP, Ctrl-Z) or by a debugger.
bool IsStopped(int pid) {
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(stat, text);
  const std::size_t name_end = text.rfind(')');  // the name before it may hold anything
  if (name_end == std::string::npos || name_end + 2 >= text.size()) return false;
  return text[name_end + 2] == 'T' || text[name_end + 2] == 't';
}

}  // namespace

std::string DescribeSilentOwner(const std::string& database) {
  const std::string owner = storage::sqlite::OwnerOf(database);
  const int pid = PidOf(owner);
  const std::string who = fmt::format("the owner of {} ({})", database, owner.empty() ? "not known" : owner);
  if (pid > 0 && IsStopped(pid)) return fmt::format("{} is stopped; `kill -CONT {}` lets it go on", who, pid);
  return fmt::format("{} does not answer; `millrace debug threads --db {}` shows what it does", who,
                     QuoteForShell(database));
}

http::UnixClient::Options PatientOptions(const std::string& database, Duration timeout) {
  http::UnixClient::Options options;
  options.timeout = timeout;
  options.notice = [database] { PrintWarning(DescribeSilentOwner(database)); };
  return options;
}

Error ExplainSilence(Error error, const std::string& database, Duration timeout) {
  if (error.code != ErrorCode::kTimeout) return error;
  return {ErrorCode::kTimeout,
          fmt::format("no answer in {}: {}", base::FormatDuration(timeout), DescribeSilentOwner(database))};
}

}  // namespace millrace::cli
