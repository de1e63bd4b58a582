// crossval inspect: flags -> plan, result -> render.
#include "run/inspect.h"

#include "cli/commands.h"
#include "cli/cover.h"
#include "cli/flags.h"
#include "cli/output.h"

namespace crossval {
namespace {

struct InspectOptions {
  CommonOptions common;
  std::string model;
  std::string i2_s_layout = "auto";
  bool is_quick = false;
  Sandbox sandbox = Sandbox::automatic;
};

}  // namespace

void add_inspect(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand(
      "inspect", "Architecture, quantisation, vocabulary, tensors; whether native supports it");
  command->footer("Example:\n  crossval inspect m.gguf");
  const auto options = std::make_shared<InspectOptions>();
  command->add_option("MODEL", options->model, "GGUF model")->required()->type_name("FILE");
  command->add_flag("--quick", options->is_quick, "Do not look for NaN and Inf in the weights");
  add_format_flag(*command, options->common.format);
  add_sandbox_flag(*command, options->sandbox);
  add_i2_s_flag(*command, options->i2_s_layout);
  command->callback([options, &action] {
    action = [options] {
      go_under_cover(options->sandbox,
                     {.inputs = {options->model}, .outputs = {}, .engines = {}, .may_write = {}});
      return Output(options->common, "")
          .emit(inspect_model(options->model, options->i2_s_layout, !options->is_quick));
    };
  });
}

}  // namespace crossval
