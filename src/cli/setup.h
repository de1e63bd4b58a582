// `crossval setup BACKEND --dir DIR`: makes an installed engine usable.
#pragma once

#include <string>

namespace crossval {

struct SetupCommand {
  std::string backend;
  std::string dir;
  std::string include_dir;  // --include, may be empty
  bool remember = true;     // --no-default turns it off
  bool force = false;       // --force
  bool quiet = false;
};

// Returns 0; throws Error (main prints it and returns its code). Progress goes to stderr.
int run_setup(const SetupCommand& command);

}  // namespace crossval
