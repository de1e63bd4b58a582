// The first tensor where two engines part: preflight and token gate as per-token, then every tensor
// of the backend's graph recomputed from its own inputs; beside it, how far the two whole runs are
// apart at each tensor.
#pragma once

#include "run/plan.h"
#include "run/progress.h"
#include "verdict/trace_report.h"

namespace crossval {

// On an Error the report says so, and holds what was found before.
TraceReport trace(const TraceOptions& options, Progress& progress);

}  // namespace crossval
