#include "cli/pair_flags.h"

#include "backends/backends.h"
#include "cli/flags.h"

namespace crossval {

void add_pair_flags(CLI::App& command, PerTokenOptions& options) {
  add_model_flags(command, options.model);
  add_prompt_flags(command, options.prompt);
  command
      .add_option("--backend,--cpp-backend", options.backend,
                  "auto, " + backend_names() +
                      ", a build (llama:NAME, llama:DIR), a program's name; several as a,b,c, or "
                      "all that are ready")
      ->capture_default_str()
      ->type_name("NAME[,NAME...]");
  command.add_option("--engine", options.engine, "The other side: any name that --backend takes")
      ->capture_default_str()
      ->type_name("NAME");
  command
      .add_option("--backend-model", options.backend_model,
                  "The backend reads this file instead of --model, or this checkpoint's folder (" +
                      checkpoint_reader_names() + ")")
      ->type_name("FILE|DIR");
  add_tolerance_flags(command, options.cos_tol, options.gate, options.metrics,
                      options.last_positions);
  command.add_flag("--dump-ids", options.dump_ids, "Print the engine's ids and pieces");
  command.add_flag("--dump-cpp-ids", options.dump_backend_ids,
                   "Print the backend's ids and pieces");
  command.add_option("--receipt", options.receipt, "Write the JSON there as well")
      ->type_name("FILE");
}

}  // namespace crossval
