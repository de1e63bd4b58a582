// crossval run: flags -> plan, result -> render.
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/terminal_progress.h"
#include "run/single.h"

namespace crossval {

int run_run(const RunOptions& options) {
  TerminalProgress progress(options.common);
  Output output(options.common, "");
  output.set_many(!options.prompt.prompts_file.empty());
  return run_alone(options, progress, [&](RunReport& report) { return output.emit(report); });
}

}  // namespace crossval
