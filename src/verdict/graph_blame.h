// What the place where two engines' graphs part means: the cause, in words, and whether it comes
// before what was found by recomputing.
#pragma once

#include <vector>

#include "compare/graph_parting.h"
#include "verdict/trace_report.h"

namespace crossval {

struct TwoGraphs {
  std::vector<GraphNode> engine, backend;
  // Of the engine's taps: recomputed, and right. By their index.
  std::vector<bool> engine_is_right;
};

// Puts the parting first in the report when it lies before the first divergence found, or there is
// none. Nothing changes where the graphs end alike, or where they part by numbers alone although
// the operation is right in both: by rounding, such as another choice of experts.
void blame_parting(const TwoGraphs& graphs, TraceReport& report);

}  // namespace crossval
