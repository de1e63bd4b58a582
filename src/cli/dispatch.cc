#include "cli/dispatch.h"

#include <algorithm>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include "base/closest.h"
#include "base/deadline.h"
#include "base/error.h"
#include "cli/app_words.h"
#include "cli/command_line.h"
#include "cli/last_words.h"
#include "cli/output.h"
#include "render/text.h"

namespace crossval {
namespace {

// Names that BitNet-rs uses for our commands, and the program's second name.
std::vector<std::string> with_aliases(int argc, char** argv) {
  std::vector<std::string> args(argv, argv + argc);
  const std::string program = args[0].substr(args[0].find_last_of('/') + 1);
  if (program == "crossval-per-token") args.insert(args.begin() + 1, "per-token");
  if (args.size() > 1) {
    if (args[1] == "preflight") args[1] = "backends";
    if (args[1] == "setup-cpp-auto") args[1] = "setup";
    if (args[1] == "parity-both") {
      args[1] = "per-token";
      const bool chosen = std::any_of(args.begin() + 2, args.end(), [](const std::string& arg) {
        return arg.starts_with("--backend=") || arg.starts_with("--cpp-backend") ||
               arg == "--backend";
      });
      if (!chosen) args.insert(args.begin() + 2, {"--backend", "bitnet,llama"});
    }
  }
  return args;
}

// The value of a flag among arguments that could not be parsed; "" = not there.
std::string value_of(const std::vector<std::string>& args, const std::string& flag) {
  for (size_t i = 1; i < args.size(); ++i) {
    if (args[i].starts_with(flag + "=")) return args[i].substr(flag.size() + 1);
    if (args[i] == flag && i + 1 < args.size()) return args[i + 1];
  }
  return "";
}

const CLI::App* command_of(const CLI::App& app, const std::vector<std::string>& args) {
  for (const CLI::App* command : commands_of(app)) {
    if (args.size() > 1 && command->get_name() == args[1]) return command;
  }
  return nullptr;
}

// What was probably meant by the first word that stands for nothing: a command, or a flag of the
// command; "" = nothing is near.
std::string meant(const CLI::App& app, const std::vector<std::string>& args) {
  if (args.size() < 2) return "";
  std::vector<std::string> names;
  const CLI::App* command = command_of(app, args);
  if (command == nullptr) {
    for (const CLI::App* one : commands_of(app)) names.push_back(one->get_name());
    return args[1].starts_with("-") ? "" : closest_word(args[1], names);
  }
  for (const FlagWords& flag : flags_of(*command)) {
    names.insert(names.end(), flag.names.begin(), flag.names.end());
  }
  for (const std::string& arg : args) {
    const std::string flag = arg.substr(0, arg.find('='));
    if (!flag.starts_with("--") || std::find(names.begin(), names.end(), flag) != names.end()) {
      continue;
    }
    return closest_word(flag, names);
  }
  return "";
}

// The command's own object with the error alone.
Result failed_result(const std::vector<std::string>& args, const Error& error) {
  Result result = Report();
  for (const Command& command : all_commands()) {
    if (args.size() > 1 && args[1] == command.name && command.empty != nullptr) {
      result = command.empty();
    }
  }
  set_error(result, error);
  return result;
}

CommonOptions asked_format(const std::vector<std::string>& args) {
  CommonOptions options;
  const std::string format = value_of(args, "--format");
  for (const Renderer& renderer : renderers()) {
    if (format == renderer.name) options.format = format;
  }
  return options;
}

bool asks_for_many(const std::vector<std::string>& args) {
  return !value_of(args, "--prompts").empty();
}

int report_failure(const std::vector<std::string>& args, const Error& error) {
  const CommonOptions options = asked_format(args);
  return Output(options, "", asks_for_many(args) ? Output::Results::many : Output::Results::one)
      .emit(failed_result(args, error));
}

LastWords last_words(const std::vector<std::string>& args, const Error& error) {
  const Result result = failed_result(args, error);
  const Renderer& renderer = find_renderer(asked_format(args).format);
  LastWords words;
  if (renderer.shows_errors) {
    words.out = renderer.render(result, {.one_line = asks_for_many(args)});
  }
  words.err = error_text(*error_of(result), error.status, {});
  return words;
}

Error no_memory() {
  return Error(Status::bad_input, "out_of_memory", "there is not enough memory for this",
               "the whole run", "free some, or take a smaller model or a shorter prompt");
}

void prepare_for_the_worst(const std::vector<std::string>& args) {
  const Error cut_short(Status::bad_input, "file_cut_short",
                        "a file was cut short while it was read", "the model, or a trace",
                        "let no other program write it, and start again");
  prepare_last_words({.sigbus = last_words(args, cut_short),
                      .deadline = last_words(args, deadline_error()),
                      .terminate = last_words(args, no_memory())});
}

// What nobody foresaw where it was thrown. Errors are caught by each command, with what was found
// before them.
template <typename Function>
int guarded(const std::vector<std::string>& args, const Function& function) {
  try {
    return function();
  } catch (const Error& error) {
    return report_failure(args, error);
  } catch (const std::bad_alloc&) {
    return report_failure(args, no_memory());
  } catch (const std::system_error& error) {  // no thread, for one
    return report_failure(args, Error(Status::bad_input, "system_error", error.what(),
                                      "the whole run", "see `ulimit -a`; try --threads 1"));
  } catch (const std::exception& error) {
    return report_failure(args, Error(Status::bad_input, "internal_error", error.what(),
                                      "the whole run", "this is a fault of crossval: report it"));
  }
}

// Flags that cannot be used: exit 3 with the same Error as everything else, in the asked format.
int report_bad_flags(const CLI::App& app, const std::vector<std::string>& args,
                     const std::string& what) {
  const std::string command = args.size() > 1 && args[1][0] != '-' ? args[1] : "";
  const bool known = command_of(app, args) != nullptr;
  const std::string like = meant(app, args);
  return report_failure(
      args, Error(Status::bad_input, "bad_flags",
                  known || command.empty() ? what : "there is no command '" + command + "'",
                  "command line",
                  (like.empty() ? "" : "did you mean '" + like + "'? ") + "see `crossval " +
                      (known ? command + " " : "") + "--help`"));
}

int run_with(const std::vector<std::string>& args, const Runner& run) {
  prepare_for_the_worst(args);
  Action action;
  const auto app = make_app(action);
  std::vector<const char*> argv;
  argv.reserve(args.size());
  for (const std::string& arg : args) argv.push_back(arg.c_str());
  try {
    app->parse(static_cast<int>(argv.size()), argv.data());
  } catch (const CLI::Success& help_or_version) {
    return app->exit(help_or_version);
  } catch (const CLI::ParseError& error) {
    return report_bad_flags(*app, args, error.what());
  }
  return run(action);
}

}  // namespace

int dispatch(int argc, char** argv, const Runner& run) {
  remember_command_line({argv, argv + argc});
  const std::vector<std::string> args = with_aliases(argc, argv);
  return guarded(args, [&] { return run_with(args, run); });
}

}  // namespace crossval
