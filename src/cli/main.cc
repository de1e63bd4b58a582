// Dispatch: flags -> options of one command -> its function -> exit code. Nothing is computed here.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "backends/backends.h"
#include "base/error.h"
#include "cli/backends.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/inspect.h"
#include "cli/report.h"
#include "cli/setup.h"
#include "render/renderers.h"
#include "render/text.h"
#include "worker/process.h"

namespace crossval {
namespace {

using Action = std::function<int()>;

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

// Flags of per-token that trace shares.
void add_pair_flags(CLI::App& command, PerTokenOptions& options) {
  add_model_flags(command, options.model);
  add_prompt_flags(command, options.prompt);
  command
      .add_option("--backend,--cpp-backend", options.backend,
                  "auto, llama, bitnet, ik, native, worker:PATH, trace:FILE; several as a,b,c, or "
                  "all that are ready")
      ->capture_default_str()
      ->type_name("NAME[,NAME...]");
  command.add_option("--engine", options.engine, "The other side: native, any backend, trace:FILE")
      ->capture_default_str()
      ->type_name("NAME");
  command
      .add_option("--backend-model", options.backend_model,
                  "The backend reads this file instead of --model")
      ->type_name("FILE");
  add_tolerance_flags(command, options.cos_tol, options.gate, options.metrics,
                      options.last_positions);
  command.add_flag("--dump-ids", options.dump_ids, "Print the engine's ids and pieces");
  command.add_flag("--dump-cpp-ids", options.dump_backend_ids,
                   "Print the backend's ids and pieces");
  command.add_option("--receipt", options.receipt, "Write the JSON there as well")
      ->type_name("FILE");
}

void add_per_token(CLI::App& app, PerTokenOptions& options, Action& action) {
  CLI::App* command = app.add_subcommand(
      "per-token", "Both engines over one prompt: ids first, then the logits at every position");
  add_pair_flags(*command, options);
  command
      ->add_option("--ladder", options.ladder,
                   "Stop after: tokens, first-logit, positions, decode (default)")
      ->transform(CLI::CheckedTransformer(
                      std::map<std::string, Ladder>{{"tokens", Ladder::tokens},
                                                    {"first-logit", Ladder::first_logit},
                                                    {"positions", Ladder::positions},
                                                    {"decode", Ladder::decode}})
                      .description(""))
      ->type_name("RUNG");
  command
      ->add_option("--save-trace", options.save_trace_dir,
                   "Save both sides as safetensors for `compare` and Python")
      ->type_name("DIR");
  add_common_flags(*command, options.common);
  command->callback([&] { action = [&] { return run_per_token(options); }; });
}

void add_trace(CLI::App& app, TraceOptions& options, Action& action) {
  CLI::App* command = app.add_subcommand(
      "trace", "The first tensor where they part: each recomputed from the backend's own inputs");
  options.run.model.max_tokens = 0;
  add_pair_flags(*command, options.run);
  command->add_flag("--lift", options.lift,
                    "Both sides on a copy of the model dequantised to F32 (removed afterwards)");
  command->add_flag("--self", options.self,
                    "The backend against itself: which settings change its result, from where on");
  command->add_option("--layers", options.layers, "Only tensors of these layers")->type_name("A-B");
  command->add_option("--taps", options.taps, "Only tensors whose name has a match")
      ->type_name("REGEX");
  add_common_flags(*command, options.run.common);
  command->callback([&] { action = [&] { return run_trace(options); }; });
}

void add_run(CLI::App& app, RunOptions& options, Action& action) {
  CLI::App* command =
      app.add_subcommand("run", "One engine alone: its ids, top tokens per position, times");
  add_model_flags(*command, options.model);
  add_prompt_flags(*command, options.prompt);
  command->add_option("--engine", options.engine, "native, llama, bitnet, ik, worker:PATH")
      ->capture_default_str()
      ->type_name("NAME");
  command->add_option("--save-trace", options.save_trace, "Save the run as safetensors")
      ->type_name("FILE");
  command
      ->add_option("--taps", options.taps,
                   "Save the prompt's tensors whose names this expression finds ('.*' = all)")
      ->needs("--save-trace")
      ->type_name("REGEX");
  add_common_flags(*command, options.common);
  command->callback([&] { action = [&] { return run_run(options); }; });
}

void add_compare(CLI::App& app, CompareOptions& options, Action& action) {
  CLI::App* command = app.add_subcommand("compare", "The same comparison on two saved traces");
  command->add_option("A", options.a, "Trace of the engine")->required();
  command->add_option("B", options.b, "Trace of the backend")->required();
  add_tolerance_flags(*command, options.cos_tol, options.gate, options.metrics,
                      options.last_positions);
  command->add_option("--receipt", options.receipt, "Write the JSON there as well")
      ->type_name("FILE");
  add_common_flags(*command, options.common);
  command->callback([&] { action = [&] { return run_compare(options); }; });
}

void add_trace_diff(CLI::App& app, CompareOptions& options, Action& action) {
  CLI::App* command =
      app.add_subcommand("trace-diff", "The captured tensors of two saved traces, one by one");
  command->add_option("A", options.a, "Trace of the engine")->required();
  command->add_option("B", options.b, "Trace of the backend")->required();
  add_common_flags(*command, options.common);
  command->callback([&] { action = [&] { return run_trace_diff(options); }; });
}

void add_backends(CLI::App& app, BackendsOptions& options, Action& action) {
  CLI::App* command =
      app.add_subcommand("backends", "Each backend: ready, not set up, or broken and why");
  command->add_option("--format", "Result on stdout as text or json")
      ->check(CLI::IsMember({"text", "json"}).description(""))
      ->type_name("text|json")
      ->each([&options](const std::string& format) { options.json = format == "json"; });
  command->callback([&] { action = [&] { return run_backends(options); }; });
}

void add_setup(CLI::App& app, SetupCommand& options, Action& action) {
  CLI::App* command = app.add_subcommand(
      "setup", "Builds the worker for an engine that is installed or built in DIR, remembers it");
  command->add_option("BACKEND", options.backend, backend_names())->required();
  command->add_option("--dir", options.dir, "The engine's folder")->required()->type_name("DIR");
  command->add_option("--include", options.include_dir, "Folder of llama.h, when it is elsewhere")
      ->type_name("DIR");
  command->add_flag("!--no-default", options.remember, "Build and probe, do not remember");
  command->add_flag("--force", options.force, "Build again although it is up to date");
  command->add_flag("--quiet", options.quiet, "Nothing on stderr but errors");
  command->callback([&] {
    action = [&] {
      try {
        return run_setup(options);
      } catch (const Error& error) {
        std::cerr << error_text({error.code, error.what_, error.where, error.fix}, error.status,
                                {});
        return static_cast<int>(error.status);
      }
    };
  });
}

void add_inspect(CLI::App& app, InspectOptions& options, Action& action) {
  CLI::App* command = app.add_subcommand(
      "inspect", "Architecture, quantisation, vocabulary, tensors; whether native supports it");
  command->add_option("MODEL", options.model, "GGUF model")->required()->type_name("FILE");
  command->add_option("--format", "Result on stdout as text or json")
      ->check(CLI::IsMember({"text", "json"}).description(""))
      ->type_name("text|json")
      ->each([&options](const std::string& format) { options.json = format == "json"; });
  add_i2_s_flag(*command, options.i2_s_layout);
  command->callback([&] { action = [&] { return run_inspect(options); }; });
}

void add_report(CLI::App& app, ReportOptions& options, Action& action) {
  CLI::App* command = app.add_subcommand(
      "report", "Receipts (--receipt, or saved --format json) as one self-contained HTML page");
  command->add_option("RECEIPT", options.receipts, "JSON of per-token, trace or run")
      ->required()
      ->type_name("FILE...");
  command->add_option("-o,--output", options.output, "The page to write")
      ->required()
      ->type_name("FILE");
  command->add_flag("--quiet", options.quiet, "Nothing on stderr but errors");
  command->callback([&] { action = [&] { return run_report(options); }; });
}

bool wants_json(const std::vector<std::string>& args) {
  for (size_t i = 1; i < args.size(); ++i) {
    if (args[i] == "--format=json") return true;
    if (args[i] == "--format" && i + 1 < args.size() && args[i + 1] == "json") return true;
  }
  return false;
}

// Flags that cannot be used: exit 3 with the same Error as everything else.
int report_bad_flags(const std::vector<std::string>& args, const std::string& what) {
  const std::string command = args.size() > 1 && args[1][0] != '-' ? args[1] : "";
  const Error error(Status::bad_input, "bad_flags", what, "command line",
                    "see `crossval " + command + (command.empty() ? "" : " ") + "--help`");
  Report report;
  set_error(report, error);
  if (wants_json(args)) std::cout << find_renderer("json").per_token(report, {});
  std::cerr << error_text(*report.error, report.status, {});
  return report.exit_code();
}

extern "C" void on_interrupt(int signal_number) {
  kill_all_workers();
  std::signal(signal_number, SIG_DFL);
  std::raise(signal_number);
}

int main_with(const std::vector<std::string>& args) {
  CLI::App app{
      "crossval runs one prompt through an independent engine and through a reference engine\n"
      "(llama.cpp, bitnet.cpp, ...) and names the first token, and the first position, where they\n"
      "disagree: how much, and whether it matters.\n"
      "Exit codes: 0 agree, 1 diverged, 2 token_mismatch, 3 bad_input, 4 backend_failed.",
      "crossval"};
  app.set_version_flag("--version", "crossval " CROSSVAL_VERSION);
  app.require_subcommand(1);
  Action action;
  PerTokenOptions per_token;
  TraceOptions trace;
  RunOptions run;
  CompareOptions compare, trace_diff;
  BackendsOptions backends;
  SetupCommand setup;
  InspectOptions inspect;
  ReportOptions report;
  add_per_token(app, per_token, action);
  add_trace(app, trace, action);
  add_run(app, run, action);
  add_compare(app, compare, action);
  add_trace_diff(app, trace_diff, action);
  add_backends(app, backends, action);
  add_setup(app, setup, action);
  add_inspect(app, inspect, action);
  add_report(app, report, action);
  std::vector<const char*> argv;
  argv.reserve(args.size());
  for (const std::string& arg : args) argv.push_back(arg.c_str());
  try {
    app.parse(static_cast<int>(argv.size()), argv.data());
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForAllHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::ParseError& error) {
    return report_bad_flags(args, error.what());
  }
  return action();
}

}  // namespace
}  // namespace crossval

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGINT, crossval::on_interrupt);
  std::signal(SIGTERM, crossval::on_interrupt);
  return crossval::main_with(crossval::with_aliases(argc, argv));
}
