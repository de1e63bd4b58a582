#include "verdict/trace_routing.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace crossval {

void excuse_routing_ties(const std::vector<RoutingTie>& ties, TraceReport& report) {
  const Report& base = report.base;
  // Only where nothing was left unchecked: every operation, the graph, the parameters.
  const bool all_is_right = !report.first_divergence && report.parameters_checked && base.engine &&
                            !base.engine->numerics.empty() && report.n_replayed > 0 &&
                            report.coverage.missing.empty() && !report.coverage.is_incomplete();
  if (base.status != Status::diverged || !all_is_right || ties.empty()) return;
  // A tie reaches its own position and, by attention, all later ones; a little, for most of them
  // have to show that what is left is rounding.
  const RoutingTie& tie = ties.front();
  const auto diverged = [](const JudgedPosition& position) {
    return position.verdict == Verdict::diverged;
  };
  const auto n_diverged = std::ranges::count_if(base.positions, diverged);
  const auto first = std::ranges::find_if(base.positions, diverged);
  if (n_diverged == 0 || first->compared.index < tie.position ||
      2 * n_diverged > std::ssize(base.positions)) {
    return;
  }
  report.parts_by_rounding = true;
  report.base.remarks.push_back(fmt::format(
      "note: the logits part by rounding alone: {} to another expert, the first at position {} in "
      "layer {}, {} in place of {}, whose probabilities there are {:.4g} and {:.4g}",
      ties.size() == 1 ? "one token goes" : fmt::format("{} tokens go", ties.size()), tie.position,
      tie.layer, tie.backend_expert, tie.engine_expert, tie.other_probability,
      tie.engine_probability));
}

}  // namespace crossval
