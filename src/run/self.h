// crossval trace --self: one engine against itself, over the same ids under one setting after the
// other. Only prints of the first run's tensors are kept, and its logits in a file without a name.
#pragma once

#include "engine/tap.h"
#include "run/pair.h"
#include "run/plan.h"
#include "run/progress.h"
#include "verdict/trace_report.h"

namespace crossval {

// `pair` has compared the ids (report.base.tokens); its backend is closed on the way. Fills the
// taps of the first run, report.self and, where something is wrong, the first divergence.
void trace_self(const PerTokenOptions& options, const TapFilter& filter, Pair& pair,
                Progress& progress, TraceReport& report);

}  // namespace crossval
