#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/backend.h"
#include "cli/checks.h"
#include "cli/cli.h"

namespace millrace::cli {
namespace {

namespace json = base::json;

// Marks that no document is likely to contain (characters for private use), put around matches and replaced when
// printed.
constexpr std::string_view kBegin = "\uE000";
constexpr std::string_view kEnd = "\uE001";

struct SearchOptions {
  std::vector<std::string> words;
  std::string type, source, media_type;
  int limit = 10;
  int offset = 0;
};

void ReplaceAll(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

std::string Marked(const std::string& snippet, bool colours) {
  std::string out = Printable(snippet);
  ReplaceAll(out, kBegin, colours ? "\033[1;32m" : "[");
  ReplaceAll(out, kEnd, colours ? "\033[0m" : "]");
  return out;
}

void PrintHit(const json::object& hit, bool colours) {
  const std::string location = Field(hit, "location");
  // A source that is a single file is named after it.
  const std::string source = Field(hit, "source");
  const std::string path = source.ends_with("/" + Field(hit, "path")) ? source : source + "/" + Field(hit, "path");
  Print(fmt::format("{}{}{}{}  {}\n", colours ? "\033[1m" : "", Printable(path), colours ? "\033[0m" : "",
                    location.empty() ? "" : ": " + Printable(location), Field(hit, "type")));
  const std::string title = Field(hit, "title");
  if (!title.empty()) Print(fmt::format("    {}\n", Shorten(Printable(title), 100)));
  Print(fmt::format("    {}\n", Marked(Field(hit, "snippet"), colours)));
}

int Search(const Cli& cli, const SearchOptions& options) {
  const auto config = cli.CheckedConfig();
  if (!config) return PrintError(config.error());
  auto backend = Backend::Open(*config, Intent::kLook, "millrace search");
  if (!backend) return PrintError(backend.error());
  std::map<std::string, std::string> query{{"q", fmt::format("{}", fmt::join(options.words, " "))},
                                           {"limit", std::to_string(options.limit)},
                                           {"offset", std::to_string(options.offset)},
                                           {"type", options.type},
                                           {"source", options.source},
                                           {"media_type", options.media_type}};
  if (!cli.json) query.insert({{"mark_begin", std::string(kBegin)}, {"mark_end", std::string(kEnd)}});
  const auto answer = (*backend)->Get("/api/v1/documents/search", query);
  if (!answer) return PrintError(answer.error());
  if (cli.json) {
    PrintJson(*answer);
    return kOk;
  }
  const json::array& hits = answer->at("hits").as_array();
  for (const json::value& hit : hits) PrintHit(hit.as_object(), HasColours(stdout));
  if (hits.empty()) Print("nothing found\n");
  if (answer->at("more").as_bool())
    fmt::print(stderr, "more: the same with --offset {}\n", Field(*answer, "next_offset"));
  return kOk;
}

}  // namespace

void AddSearchCommand(CLI::App& app, Cli& cli) {
  auto options = std::make_shared<SearchOptions>();
  CLI::App* command = AddCommand(app, cli, "search", "Full-text search over all documents",
                                 "  millrace search '\"exact phrase\"'\n"
                                 "  millrace search invoice -draft --type table_cell\n"
                                 "  millrace search 'contract OR agreement' --media-type application/pdf --json\n",
                                 Json::kYes, [&cli, options] { return Search(cli, *options); });
  command
      ->add_option("QUERY", options->words,
                   "Words (all must stand in one element), \"phrase\", prefix*, -without, a OR b")
      ->required();
  // -word is part of the query, not a flag.
  command->allow_extras()->callback([&cli, options, command] {
    for (const std::string& extra : command->remaining()) options->words.push_back(extra);
    cli.action = [&cli, options] { return Search(cli, *options); };
  });
  command->add_option("--limit", options->limit, "At most so many hits")->check(IsPageSize())->capture_default_str();
  command->add_option("--offset", options->offset, "Leave out the first ones")
      ->check(CLI::Range(0, 100'000))
      ->capture_default_str();
  command->add_option("--type", options->type, "Only elements of this type, such as header, table_cell, csv_row");
  command->add_option("--source", options->source, "Only documents of this source");
  command->add_option("--media-type", options->media_type, "Only documents of this type, such as application/pdf");
}

}  // namespace millrace::cli
