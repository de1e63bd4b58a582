// Runs a program of the system's for `setup` (a compiler, Python, pip) to its end: it has our
// rights, and ends with us like any worker.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "worker/process.h"

namespace crossval {

struct CommandResult {
  ExitInfo exit;
  std::string output;  // what it wrote to both streams; of very much the beginning

  bool succeeded() const { return exit.signal == 0 && exit.exit_code == 0; }
};

// argv[0] is a path. `on_line` hears each line as it comes; may be empty.
CommandResult run_command(const std::vector<std::string>& argv,
                          const std::function<void(const std::string&)>& on_line = {});

// A program's path: itself where it is one, else where PATH has it, else as it was given.
std::string path_of_program(const std::string& program);

}  // namespace crossval
