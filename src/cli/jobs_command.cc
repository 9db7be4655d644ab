#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/backend.h"
#include "cli/checks.h"
#include "cli/cli.h"

namespace millrace::cli {
namespace {

namespace json = base::json;

struct JobsOptions {
  std::string state, queue, kind, tag, priority, cursor;
  std::int64_t run = 0;
  int limit = 50;
  std::vector<std::int64_t> ids;
};

std::string IdText(const json::object& job) { return Field(job, "id"); }

int List(const Cli& cli, const JobsOptions& options) {
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  auto backend = Backend::Open(*config, Intent::kLook, "millrace jobs");
  if (!backend) return PrintError(backend.error());
  std::map<std::string, std::string> query{{"limit", std::to_string(options.limit)},
                                           {"state", options.state},
                                           {"queue", options.queue},
                                           {"kind", options.kind},
                                           {"tag", options.tag},
                                           {"priority", options.priority},
                                           {"cursor", options.cursor}};
  if (options.run > 0) query["run"] = std::to_string(options.run);
  const auto answer = (*backend)->Get("/api/v1/jobs", query);
  if (!answer) return PrintError(answer.error());
  if (cli.json) {
    PrintJson(*answer);
    return kOk;
  }
  Table table({"ID", "KIND", "STATE", "QUEUE", "PRIORITY", "ATTEMPT", "AGE", "ABOUT", "INFO"});
  table.AlignRight({0, 5});
  for (const json::value& value : answer->at("jobs").as_array()) {
    const json::object& job = value.as_object();
    const std::string error = Field(job, "error");
    const bool waits = Field(job, "state") == job_state_name(JobState::kWaiting);
    const std::string info = waits           ? "waits for " + Field(job, "after")
                             : error.empty() ? Field(job, "progress_message")
                                             : error;
    table.Add({IdText(job), Field(job, "kind"), Field(job, "state"), Field(job, "queue"), Field(job, "priority"),
               Field(job, "attempt"), Ago(Field(job, "created_at")), Subject(job), Shorten(info, 80)});
  }
  if (table.empty()) {
    Print("no jobs\n");
    return kOk;
  }
  table.Print();
  const std::string cursor = Field(*answer, "next_cursor");
  if (!cursor.empty()) fmt::print(stderr, "more: the same with --cursor {}\n", cursor);
  return kOk;
}

int Show(const Cli& cli, std::int64_t id) {
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  auto backend = Backend::Open(*config, Intent::kLook, "millrace jobs");
  if (!backend) return PrintError(backend.error());
  const auto job = (*backend)->Get(fmt::format("/api/v1/jobs/{}", id));
  if (!job) return PrintError(job.error());
  if (cli.json) {
    PrintJson(*job);
    return kOk;
  }
  for (const auto& member : *job) {
    const std::string text = Field(*job, member.key());
    if (member.key() == "attempts" || text.empty()) continue;
    if (member.key() == "after" && member.value().as_array().empty()) continue;  // it waits for nobody
    Print(fmt::format("{:<18}{}\n", std::string(member.key()), Printable(text)));
  }
  for (const json::value& value : job->at("attempts").as_array()) {
    const json::object& attempt = value.as_object();
    Print(fmt::format("attempt {}: {} on {} from {} to {}: {}\n", Field(attempt, "attempt"), Field(attempt, "outcome"),
                      Printable(Field(attempt, "worker")), Field(attempt, "started_at"), Field(attempt, "finished_at"),
                      Printable(Field(attempt, "error"))));
  }
  return kOk;
}

// `what`: cancel or retry. Every id is tried; the first failure decides the status.
int Act(const Cli& cli, const std::vector<std::int64_t>& ids, const std::string& what) {
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  auto backend = Backend::Open(*config, Intent::kChange, "millrace jobs");
  if (!backend) return PrintError(backend.error());
  std::size_t failed = 0;
  json::array jobs;
  for (const std::int64_t id : ids) {
    auto job = (*backend)->Post(fmt::format("/api/v1/jobs/{}/{}", id, what));
    if (!job) {
      ++failed;
      PrintError(job.error());
      continue;
    }
    const bool asked = Field(*job, "state") == "running";
    if (!cli.json)
      Print(fmt::format("job {}: {}\n", id, asked ? "its worker was asked to stop it" : Field(*job, "state")));
    jobs.push_back(std::move(*job));
  }
  if (cli.json) PrintJson(json::object{{"jobs", std::move(jobs)}, {"failed", failed}});
  return failed == 0 ? kOk : failed == ids.size() ? kFailed : kPartial;
}

}  // namespace

void AddJobsCommand(CLI::App& app, Cli& cli) {
  CLI::App* group = AddGroup(app, "jobs", "Look at jobs, cancel them, start dead ones again");
  auto options = std::make_shared<JobsOptions>();
  RunByDefault(*group, cli, [&cli, options] { return List(cli, *options); });
  CLI::App* list =
      AddCommand(*group, cli, "list", "List jobs, oldest first",
                 "  millrace jobs list --state running,retryable\n  millrace jobs list --queue mail --json\n",
                 Json::kYes, [&cli, options] { return List(cli, *options); });
  list->add_option("--state", options->state, "States, with commas between them");
  list->add_option("--queue", options->queue, "Only this queue");
  list->add_option("--kind", options->kind, "Only this kind");
  list->add_option("--tag", options->tag, "Only jobs with this tag");
  list->add_option("--priority", options->priority, "Only this priority");
  list->add_option("--run", options->run, "Only jobs of this run")->check(IsId());
  list->add_option("--limit", options->limit, "At most so many")->check(IsPageSize())->capture_default_str();
  list->add_option("--cursor", options->cursor, "The page after this job")->check(IsId());
  CLI::App* show = AddCommand(*group, cli, "show", "Show one job with its attempts", "  millrace jobs show 42\n",
                              Json::kYes, [&cli, options] { return Show(cli, options->ids.front()); });
  show->add_option("ID", options->ids, "The job's id")->required()->expected(1)->check(IsId());
  CLI::App* cancel = AddCommand(*group, cli, "cancel", "Give up on jobs", "  millrace jobs cancel 42 43\n", Json::kYes,
                                [&cli, options] { return Act(cli, options->ids, "cancel"); });
  cancel->add_option("IDS", options->ids, "The jobs' ids")->required()->check(IsId());
  CLI::App* retry = AddCommand(*group, cli, "retry", "Start dead jobs again", "  millrace jobs retry 42\n", Json::kYes,
                               [&cli, options] { return Act(cli, options->ids, "retry"); });
  retry->add_option("IDS", options->ids, "The jobs' ids")->required()->check(IsId());
}

}  // namespace millrace::cli
