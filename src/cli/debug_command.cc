#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/cli.h"
#include "cli/owner.h"
#include "cli/silent_owner.h"
#include "http/unix_client.h"

namespace millrace::cli {
namespace {

// Where to look when nobody can be asked here.
struct Hints {
  std::string nobody, postgres;
};

// What the owner of a file answers to GET `path`, printed.
int Show(const Cli& cli, const std::string& path, std::string_view what, const Hints& hints) {
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  if (config->IsPostgres())
    return PrintError(fmt::format("{} of a worker on PostgreSQL are not reached by its database", what),
                      hints.postgres);
  constexpr auto kPatience = std::chrono::seconds(10);
  http::UnixClient client(SocketOf(config->database()), PatientOptions(config->database(), kPatience));
  const auto response = client.Call({"GET", path, {}, ""});
  if (!response && response.error().code == ErrorCode::kTimeout)
    return PrintError(ExplainSilence(response.error(), config->database(), kPatience));
  if (!response) {
    return PrintError(fmt::format("no process answers for {}: {}", config->database(), response.error().message),
                      hints.nobody);
  }
  if (auto error = http::ErrorOf(*response)) return PrintError(*error);
  Print(response->body);
  return kOk;
}

}  // namespace

void AddDebugCommand(CLI::App& app, Cli& cli) {
  CLI::App* group = AddGroup(app, "debug", "Look inside a running process");
  AddCommand(*group, cli, "threads", "Every thread's stack in the process that owns the database",
             "  millrace debug threads --db ./millrace.db\n", Json::kNo, [&cli] {
               return Show(cli, "/api/v1/debug/threads", "threads",
                           {"kill -QUIT PID, which makes a worker print its threads itself",
                            "kill -QUIT PID, which prints them"});
             });
  AddCommand(*group, cli, "metrics", "What the process that owns the database tells a Prometheus",
             "  millrace debug metrics --db ./millrace.db\n", Json::kNo, [&cli] {
               return Show(cli, "/metrics", "metrics",
                           {"start a worker on that database, and ask while it runs",
                            "millrace monitor, which looks at the database itself"});
             });
}

}  // namespace millrace::cli
