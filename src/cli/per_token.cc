// crossval per-token: flags -> plan, result -> render.
#include "run/per_token.h"

#include "cli/commands.h"
#include "cli/cover.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "cli/pair_flags.h"
#include "cli/terminal_progress.h"
#include "run/parity.h"

namespace crossval {
namespace {

// A run that is compared must not be replaced by the one it is compared in.
void add_saved_traces(const PerTokenOptions& options, Output& output) {
  if (options.save_trace_dir.empty()) return;
  constexpr std::string_view recording = "trace:";
  std::vector<std::string> inputs;
  for (const std::string& engine : {options.engine, options.backend}) {
    if (engine.starts_with(recording)) inputs.push_back(engine.substr(recording.size()));
  }
  for (const char* name : {"engine", "backend"}) {
    output.also_writes("--save-trace", options.save_trace_dir + "/" + name + ".safetensors",
                       OutputKind::trace, inputs);
  }
}

int run_per_token(const PerTokenOptions& options) {
  go_under_cover(options);
  TerminalProgress progress(options.common);
  Output output(options.common, options.receipt, results_of(options.prompt));
  add_saved_traces(options, output);
  if (!output.may_write()) return output.refuse(Report());
  if (names_several_backends(options.backend)) {
    return compare_all_pairs(options, progress,
                             [&](ParityReport& report) { return output.emit(std::move(report)); });
  }
  return compare_per_token(options, progress,
                           [&](Report& report) { return output.emit(std::move(report)); });
}

}  // namespace

void add_per_token(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand(
      "per-token", "Both engines over one prompt: ids first, then the logits at every position");
  command->footer(
      "Examples:\n"
      "  crossval per-token --model m.gguf --prompt \"What is 2+2?\"\n"
      "  crossval per-token --model m.gguf --prompts prompts.jsonl --format junit > report.xml\n"
      "  crossval per-token --model m.gguf --prompt Hi --engine llama:old --backend llama:new");
  const auto options = std::make_shared<PerTokenOptions>();
  add_pair_flags(*command, *options);
  choice<Ladder>(command->add_option("--ladder", options->ladder, "How far to go"),
                 {{"tokens", Ladder::tokens},
                  {"first-logit", Ladder::first_logit},
                  {"positions", Ladder::positions},
                  {"decode", Ladder::decode}},
                 "tokens|first-logit|positions|decode");
  command
      ->add_option("--save-trace", options->save_trace_dir,
                   "Save both sides as safetensors for `compare` and Python")
      ->type_name("DIR");
  add_common_flags(*command, options->common);
  command->callback([options, &action] { action = [options] { return run_per_token(*options); }; });
}

}  // namespace crossval
