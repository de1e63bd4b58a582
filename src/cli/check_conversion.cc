// crossval check-conversion: flags -> plan, result -> render.
#include "conversion/check_conversion.h"

#include "cli/commands.h"
#include "cli/cover.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "cli/terminal_progress.h"

namespace crossval {
namespace {

struct ConversionOptions {
  CommonOptions common;
  std::string model, checkpoint, receipt;
  Sandbox sandbox = Sandbox::automatic;
};

}  // namespace

void add_check_conversion(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand(
      "check-conversion",
      "Whether a GGUF is what its Hugging Face checkpoint makes: keys, tokens, every weight");
  command->footer("Example:\n  crossval check-conversion m.gguf checkpoint/");
  const auto options = std::make_shared<ConversionOptions>();
  command->add_option("MODEL", options->model, "GGUF model")->required()->type_name("FILE");
  command
      ->add_option("CHECKPOINT", options->checkpoint,
                   "Folder with config.json, *.safetensors and the tokenizer's files")
      ->required()
      ->type_name("DIR");
  command->add_option("--receipt", options->receipt, "Write the JSON there as well")
      ->type_name("FILE");
  add_common_flags(*command, options->common);
  add_sandbox_flag(*command, options->sandbox);
  command->callback([options, &action] {
    action = [options] {
      Output output(options->common, options->receipt);
      if (!output.may_write()) return output.refuse(ConversionReport());
      go_under_cover(options->sandbox, {.inputs = {options->model, options->checkpoint},
                                        .outputs = {options->receipt},
                                        .engines = {},
                                        .may_write = {}});
      TerminalProgress progress(options->common);
      return output.emit(
          check_conversion({.model = options->model,
                            .checkpoint = options->checkpoint,
                            .n_threads = options->common.threads(),
                            .tell = [&](const std::string& what) { progress.stage(what); }}));
    };
  });
}

}  // namespace crossval
