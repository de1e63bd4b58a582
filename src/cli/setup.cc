// crossval setup: makes an installed engine usable, or gives a program of the user's own a name.
// Progress goes to stderr.
#include <fmt/format.h>

#include <cstdio>
#include <iostream>

#include "backends/build_worker.h"
#include "backends/python_setup.h"
#include "base/error.h"
#include "cli/commands.h"
#include "render/text.h"
#include "render/visible.h"

namespace crossval {
namespace {

struct SetupCommand {
  SetupOptions engine;
  std::vector<std::string> program;
  std::string python;
  bool quiet = false;
};

BackendStatus set_up(const SetupCommand& command) {
  const bool has_dir = !command.engine.dir.empty(), has_program = !command.program.empty();
  const Backend* row = find_backend(command.engine.backend);
  const bool is_python = row != nullptr && row->python() != nullptr;
  if (is_python ? has_dir || has_program : has_dir == has_program || !command.python.empty()) {
    bad_input(
        "bad_flags", "setup takes --dir, --program or, for " + python_names() + ", --python",
        "setup",
        "write: setup llama --dir DIR, setup NAME --program COMMAND, or: setup " + python_names());
  }
  SetupOptions options = command.engine;
  if (!command.quiet) {
    options.on_progress = [](const std::string& line) { std::cerr << visible_lines(line) << "\n"; };
  }
  if (is_python) {
    return setup_python({.backend = std::string(row->name),
                         .python = command.python,
                         .remember = options.remember,
                         .force = options.force,
                         .on_progress = options.on_progress});
  }
  return has_dir ? setup_backend(options)
                 : setup_program(options.backend, command.program, options.on_progress);
}

int run_setup(const SetupCommand& command) {
  try {
    const BackendStatus status = set_up(command);
    const std::string how = !command.engine.remember ? " (not remembered)"
                            : !status.build.empty()
                                ? fmt::format(" as {}:{}", status.name, status.build)
                                : "";
    const std::string text =
        fmt::format("{} {} is ready{}: {}", status.display_name, status.version, how, status.dir);
    std::fputs((visible(text) + "\n").c_str(), stdout);
    return 0;
  } catch (const Error& error) {
    std::cerr << error_text({error.code, error.what_, error.where, error.fix}, error.status, {});
    return static_cast<int>(error.status);
  }
}

}  // namespace

void add_setup(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand(
      "setup",
      "Builds the worker for an engine in DIR, makes an environment for one in Python, or names a "
      "program");
  command->footer(
      "Examples:\n"
      "  crossval setup llama --dir ~/llama.cpp\n"
      "  crossval setup llama --dir ~/llama.cpp-old --as old     then: --engine llama:old\n"
      "  crossval setup hf                                       transformers, in 6 GB of its own\n"
      "  crossval setup hf --python ~/venv/bin/python            or in an environment of yours\n"
      "  crossval setup mine --program python3 my_worker.py      then: --backend mine");
  const auto options = std::make_shared<SetupCommand>();
  command
      ->add_option("BACKEND", options->engine.backend,
                   library_names() + ", " + python_names() + "; or a name for --program")
      ->required();
  command->add_option("--dir", options->engine.dir, "The engine's folder")->type_name("DIR");
  command
      ->add_option("--python", options->python,
                   "Of " + python_names() +
                       ": the Python whose packages it takes, or which makes its environment")
      ->type_name("PY");
  command->add_option("--as", options->engine.as, "Remember this build under a name")
      ->type_name("NAME");
  command
      ->add_option("--include", options->engine.include_dir,
                   "Folder of llama.h, when it is elsewhere")
      ->type_name("DIR");
  command->add_flag("!--no-default", options->engine.remember, "Build and probe, do not remember");
  command->add_flag("--force", options->engine.force,
                    "Build, or make an environment, again although it is up to date");
  command->add_flag("--quiet", options->quiet, "Nothing on stderr but errors");
  command
      ->add_option("--program", options->program,
                   "A program that speaks docs/protocol.md, with its arguments; comes last")
      ->type_name("COMMAND...");
  command->callback([options, &action] { action = [options] { return run_setup(*options); }; });
}

}  // namespace crossval
