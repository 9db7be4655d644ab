#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <optional>

#include "base/clock.h"
#include "base/try.h"
#include "cli/backend.h"
#include "cli/cli.h"

namespace millrace::cli {
namespace {

namespace json = base::json;

constexpr int kBatch = 5000;

struct CleanupOptions {
  std::string older_than = "7d";
  std::optional<std::string> dead_older_than;  // unset: dead letters stay
  bool yes = false, dry_run = false;
};

// In the order in which they are deleted: a run goes when its last job has.
struct Category {
  std::string_view name, title;
};
constexpr std::array<Category, 4> kCategories = {{{"finished_jobs", "finished jobs"},
                                                  {"dead_letters", "dead letters"},
                                                  {"runs", "runs without a job"},
                                                  {"workers", "worker rows"}}};

// What of one category is to go.
struct Part {
  Category category;
  std::string age;     // as the option says; empty: it stays
  std::string before;  // by the database's clock
  std::int64_t count = 0, deleted = 0;
};

Result<void> CheckAge(std::string_view option, const std::string& age) {
  const auto parsed = base::ParseDuration(age);
  if (!parsed) return fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", option, parsed.error().message));
  return {};
}

Result<void> Count(Backend& backend, Part& part) {
  if (part.age.empty()) return {};
  MILLRACE_ASSIGN(
      const json::object answer,
      backend.Get("/api/v1/cleanup", {{"category", std::string(part.category.name)}, {"older_than", part.age}}));
  part.before = Field(answer, "before");
  part.count = NumberField(answer, "count");
  return {};
}

// In batches, so that workers get their turns and it can be stopped at any moment: what is done is done.
Result<void> Delete(Backend& backend, Part& part, bool tell) {
  const bool bar = tell && IsTerminal(stderr);
  for (bool more = !part.age.empty(); more;) {
    auto answer =
        backend.Post("/api/v1/cleanup", {{"category", part.category.name}, {"before", part.before}, {"limit", kBatch}});
    if (!answer) {
      if (bar) fmt::print(stderr, "\r\033[K");
      return fail(answer.error().code, fmt::format("{}: after {} of {}: {}", part.category.title, Grouped(part.deleted),
                                                   Grouped(part.count), answer.error().message));
    }
    part.deleted += NumberField(*answer, "deleted");
    more = answer->at("more").as_bool();
    if (bar)
      fmt::print(stderr, "\r\033[K{}: {} of {}", part.category.title, Grouped(part.deleted), Grouped(part.count));
  }
  if (bar) fmt::print(stderr, "\r\033[K");
  return {};
}

void PrintParts(const std::vector<Part>& parts, bool applied) {
  Table table({"WHAT", "OLDER THAN", "BEFORE", applied ? "DELETED" : "WOULD GO"});
  table.AlignRight({3});
  for (const Part& part : parts) {
    const bool stays = part.age.empty();
    table.Add({std::string(part.category.title), stays ? "-" : part.age, stays ? "-" : part.before,
               stays ? "kept; --dead-older-than" : Grouped(applied ? part.deleted : part.count)});
  }
  table.Print();
}

json::object ToJson(const std::vector<Part>& parts, bool applied) {
  json::array list;
  for (const Part& part : parts) {
    json::object item{{"category", part.category.name}, {"kept", part.age.empty()}};
    if (!part.age.empty()) {
      item["older_than"] = part.age;
      item["before"] = part.before;
      item["count"] = part.count;
      item["deleted"] = part.deleted;
    }
    list.push_back(std::move(item));
  }
  return {{"dry_run", !applied}, {"categories", std::move(list)}};
}

int Cleanup(const Cli& cli, const CleanupOptions& options) {
  auto ages = CheckAge("--older-than", options.older_than);
  if (ages && options.dead_older_than) ages = CheckAge("--dead-older-than", *options.dead_older_than);
  if (!ages) return PrintError(ages.error().message, "millrace cleanup --help", kUsage);
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  auto backend = Backend::Open(*config, options.yes ? Intent::kChange : Intent::kLook, "millrace cleanup");
  if (!backend) return PrintError(backend.error());
  if (options.yes) (*backend)->ServeOthers();
  std::vector<Part> parts;
  for (const Category& category : kCategories)
    parts.push_back({category,
                     category.name == "dead_letters" ? options.dead_older_than.value_or("") : options.older_than, "", 0,
                     0});
  for (Part& part : parts) {
    if (auto counted = Count(**backend, part); !counted) return PrintError(counted.error());
  }
  for (Part& part : parts) {
    if (!options.yes) break;
    if (auto deleted = Delete(**backend, part, !cli.json); !deleted) return PrintError(deleted.error());
  }
  if (cli.json) {
    PrintJson(ToJson(parts, options.yes));
    return kOk;
  }
  PrintParts(parts, options.yes);
  if (!options.yes) Print("\nnothing was deleted: this was a dry run; the same with --yes deletes\n");
  return kOk;
}

}  // namespace

void AddCleanupCommand(CLI::App& app, Cli& cli) {
  auto options = std::make_shared<CleanupOptions>();
  CLI::App* cleanup =
      AddCommand(app, cli, "cleanup", "Delete what ended long ago; tells what would go unless --yes is given",
                 "  millrace cleanup                               what would go that is older than 7 days\n"
                 "  millrace cleanup --older-than 30d --yes        delete it\n"
                 "  millrace cleanup --dead-older-than 90d --yes   dead letters too\n",
                 Json::kYes, [&cli, options] { return Cleanup(cli, *options); });
  cleanup
      ->add_option("--older-than", options->older_than,
                   "Age of completed and cancelled jobs, runs and rows of workers that ended")
      ->capture_default_str();
  cleanup->add_option("--dead-older-than", options->dead_older_than, "Age of dead letters; without it they stay");
  CLI::Option* yes = cleanup->add_flag("--yes,--apply,--no-dry-run", options->yes, "Delete, in batches");
  cleanup->add_flag("--dry-run", options->dry_run, "Delete nothing, which is the default")->excludes(yes);
}

}  // namespace millrace::cli
