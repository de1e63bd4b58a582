// crossval compare: flags -> plan, result -> render.
#include "cli/commands.h"
#include "cli/cover.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "cli/terminal_progress.h"
#include "run/saved.h"

namespace crossval {
namespace {

int run_compare(const CompareOptions& options) {
  go_under_cover(options);
  TerminalProgress progress(options.common);
  Output output(options.common, options.receipt);
  return output.may_write() ? output.emit(compare_saved(options, progress))
                            : output.refuse(Report());
}

}  // namespace

void add_compare(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("compare", "The same comparison on two saved traces");
  command->footer("Example:\n  crossval compare old.safetensors new.safetensors --model m.gguf");
  const auto options = std::make_shared<CompareOptions>();
  command->add_option("A", options->a, "Trace of the engine")->required();
  command->add_option("B", options->b, "Trace of the backend")->required();
  command
      ->add_option("--model", options->model.model,
                   "The model both ran: measures its rounding noise, spells the tokens")
      ->type_name("FILE");
  add_tolerance_flags(*command, options->cos_tol, options->gate, options->metrics,
                      options->last_positions);
  command->add_option("--receipt", options->receipt, "Write the JSON there as well")
      ->type_name("FILE");
  add_sandbox_flag(*command, options->model.sandbox);
  add_common_flags(*command, options->common);
  command->callback([options, &action] { action = [options] { return run_compare(*options); }; });
}

}  // namespace crossval
