// crossval trace: flags -> plan, result -> render.
#include "run/trace.h"

#include "cli/commands.h"
#include "cli/cover.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "cli/pair_flags.h"
#include "cli/terminal_progress.h"

namespace crossval {
namespace {

int run_trace(const TraceOptions& options) {
  go_under_cover(options.run);
  TerminalProgress progress(options.run.common);
  Output output(options.run.common, options.run.receipt);
  return output.may_write() ? output.emit(trace(options, progress)) : output.refuse(TraceReport());
}

}  // namespace

void add_trace(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand(
      "trace", "The first tensor where they part: each recomputed from the backend's own inputs");
  command->footer(
      "Examples:\n"
      "  crossval trace --model m.gguf --prompt \"What is 2+2?\"\n"
      "  crossval trace --model m.gguf --prompt Hi --backend-model converted.gguf --layers 0-3\n"
      "  crossval trace --model m.gguf --prompt Hi --self");
  const auto options = std::make_shared<TraceOptions>();
  options->run.model.max_tokens = 0;
  add_pair_flags(*command, options->run);
  command->add_flag("--lift", options->lift,
                    "Both sides on a copy of the model dequantised to F32 (removed afterwards)");
  command->add_flag("--self", options->self,
                    "The backend against itself: which settings change its result, from where on");
  command
      ->add_option_function<std::string>(
          "--accept", [options](const std::string&) { options->accepts_unchecked = true; },
          "unchecked: products that could not be recomputed count as agreement, exit code 0")
      ->check(CLI::IsMember({"unchecked"}).description(""))
      ->type_name("unchecked");
  command->add_option("--layers", options->layers, "Only tensors of these layers")
      ->type_name("A-B");
  command->add_option("--taps", options->taps, "Only tensors whose name has a match (RE2)")
      ->type_name("REGEX");
  add_common_flags(*command, options->run.common);
  command->callback([options, &action] { action = [options] { return run_trace(*options); }; });
}

}  // namespace crossval
