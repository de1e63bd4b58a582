// crossval per-token: flags -> plan, result -> render.
#include "run/per_token.h"

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/terminal_progress.h"
#include "run/parity.h"

namespace crossval {

int run_per_token(const PerTokenOptions& options) {
  TerminalProgress progress(options.common);
  Output output(options.common, options.receipt);
  output.set_many(!options.prompt.prompts_file.empty());
  if (names_several_backends(options.backend)) {
    return compare_all_pairs(options, progress,
                             [&](ParityReport& report) { return output.emit(report); });
  }
  return compare_per_token(options, progress, [&](Report& report) { return output.emit(report); });
}

}  // namespace crossval
