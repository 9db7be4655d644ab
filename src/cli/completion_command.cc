// Shell completion, made from the commands and options themselves.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/cli.h"

namespace millrace::cli {
namespace {

struct Entry {
  std::string path;                // "jobs list", empty for the program itself
  std::vector<std::string> words;  // commands and options that may follow
};

void Collect(const CLI::App& app, const std::string& path, std::vector<Entry>& out) {
  Entry entry{path, {}};
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    entry.words.push_back(sub->get_name());
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) entry.words.push_back("--" + name);
  }
  out.push_back(std::move(entry));
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    Collect(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), out);
  }
}

// Prints what may follow the words typed so far: those that are commands lead to a case; what is no command (an
// argument) is left off until one is found.
std::string ShellFunction(const std::vector<Entry>& entries) {
  std::string cases;
  for (const Entry& entry : entries)
    cases += fmt::format("    \"{}\") echo \"{}\" ;;\n", entry.path, fmt::join(entry.words, " "));
  return "_millrace_case() {\n  case \"$1\" in\n" + cases +
         "    *) return 1 ;;\n  esac\n}\n"
         "_millrace_words() {\n  local at=\"\" word\n  for word in \"$@\"; do\n"
         "    case $word in -*) ;; *) at=\"${at:+$at }$word\" ;; esac\n  done\n"
         "  until _millrace_case \"$at\"; do\n    case $at in *' '*) at=\"${at% *}\" ;; *) at=\"\" ;; esac\n  "
         "done\n}\n";
}

std::string Bash(const std::vector<Entry>& entries) {
  return "# bash completion of millrace: source <(millrace completion bash)\n" + ShellFunction(entries) +
         "_millrace() {\n"
         "  COMPREPLY=($(compgen -W \"$(_millrace_words \"${COMP_WORDS[@]:1:COMP_CWORD-1}\")\" -- "
         "\"${COMP_WORDS[COMP_CWORD]}\"))\n"
         "}\ncomplete -o default -F _millrace millrace\n";
}

std::string Zsh(const std::vector<Entry>& entries) {
  return "#compdef millrace\n# zsh completion of millrace: source <(millrace completion zsh)\n" +
         ShellFunction(entries) +
         "_millrace() {\n  compadd -- ${(z)\"$(_millrace_words \"${words[@]:1:CURRENT-2}\")\"}\n}\n"
         "compdef _millrace millrace\n";
}

std::string Fish(const std::vector<Entry>& entries) {
  std::string out = "# fish completion of millrace: millrace completion fish | source\ncomplete -c millrace -f\n";
  for (const Entry& entry : entries) {
    std::string condition = entry.path.empty() ? "__fish_use_subcommand" : "";
    std::size_t at = 0;
    while (at < entry.path.size()) {
      const std::size_t space = std::min(entry.path.find(' ', at), entry.path.size());
      condition += fmt::format("{}__fish_seen_subcommand_from {}", condition.empty() ? "" : "; and ",
                               entry.path.substr(at, space - at));
      at = space + 1;
    }
    for (const std::string& word : entry.words) {
      const bool flag = word.starts_with("--");
      out += fmt::format("complete -c millrace -n '{}' {} {}\n", condition, flag ? "-l" : "-a",
                         flag ? word.substr(2) : word);
    }
  }
  return out;
}

}  // namespace

void AddCompletionCommand(CLI::App& app, Cli& cli) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = AddCommand(
      app, cli, "completion", "Print a shell's completion script",
      "  source <(millrace completion bash)\n  millrace completion fish | source\n", Json::kNo, [&cli, shell] {
        std::vector<Entry> entries;
        Collect(*cli.app, "", entries);
        Print(*shell == "bash" ? Bash(entries) : *shell == "zsh" ? Zsh(entries) : Fish(entries));
        return kOk;
      });
  command->add_option("SHELL", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
}

}  // namespace millrace::cli
