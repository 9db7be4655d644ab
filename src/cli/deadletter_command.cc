#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "cli/backend.h"
#include "cli/checks.h"
#include "cli/cli.h"

namespace millrace::cli {
namespace {

namespace json = base::json;

constexpr int kMostDays = 36500;

struct DeadOptions {
  std::vector<std::int64_t> ids;
  std::string kind, queue, reason, cursor, file;
  std::int64_t run = 0;
  std::int64_t days = -1;
  int limit = 50;
  bool details = false, all = false, yes = false;
  // The commands written as flags.
  bool list_flag = false, analyze_flag = false;
  std::int64_t retry_run = 0, purge_days = -1;
};

std::map<std::string, std::string> Query(const DeadOptions& options) {
  std::map<std::string, std::string> query{
      {"kind", options.kind}, {"queue", options.queue}, {"reason", options.reason}};
  if (options.run > 0) query["run"] = std::to_string(options.run);
  return query;
}

Result<std::unique_ptr<Backend>> Open(const Cli& cli, Intent intent) {
  const auto config = cli.CheckedConfig();
  if (!config) return fail(config.error());
  return Backend::Open(*config, intent, "millrace deadletter");
}

void PrintAttempts(const json::object& job) {
  for (const json::value& value : job.at("attempts").as_array()) {
    const json::object& attempt = value.as_object();
    Print(fmt::format("      attempt {} {} at {} on {}: {}\n", Field(attempt, "attempt"), Field(attempt, "outcome"),
                      Field(attempt, "finished_at"), Printable(Field(attempt, "worker")),
                      Printable(Field(attempt, "error"))));
  }
}

int List(const Cli& cli, const DeadOptions& options) {
  auto backend = Open(cli, Intent::kLook);
  if (!backend) return PrintError(backend.error());
  auto query = Query(options);
  query["limit"] = std::to_string(options.limit);
  query["cursor"] = options.cursor;
  if (options.details) query["details"] = "true";
  const auto answer = (*backend)->Get("/api/v1/dead", query);
  if (!answer) return PrintError(answer.error());
  if (cli.json) {
    PrintJson(*answer);
    return kOk;
  }
  Table table({"ID", "KIND", "QUEUE", "REASON", "ATTEMPTS", "DIED", "ABOUT", "ERROR"});
  table.AlignRight({0, 4});
  const json::array& dead = answer->at("dead").as_array();
  for (const json::value& value : dead) {
    const json::object& job = value.as_object();
    table.Add({Field(job, "id"), Field(job, "kind"), Field(job, "queue"), Field(job, "reason"), Field(job, "attempt"),
               Ago(Field(job, "finished_at")), Subject(job),
               Shorten(Field(job, "error"), options.details ? 1000 : 90)});
  }
  if (table.empty()) {
    Print("no dead letters\n");
    return kOk;
  }
  table.Print();
  for (const json::value& value : dead) {
    if (!options.details) break;
    const json::object& job = value.as_object();
    Print(fmt::format("\n  {} {} args {}\n", Field(job, "id"), Printable(Field(job, "kind")),
                      Shorten(Printable(Field(job, "args")), 200)));
    PrintAttempts(job);
  }
  const std::string cursor = Field(*answer, "next_cursor");
  if (!cursor.empty()) fmt::print(stderr, "more: the same with --cursor {}\n", cursor);
  return kOk;
}

void PrintCounts(const json::object& analysis, std::string_view name, std::string_view key, std::string_view title) {
  Print(fmt::format("\n{}\n", title));
  std::size_t shown = 0;
  const json::array& counts = analysis.at(name).as_array();
  for (const json::value& value : counts) {
    if (++shown > 10) {
      Print(fmt::format("  {:>8}  others\n", counts.size() - 10));
      return;
    }
    Print(fmt::format("  {:>8}  {}\n", Grouped(NumberField(value.as_object(), "count")),
                      Printable(Field(value.as_object(), key))));
  }
}

int Analyze(const Cli& cli, const DeadOptions& options) {
  auto backend = Open(cli, Intent::kLook);
  if (!backend) return PrintError(backend.error());
  const auto analysis = (*backend)->Get("/api/v1/dead/analyze", Query(options));
  if (!analysis) return PrintError(analysis.error());
  if (cli.json) {
    PrintJson(*analysis);
    return kOk;
  }
  const std::int64_t total = NumberField(*analysis, "total");
  if (total == 0) {
    Print("no dead letters\n");
    return kOk;
  }
  Print(fmt::format("{} dead letters in {} groups\n", Grouped(total), analysis->at("groups").as_array().size()));
  std::size_t shown = 0;
  for (const json::value& value : analysis->at("groups").as_array()) {
    if (++shown > 20) break;
    const json::object& group = value.as_object();
    Print(fmt::format("\n{:>8}  {}  {}\n          {}\n", Grouped(NumberField(group, "count")),
                      Printable(Field(group, "kind")), Printable(Field(group, "reason")),
                      Printable(Field(group, "message"))));
    Print(fmt::format("          {} to {}, for example job {}\n", Field(group, "first"), Field(group, "last"),
                      base::ToJson(group.at("examples").as_array().at(0))));
    Print(fmt::format("          -> {}\n", Field(group, "suggestion")));
  }
  PrintCounts(*analysis, "by_reason", "reason", "By reason");
  PrintCounts(*analysis, "by_kind", "kind", "By kind");
  PrintCounts(*analysis, "by_source", "source", "By source");
  PrintCounts(*analysis, "by_hour", "hour", "By hour");
  return kOk;
}

// Asks on a terminal; elsewhere --yes must be given.
bool Confirmed(const DeadOptions& options, const std::string& what) {
  if (options.yes) return true;
  if (isatty(STDIN_FILENO) == 0 || isatty(STDERR_FILENO) == 0) {
    PrintError(fmt::format("{} needs a yes", what), "the same with --yes", kUsage);
    return false;
  }
  fmt::print(stderr, "{}? [y/N] ", what);
  const int answer = std::getchar();
  if (answer == 'y' || answer == 'Y') return true;
  fmt::print(stderr, "nothing was done\n");
  return false;
}

int SendRetry(const Cli& cli, const json::object& selection) {
  auto backend = Open(cli, Intent::kChange);
  if (!backend) return PrintError(backend.error());
  const auto answer = (*backend)->Post("/api/v1/dead/retry", selection);
  if (!answer) return PrintError(answer.error());
  const std::int64_t matched = NumberField(*answer, "matched");
  const std::int64_t retried = NumberField(*answer, "retried");
  const auto* missing = answer->if_contains("not_dead");
  const std::size_t not_dead = missing == nullptr ? 0 : missing->as_array().size();
  if (cli.json) {
    PrintJson(*answer);
  } else {
    Print(fmt::format("{} of {} dead letters start again\n", Grouped(retried), Grouped(matched)));
  }
  if (not_dead > 0)
    PrintError(fmt::format("not dead, or not there: {}", base::ToJson(*missing)), "millrace deadletter list");
  if (retried < matched) {
    PrintWarning(fmt::format("{} were left: an unfinished job has their unique key, or somebody else retried them",
                             matched - retried));
  }
  if (not_dead > 0 || retried < matched) return retried > 0 ? kPartial : kFailed;
  return kOk;
}

int Retry(const Cli& cli, const DeadOptions& options) {
  json::object selection;
  if (!options.ids.empty()) selection["ids"] = json::array(options.ids.begin(), options.ids.end());
  if (!options.kind.empty()) selection["kind"] = options.kind;
  if (!options.queue.empty()) selection["queue"] = options.queue;
  if (!options.reason.empty()) selection["reason"] = options.reason;
  if (options.run > 0) selection["run"] = options.run;
  if (options.all) selection["all"] = true;
  if (selection.empty()) {
    return PrintError("deadletter retry: which? IDS, --all, --kind, --queue, --reason or --run",
                      "millrace deadletter list", kUsage);
  }
  const bool bulk = options.ids.empty();
  if (bulk && !Confirmed(options, fmt::format("retrying every dead letter of {}", base::ToJson(selection))))
    return kUsage;
  return SendRetry(cli, selection);
}

int RetryRun(const Cli& cli, const DeadOptions& options, std::int64_t run) {
  if (!Confirmed(options, fmt::format("retrying every dead letter of run {}", run))) return kUsage;
  return SendRetry(cli, {{"run", run}});
}

int Purge(const Cli& cli, const DeadOptions& options, std::int64_t days) {
  if (!Confirmed(options, fmt::format("deleting every dead letter that died over {} days ago, with its history", days)))
    return kUsage;
  auto backend = Open(cli, Intent::kChange);
  if (!backend) return PrintError(backend.error());
  const auto answer = (*backend)->Post("/api/v1/dead/purge", {{"days", days}});
  if (!answer) return PrintError(answer.error());
  if (cli.json) {
    PrintJson(*answer);
  } else {
    Print(fmt::format("deleted {} dead letters\n", Grouped(NumberField(*answer, "purged"))));
  }
  return kOk;
}

// Writes page after page, so that memory does not grow with the number of dead letters. A file appears whole or not at
// all.
int Export(const Cli& cli, const DeadOptions& options) {
  auto backend = Open(cli, Intent::kLook);
  if (!backend) return PrintError(backend.error());
  const bool to_stdout = options.file == "-";
  const std::string draft = options.file + ".part";
  std::FILE* out = to_stdout ? stdout : std::fopen(draft.c_str(), "wbe");
  if (out == nullptr)
    return PrintError(fmt::format("{}: {}", draft, std::strerror(errno)), "another folder, or - for standard output");
  const auto failed = [&](const Error& error) {
    if (!to_stdout) {
      std::fclose(out);
      unlink(draft.c_str());
    }
    return PrintError(error);
  };
  std::int64_t count = 0;
  auto query = Query(options);
  query["details"] = "true";
  query["limit"] = "500";
  while (true) {
    const auto answer = (*backend)->Get("/api/v1/dead", query);
    if (!answer) return failed(answer.error());
    for (const json::value& job : answer->at("dead").as_array()) {
      const std::string line = base::ToJson(job) + "\n";
      if (std::fwrite(line.data(), 1, line.size(), out) != line.size()) {
        return failed({ErrorCode::kIo, fmt::format("{}: {}", options.file, std::strerror(errno))});
      }
      ++count;
    }
    query["cursor"] = Field(*answer, "next_cursor");
    if (query["cursor"].empty()) break;
  }
  if (to_stdout) return kOk;
  if (std::fclose(out) != 0 || std::rename(draft.c_str(), options.file.c_str()) != 0) {
    const int number = errno;
    unlink(draft.c_str());
    return PrintError(fmt::format("{}: {}", options.file, std::strerror(number)), "df -h");
  }
  if (cli.json) {
    PrintJson(json::object{{"exported", count}, {"file", options.file}});
  } else {
    Print(fmt::format("wrote {} dead letters to {}\n", Grouped(count), options.file));
  }
  return kOk;
}

void AddSelection(CLI::App& command, DeadOptions& options) {
  command.add_option("--kind", options.kind, "Only of this kind");
  command.add_option("--queue", options.queue, "Only of this queue");
  command.add_option("--reason", options.reason, "Only with this reason, such as encrypted or timeout");
  command.add_option("--run", options.run, "Only of this run")->check(IsId());
}

void AddListAndAnalyze(CLI::App& group, Cli& cli, const std::shared_ptr<DeadOptions>& options) {
  CLI::App* list =
      AddCommand(group, cli, "list", "List dead letters", "  millrace deadletter list --reason encrypted --details\n",
                 Json::kYes, [&cli, options] { return List(cli, *options); });
  AddSelection(*list, *options);
  list->add_flag("--details", options->details, "With args and every attempt");
  list->add_option("--limit", options->limit, "At most so many")->check(IsPageSize())->capture_default_str();
  list->add_option("--cursor", options->cursor, "The page after this job")->check(IsId());
  CLI::App* analyze = AddCommand(group, cli, "analyze", "Group dead letters by cause and suggest what to do",
                                 "  millrace deadletter analyze --json\n", Json::kYes,
                                 [&cli, options] { return Analyze(cli, *options); });
  AddSelection(*analyze, *options);
}

void AddChanges(CLI::App& group, Cli& cli, const std::shared_ptr<DeadOptions>& options) {
  CLI::App* retry =
      AddCommand(group, cli, "retry", "Start dead jobs again",
                 "  millrace deadletter retry 42 43\n  millrace deadletter retry --reason timeout --yes\n", Json::kYes,
                 [&cli, options] { return Retry(cli, *options); });
  AddSelection(*retry, *options);
  retry->add_option("IDS", options->ids, "The jobs' ids")->check(IsId());
  retry->add_flag("--all", options->all, "All of them");
  retry->add_flag("--yes", options->yes, "Do not ask");
  CLI::App* run =
      AddCommand(group, cli, "retry-run", "Start a run's dead jobs again", "  millrace deadletter retry-run 3 --yes\n",
                 Json::kYes, [&cli, options] { return RetryRun(cli, *options, options->run); });
  run->add_option("RUN", options->run, "The run's id")->required()->check(IsId());
  run->add_flag("--yes", options->yes, "Do not ask");
  CLI::App* purge = AddCommand(group, cli, "purge", "Delete dead letters older than so many days",
                               "  millrace deadletter purge 30 --yes\n", Json::kYes,
                               [&cli, options] { return Purge(cli, *options, options->days); });
  purge->add_option("DAYS", options->days, "Died over so many days ago; 0: all")
      ->required()
      ->check(CLI::Range(0, kMostDays));
  purge->add_flag("--yes", options->yes, "Do not ask");
  CLI::App* to_file = AddCommand(group, cli, "export", "Write dead letters with their attempts as JSON Lines",
                                 "  millrace deadletter export dead.jsonl\n", Json::kYes,
                                 [&cli, options] { return Export(cli, *options); });
  AddSelection(*to_file, *options);
  to_file->add_option("FILE", options->file, "The file; - is standard output")->required();
}

// `deadletter --list` and so on, for scripts that write it so.
int RunFlags(const Cli& cli, const DeadOptions& options) {
  if (options.list_flag) return List(cli, options);
  if (options.analyze_flag) return Analyze(cli, options);
  if (options.retry_run > 0) return RetryRun(cli, options, options.retry_run);
  if (options.purge_days >= 0) return Purge(cli, options, options.purge_days);
  return PrintError("deadletter: which? list, analyze, retry, retry-run, purge or export", "millrace deadletter --help",
                    kUsage);
}

}  // namespace

void AddDeadletterCommand(CLI::App& app, Cli& cli) {
  auto options = std::make_shared<DeadOptions>();
  CLI::App* group = AddCommand(app, cli, "deadletter", "Look at jobs that failed for good, and deal with them",
                               "  millrace deadletter analyze\n  millrace deadletter --retry-run 3 --yes\n", Json::kYes,
                               [] { return kUsage; });
  group->callback([&cli, options, group] {
    if (group->get_subcommands().empty()) cli.action = [&cli, options] { return RunFlags(cli, *options); };
  });
  group->add_flag("--list", options->list_flag, "As the command list");
  group->add_flag("--analyze", options->analyze_flag, "As the command analyze");
  group->add_option("--retry-run", options->retry_run, "As the command retry-run")->check(IsId());
  group->add_option("--purge", options->purge_days, "As the command purge")->check(CLI::Range(0, kMostDays));
  group->add_flag("--yes", options->yes, "Do not ask");
  group->add_flag("--details", options->details, "With --list: args and every attempt");
  AddListAndAnalyze(*group, cli, options);
  AddChanges(*group, cli, options);
}

}  // namespace millrace::cli
