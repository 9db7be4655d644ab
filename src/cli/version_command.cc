#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/cli.h"
#include "cli/version.h"

#ifndef MILLRACE_VERSION
#define MILLRACE_VERSION "unknown"
#endif

namespace millrace::cli {

std::string Version() { return MILLRACE_VERSION; }

void AddVersionCommand(CLI::App& app, Cli& cli) {
  AddCommand(app, cli, "version", "Print the version", "", Json::kYes, [&cli] {
    if (cli.json) {
      PrintJson(base::json::object{{"name", "millrace"}, {"version", Version()}});
    } else {
      Print(fmt::format("millrace {}\n", Version()));
    }
    return kOk;
  });
  app.set_version_flag("--version", fmt::format("millrace {}", Version()));
}

}  // namespace millrace::cli
