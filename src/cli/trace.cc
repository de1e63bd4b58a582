// crossval trace: flags -> plan, result -> render.
#include "run/trace.h"

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/terminal_progress.h"

namespace crossval {

int run_trace(const TraceOptions& options) {
  TerminalProgress progress(options.run.common);
  TraceReport report = trace(options, progress);
  return Output(options.run.common, options.run.receipt).emit(report);
}

}  // namespace crossval
