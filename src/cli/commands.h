// One function a command: resolved options in, exit code out. Each prints its own result on stdout
// and turns every Error into its report; none throws.
#pragma once

#include "run/plan.h"

namespace crossval {

int run_per_token(const PerTokenOptions& options);
int run_trace(const TraceOptions& options);
int run_run(const RunOptions& options);
int run_compare(const CompareOptions& options);
int run_trace_diff(const CompareOptions& options);

}  // namespace crossval
