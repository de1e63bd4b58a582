// The table of commands: one file each, which adds its flags and says what they do.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <span>

#include "verdict/result.h"

namespace crossval {

// What the command line asks for; returns the exit code.
using Action = std::function<int()>;

struct Command {
  const char* name;
  // Adds the command and its flags; when they are parsed, `action` is what is to be done.
  void (*add)(CLI::App& app, Action& action);
  // What its JSON is when nothing came of it; null: it prints none.
  Result (*empty)() = nullptr;
};
std::span<const Command> all_commands();

void add_per_token(CLI::App& app, Action& action);
void add_trace(CLI::App& app, Action& action);
void add_run(CLI::App& app, Action& action);
void add_compare(CLI::App& app, Action& action);
void add_trace_diff(CLI::App& app, Action& action);
void add_backends(CLI::App& app, Action& action);
void add_setup(CLI::App& app, Action& action);
void add_inspect(CLI::App& app, Action& action);
void add_check_conversion(CLI::App& app, Action& action);
void add_report(CLI::App& app, Action& action);
void add_completions(CLI::App& app, Action& action);
void add_man_page(CLI::App& app, Action& action);

// All of it, for help, man page and completions.
std::unique_ptr<CLI::App> make_app(Action& action);

}  // namespace crossval
