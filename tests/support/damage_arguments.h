// Damage to a command line that leaves it one mostly: flags more or gone, values of other flags,
// values at the edges of what can be read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace crossval::testing {

struct FlagOfCommand {
  std::string name;                  // "--format"
  std::vector<std::string> choices;  // of its value, where it has a list
  bool is_switch = false;
};
struct CommandWords {
  std::string name;
  std::vector<FlagOfCommand> flags;
};

// Words of a command line, one a line, the command first. The same seed always gives the same
// damage.
std::string damaged_arguments(const std::string& good, const std::vector<CommandWords>& commands,
                              uint64_t seed);

}  // namespace crossval::testing
