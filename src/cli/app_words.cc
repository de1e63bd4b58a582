#include "cli/app_words.h"

#include <sstream>

namespace crossval {

std::vector<FlagWords> flags_of(const CLI::App& command) {
  std::vector<FlagWords> flags;
  for (const CLI::Option* option : command.get_options()) {
    FlagWords flag;
    for (const std::string& name : option->get_lnames()) flag.names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) flag.names.push_back("-" + name);
    if (flag.names.empty()) flag.positional = option->get_name();
    if (option->get_type_size() != 0) flag.type = option->get_type_name();
    flag.meaning = option->get_description();
    if (flag.type.find('|') != std::string::npos) {
      std::istringstream words(flag.type);
      for (std::string word; std::getline(words, word, '|');) flag.choices.push_back(word);
    }
    flags.push_back(std::move(flag));
  }
  return flags;
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  std::vector<const CLI::App*> commands;
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    if (!command->get_group().empty()) commands.push_back(command);
  }
  return commands;
}

}  // namespace crossval
