// crossval completions SHELL: a script for bash, zsh or fish, made from the flags themselves.
#include <fmt/format.h>

#include <cstdio>

#include "cli/app_words.h"
#include "cli/commands.h"

namespace crossval {
namespace {

std::string joined(const std::vector<std::string>& words, const char* separator = " ") {
  return fmt::format("{}", fmt::join(words, separator));
}

std::string bash_script(const CLI::App& app) {
  std::vector<std::string> names;
  std::string cases, values;
  for (const CLI::App* command : commands_of(app)) {
    names.push_back(command->get_name());
    std::vector<std::string> flags;
    for (const FlagWords& flag : flags_of(*command)) {
      flags.insert(flags.end(), flag.names.begin(), flag.names.end());
      if (flag.choices.empty()) continue;
      values += fmt::format("    '{} '{}) words='{}' ;;\n", command->get_name(),
                            joined(flag.names, fmt::format("|'{} '", command->get_name()).c_str()),
                            joined(flag.choices));
    }
    cases += fmt::format("    {}) words='{}' ;;\n", command->get_name(), joined(flags));
  }
  return fmt::format(R"(# bash completion for crossval; `crossval completions bash` made it
_crossval() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} words=
  local command=${{COMP_WORDS[1]}}
  [ "${{COMP_WORDS[0]##*/}}" = crossval-per-token ] && command=per-token
  if [ "$COMP_CWORD" -eq 1 ] && [ "$command" != per-token ]; then
    COMPREPLY=($(compgen -W '{}' -- "$current"))
    return
  fi
  case "$command $previous" in
{}  esac
  if [ -z "$words" ] && [[ $current == -* ]]; then
    case "$command" in
{}    esac
  fi
  if [ -n "$words" ]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  else
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}}
complete -o filenames -F _crossval crossval crossval-per-token
)",
                     joined(names), values, cases);
}

// Single quotes end at a single quote.
std::string quoted(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out;
}

std::string zsh_script(const CLI::App& app) {
  std::string commands, cases;
  for (const CLI::App* command : commands_of(app)) {
    commands +=
        fmt::format("    '{}:{}'\n", command->get_name(), quoted(command->get_description()));
    std::string flags;
    for (const FlagWords& flag : flags_of(*command)) {
      for (const std::string& name : flag.names) {
        std::string meaning = quoted(flag.meaning);
        for (const char c : {'[', ']'}) {
          for (size_t at = 0; (at = meaning.find(c, at)) != meaning.npos; at += 2) {
            meaning.insert(at, 1, '\\');
          }
        }
        const std::string value = flag.type.empty()      ? ""
                                  : flag.choices.empty() ? ":value:_files"
                                                         : ":value:(" + joined(flag.choices) + ")";
        flags += fmt::format("        '{}[{}]{}' \\\n", name, meaning, value);
      }
    }
    cases += fmt::format("      {})\n        _arguments \\\n{}        '*:file:_files' ;;\n",
                         command->get_name(), flags);
  }
  return fmt::format(R"(#compdef crossval
# zsh completion for crossval; `crossval completions zsh` made it
_crossval() {{
  local -a commands
  commands=(
{}  )
  if (( CURRENT == 2 )); then
    _describe 'command' commands
  else
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
{}    esac
  fi
}}
_crossval "$@"
)",
                     commands, cases);
}

std::string fish_script(const CLI::App& app) {
  std::string out = "# fish completion for crossval; `crossval completions fish` made it\n";
  for (const CLI::App* command : commands_of(app)) {
    out += fmt::format("complete -c crossval -n __fish_use_subcommand -a {} -d '{}'\n",
                       command->get_name(), quoted(command->get_description()));
    for (const FlagWords& flag : flags_of(*command)) {
      for (const std::string& name : flag.names) {
        out += fmt::format(
            "complete -c crossval -n '__fish_seen_subcommand_from {}' {} {}{} -d '{}'\n",
            command->get_name(), name.starts_with("--") ? "-l" : "-s",
            name.substr(name.find_first_not_of('-')),
            flag.type.empty()      ? ""
            : flag.choices.empty() ? " -r"
                                   : " -x -a '" + joined(flag.choices) + "'",
            quoted(flag.meaning));
      }
    }
  }
  return out;
}

}  // namespace

void add_completions(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("completions", "A completion script for bash, zsh or fish on stdout");
  command->footer("Example:\n  source <(crossval completions bash)");
  const auto shell = std::make_shared<std::string>();
  command->add_option("SHELL", *shell, "The shell")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}).description(""))
      ->type_name("bash|zsh|fish");
  command->callback([shell, &app, &action] {
    action = [shell, &app] {
      const std::string script = *shell == "bash"  ? bash_script(app)
                                 : *shell == "zsh" ? zsh_script(app)
                                                   : fish_script(app);
      std::fputs(script.c_str(), stdout);
      return 0;
    };
  });
}

}  // namespace crossval
