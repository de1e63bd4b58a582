// crossval run: flags -> plan, result -> render.
#include "backends/backends.h"
#include "cli/commands.h"
#include "cli/cover.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "cli/terminal_progress.h"
#include "run/single.h"

namespace crossval {
namespace {

int run_run(const RunOptions& options) {
  go_under_cover(options);
  TerminalProgress progress(options.common);
  Output output(options.common, "", results_of(options.prompt));
  output.also_writes("--save-trace", options.save_trace, OutputKind::trace);
  if (!output.may_write()) return output.refuse(RunReport());
  return run_alone(options, progress,
                   [&](RunReport& report) { return output.emit(std::move(report)); });
}

}  // namespace

void add_run(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("run", "One engine alone: its ids, top tokens per position, times");
  command->footer(
      "Examples:\n"
      "  crossval run --model m.gguf --prompt Hi --engine llama\n"
      "  crossval run --model m.gguf --prompt Hi --save-trace run.safetensors --taps '.*'");
  const auto options = std::make_shared<RunOptions>();
  add_model_flags(*command, options->model);
  add_prompt_flags(*command, options->prompt);
  command
      ->add_option("--engine", options->engine,
                   backend_names() + ", a build (llama:NAME, llama:DIR), a program's name")
      ->capture_default_str()
      ->type_name("NAME");
  command
      ->add_option("--save-trace", options->save_trace,
                   "Save the run as safetensors; with --prompts one file a prompt, FILE-0001, ...")
      ->type_name("FILE");
  command
      ->add_option("--taps", options->taps,
                   "Save the prompt's tensors whose names this expression finds ('.*' = all)")
      ->needs("--save-trace")
      ->type_name("REGEX");
  add_common_flags(*command, options->common);
  command->callback([options, &action] { action = [options] { return run_run(*options); }; });
}

}  // namespace crossval
