#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "base/try.h"
#include "cli/backend.h"
#include "cli/cli.h"
#include "pipelines/documents/sources/path_text.h"

namespace millrace::cli {
namespace {

namespace json = base::json;

constexpr const char* kSources = "/api/v1/documents/sources";

Result<std::unique_ptr<Backend>> Open(const Cli& cli, Intent intent) {
  const auto config = cli.CheckedConfig();
  if (!config) return fail(config.error());
  return Backend::Open(*config, intent, "millrace sources");
}

int List(const Cli& cli) {
  auto backend = Open(cli, Intent::kLook);
  if (!backend) return PrintError(backend.error());
  const auto answer = (*backend)->Get(kSources);
  if (!answer) return PrintError(answer.error());
  if (cli.json) {
    PrintJson(*answer);
    return kOk;
  }
  Table table({"SOURCE", "DOCUMENTS", "FAILED", "ELEMENTS", "BYTES", "RUN", "WRITTEN", "PATH"});
  table.AlignRight({1, 2, 3, 4, 5});
  for (const json::value& value : answer->at("sources").as_array()) {
    const json::object& source = value.as_object();
    const std::string name = Field(source, "name"), path = Field(source, "path");
    table.Add({name, Grouped(NumberField(source, "documents")),
               Grouped(NumberField(source.at("by_status").as_object(), "failed")),
               Grouped(NumberField(source, "elements")), Grouped(NumberField(source, "bytes")),
               Field(source, "last_run"), Ago(Field(source, "last_written")), path == name ? "" : path});
  }
  if (table.empty()) {
    Print("no sources yet; read one: millrace run documents FOLDER\n");
  } else {
    table.Print();
  }
  return kOk;
}

// The path as sources have it, also of a folder that is not there any more.
std::string PathOf(const std::string& word) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::weakly_canonical(word, error);
  if (error) path = std::filesystem::absolute(word, error).lexically_normal();
  std::string text = path.string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return documents::EncodePath(text);
}

// The name of the source that a person means: by its name, else by its path.
Result<std::string> Resolve(const json::array& sources, const std::string& word) {
  std::vector<std::string> names, by_path;
  const std::string path = PathOf(word);
  for (const json::value& value : sources) {
    names.push_back(Field(value.as_object(), "name"));
    if (names.back() == word) return word;
    if (names.back() == path || Field(value.as_object(), "path") == path) by_path.push_back(names.back());
  }
  if (by_path.size() == 1) return by_path.front();
  if (by_path.size() > 1) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("'{}' is the path of several sources; name one: {}", word, fmt::join(by_path, ", ")));
  }
  return fail(ErrorCode::kNotFound, fmt::format("there is no source '{}'; known: {}", word,
                                                names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "))));
}

bool Confirmed(bool yes, const std::string& what) {
  if (yes) return true;
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

struct Total {
  std::int64_t documents = 0, elements = 0;
};

// Batch after batch. What an error finds removed stays removed.
Result<void> ForgetAll(Backend& backend, const std::string& name, Total& total) {
  while (true) {
    MILLRACE_ASSIGN(const json::object answer, backend.Post(std::string(kSources) + "/forget", {{"source", name}}));
    total.documents += NumberField(answer, "documents");
    total.elements += NumberField(answer, "elements");
    if (!answer.at("more").as_bool()) return {};
  }
}

int Forget(const Cli& cli, const std::string& word, bool yes) {
  auto backend = Open(cli, Intent::kChange);
  if (!backend) return PrintError(backend.error());
  const auto known = (*backend)->Get(kSources);
  if (!known) return PrintError(known.error());
  const auto name = Resolve(known->at("sources").as_array(), word);
  if (!name) return PrintError(name.error().message, "millrace sources list");
  if (!Confirmed(yes, fmt::format("removing all documents of the source '{}' from the database (no file is touched)",
                                  Printable(*name)))) {
    return kUsage;
  }
  (*backend)->ServeOthers();
  Total total;
  if (const auto done = ForgetAll(**backend, *name, total); !done) {
    if (total.documents > 0) PrintWarning(fmt::format("{} documents were removed before", Grouped(total.documents)));
    return PrintError(done.error());
  }
  if (cli.json) {
    PrintJson(json::object{{"source", *name}, {"documents", total.documents}, {"elements", total.elements}});
  } else {
    Print(fmt::format("forgot {}: {} documents, {} elements\n", Printable(*name), Grouped(total.documents),
                      Grouped(total.elements)));
  }
  return kOk;
}

}  // namespace

void AddSourcesCommand(CLI::App& app, Cli& cli) {
  CLI::App* group = AddGroup(app, "sources", "Look at the folders and files documents came from, forget one");
  auto name = std::make_shared<std::string>();
  auto yes = std::make_shared<bool>(false);
  RunByDefault(*group, cli, [&cli] { return List(cli); });
  AddCommand(*group, cli, "list", "List sources with what they hold", "  millrace sources list --json\n", Json::kYes,
             [&cli] { return List(cli); });
  CLI::App* forget = AddCommand(*group, cli, "forget", "Remove a source's documents from the database and from search",
                                "  millrace sources forget ~/papers         by its path, also when it is gone\n"
                                "  millrace sources forget handbook --yes   by its name in the configuration\n",
                                Json::kYes, [&cli, name, yes] { return Forget(cli, *name, *yes); });
  forget->add_option("NAME_OR_PATH", *name, "The source, as 'millrace sources list' shows it, or its path")->required();
  forget->add_flag("--yes", *yes, "Do not ask");
}

}  // namespace millrace::cli
