// crossval trace-diff: flags -> plan, result -> render.
#include "run/trace_diff.h"

#include "cli/commands.h"
#include "cli/cover.h"
#include "cli/flags.h"
#include "cli/output.h"

namespace crossval {

void add_trace_diff(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("trace-diff", "The captured tensors of two saved traces, one by one");
  command->footer("Example:\n  crossval trace-diff a.safetensors b.safetensors");
  const auto options = std::make_shared<CompareOptions>();
  command->add_option("A", options->a, "Trace of the engine")->required();
  command->add_option("B", options->b, "Trace of the backend")->required();
  command->add_option("--receipt", options->receipt, "Write the JSON there as well")
      ->type_name("FILE");
  add_sandbox_flag(*command, options->model.sandbox);
  add_common_flags(*command, options->common);
  command->callback([options, &action] {
    action = [options] {
      go_under_cover(*options);
      Output output(options->common, options->receipt);
      return output.may_write() ? output.emit(trace_diff(*options)) : output.refuse(TraceReport());
    };
  });
}

}  // namespace crossval
