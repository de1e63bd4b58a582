// What the place where two engines' graphs part means: the cause, in words, and whether it comes
// before what was found by recomputing.
#pragma once

#include <vector>

#include "compare/graph_parting.h"
#include "verdict/trace_report.h"

namespace crossval {

// GraphNode::is_right as far as `taps`, of the same side, tell.
void mark_right(const std::vector<TapReport>& taps, std::vector<GraphNode>& graph);

// Puts the parting first in the report when it lies before the first divergence found, or there is
// none. Where every operation is right in both and the graphs are alike, whatever parts their
// logits is rounding (parts_by_rounding). Both graphs' nodes are marked.
void blame_parting(const std::vector<GraphNode>& engine, const std::vector<GraphNode>& backend,
                   TraceReport& report);

}  // namespace crossval
