// A trace whose logits part because rounding sent tokens to other experts.
#pragma once

#include <vector>

#include "compare/routing.h"
#include "verdict/trace_report.h"

namespace crossval {

// Where nothing is wrong, native's graph is the same, and the logits part at some positions that a
// token reaches which went to another expert by rounding: sets report.parts_by_rounding, and says
// so in a remark.
void excuse_routing_ties(const std::vector<RoutingTie>& ties, TraceReport& report);

}  // namespace crossval
