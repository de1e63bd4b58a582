// The last resort of a trace: every operation does what its inputs call for, and still the two runs
// end apart. Then some operation has the wrong inputs, or one is missing or too many.
#include <fmt/format.h>

#include <algorithm>

#include "verdict/trace_analysis.h"

namespace crossval {

void blame_leap(TraceReport& report) {
  // Flipped roundings of quantised activations lift the distance from 1e-7 to some per cent within
  // a few tensors (seen in runs of I2_S and Q4_1 models): a leap is told from that by its height
  // over everything before it, and only looked for where the logits are known to have parted.
  constexpr double quiet = 1e-6;
  double before = quiet, highest = 1;
  TapReport* leap = nullptr;
  for (TapReport& tap : report.taps) {
    const double distance = tap.rel_l2.value_or(0);
    if (distance / before > highest) {
      highest = distance / before;
      leap = &tap;
    }
    before = std::max(before, distance);
  }
  if (leap == nullptr) return;
  leap->verdict = TapVerdict::diverged;
  report.first_divergence = TraceDivergence{
      .tap = *leap,
      .position = leap->first_position,
      .cause = Cause::graph,
      .explanation = fmt::format(
          "every operation gives what its own inputs call for, yet here the two runs part: the "
          "distance leaps by a factor of {:.2g} to {:.2g}. The graph is not the one that {} "
          "computes: an operation is missing, is one too many, or reads something else",
          highest, *leap->rel_l2,
          report.base.engine ? report.base.engine->info.name : "the other side")};
  report.n_diverged = 1;
  add_fault(*leap, Cause::graph, report.first_divergence->explanation, report.faults);
}

}  // namespace crossval
