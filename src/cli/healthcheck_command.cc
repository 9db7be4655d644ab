#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/cli.h"
#include "cli/owner.h"
#include "cli/silent_owner.h"
#include "http/unix_client.h"

namespace millrace::cli {
namespace {

struct HealthOptions {
  bool ready = false;
  bool live = false;
};

// Whether the database can be reached and has the schema this program needs.
int CheckPostgres(const Cli& cli, const runtime::Config& config) {
  const auto owner = Owner::Open(config, "millrace healthcheck", Duration(0), Owner::Configure::kNo);
  if (!owner) return PrintError(owner.error());
  Print(cli.json ? "{\"status\":\"healthy\"}\n" : "healthy\n");
  return kOk;
}

// Asks the process that owns the database; without one there is nothing healthy. Never opens the database itself.
int Check(const Cli& cli, const HealthOptions& options) {
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  if (config->IsPostgres()) return CheckPostgres(cli, *config);
  http::UnixClient::Options limits;
  limits.timeout = std::chrono::seconds(5);
  limits.max_response = 1 << 20;
  http::UnixClient client(SocketOf(config->database()), limits);
  const std::string path = options.ready ? "/health/ready" : options.live ? "/health/live" : "/health";
  const auto response = client.Call({"GET", path, {}, ""});
  if (!response && response.error().code == ErrorCode::kTimeout)
    return PrintError(ExplainSilence(response.error(), config->database(), limits.timeout));
  if (!response) {
    return PrintError(fmt::format("no worker answers for {}: {}", config->database(), response.error().message),
                      "millrace worker --db " + config->database());
  }
  if (cli.json) {
    Print(response->body + "\n");
  } else {
    const auto body = base::ParseJson(response->body);
    const bool object = body && body->is_object();
    const std::string status = object ? Field(body->get_object(), "status") : "unknown";
    const std::string reason = object ? Field(body->get_object(), "reason") : "";
    Print(status + (reason.empty() ? "" : ": " + reason) + "\n");
  }
  return response->status == 200 ? kOk : kFailed;
}

}  // namespace

void AddHealthcheckCommand(CLI::App& app, Cli& cli) {
  auto options = std::make_shared<HealthOptions>();
  CLI::App* check =
      AddCommand(app, cli, "healthcheck", "Exit 0 when the process that owns the database is well, else 1",
                 "  millrace healthcheck --ready\n  HEALTHCHECK CMD [\"millrace\", \"healthcheck\", \"--live\"]\n",
                 Json::kYes, [&cli, options] { return Check(cli, *options); });
  CLI::Option* ready = check->add_flag("--ready", options->ready, "Whether it takes work");
  check->add_flag("--live", options->live, "Whether its loops make progress")->excludes(ready);
}

}  // namespace millrace::cli
