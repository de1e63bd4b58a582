// What is wrong with an engine that is not like itself, as the first divergence of a trace.
#pragma once

#include <set>
#include <string>
#include <utility>

#include "verdict/trace_report.h"

namespace crossval {

// Name and operation; for nodes without a name, whose numbers differ from graph to graph, the
// weight.
using TapName = std::pair<std::string, std::string>;
TapName name_of(const TapReport& tap);

// The first tensor, in the order of the first run's graph, that is another in a later run.
struct FirstDifferent {
  int order = -1;  // -1 = there is none
  std::string name, op;
  int occurrence = 0, layer = -1, position = -1;
};

// The same work twice, with another result. `failed_before`: tensors that the first run computed
// wrong as well.
TraceDivergence explain_change(const SelfRow& row, const FirstDifferent& first,
                               const TraceReport& found, const std::set<TapName>& failed_before);
// A tensor that is wrong under this setting only.
TraceDivergence explain_fault(const SelfRow& row, const TapReport& failed, TraceReport& found);
// Logits that are not finite under this setting only; no operation shows where that began.
TraceDivergence explain_non_finite(const SelfRow& row);

}  // namespace crossval
