// What help, man page and completions read off the CLI11 description: commands and their flags.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace crossval {

struct FlagWords {
  std::vector<std::string> names;  // "--format", "-o"; empty for a positional
  std::string positional;          // "MODEL"
  std::string type;                // "text|json", "FILE"; "" = a switch
  std::string meaning;
  std::vector<std::string> choices;  // of "text|json"
};
std::vector<FlagWords> flags_of(const CLI::App& command);

// The commands that help shows.
std::vector<const CLI::App*> commands_of(const CLI::App& app);

}  // namespace crossval
