#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/cli.h"
#include "cli/owner.h"
#include "cli/silent_owner.h"
#include "http/unix_client.h"

namespace millrace::cli {
namespace {

int Threads(const Cli& cli) {
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  if (config->IsPostgres()) {
    return PrintError("threads of a worker on PostgreSQL are not reached from outside",
                      "kill -QUIT PID, which prints them");
  }
  constexpr auto kPatience = std::chrono::seconds(10);
  http::UnixClient client(SocketOf(config->database()), PatientOptions(config->database(), kPatience));
  const auto response = client.Call({"GET", "/api/v1/debug/threads", {}, ""});
  if (!response && response.error().code == ErrorCode::kTimeout)
    return PrintError(ExplainSilence(response.error(), config->database(), kPatience));
  if (!response) {
    return PrintError(fmt::format("no process answers for {}: {}", config->database(), response.error().message),
                      "kill -QUIT PID, which makes a worker print its threads itself");
  }
  if (auto error = http::ErrorOf(*response)) return PrintError(*error);
  Print(response->body);
  return kOk;
}

}  // namespace

void AddDebugCommand(CLI::App& app, Cli& cli) {
  CLI::App* group = AddGroup(app, "debug", "Look inside a running process");
  AddCommand(*group, cli, "threads", "Every thread's stack in the process that owns the database",
             "  millrace debug threads --db ./millrace.db\n", Json::kNo, [&cli] { return Threads(cli); });
}

}  // namespace millrace::cli
