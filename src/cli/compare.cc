// crossval compare: flags -> plan, result -> render.
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/terminal_progress.h"
#include "run/saved.h"

namespace crossval {

int run_compare(const CompareOptions& options) {
  TerminalProgress progress(options.common);
  Report report = compare_saved(options, progress);
  return Output(options.common, options.receipt).emit(report);
}

}  // namespace crossval
