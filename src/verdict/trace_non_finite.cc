// A trace of a model with a weight that is not a number: no operation can be blamed for it.
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "verdict/trace_analysis.h"

namespace crossval {

void blame_non_finite_weight(TraceReport& report) {
  const std::string& at = report.base.non_finite_weight;
  const std::string weight = at.substr(0, at.find('['));
  const auto reads_it = [&](const TapReport& tap) { return tap.weight == weight; };
  const auto place = std::ranges::find_if(report.taps, reads_it);
  if (place == report.taps.end()) return;
  if (report.first_divergence) {
    const TapReport& first = report.first_divergence->tap;
    const auto is_first = [&](const TapReport& tap) {
      return tap.tensor == first.tensor && tap.occurrence == first.occurrence &&
             tap.first_position == first.first_position;
    };
    if (std::ranges::find_if(report.taps, is_first) <= place) return;
  }
  place->verdict = TapVerdict::diverged;
  report.first_divergence = TraceDivergence{
      .tap = *place,
      .position = place->first_position,
      .cause = Cause::non_finite_weight,
      .explanation = fmt::format("the model file holds a NaN or Inf at {}: every engine that reads "
                                 "it computes with that",
                                 at)};
  report.n_diverged = std::max(report.n_diverged, 1);
  std::vector<TraceFault> faults;
  add_fault(*place, Cause::non_finite_weight, report.first_divergence->explanation, faults);
  faults.insert(faults.end(), report.faults.begin(), report.faults.end());
  report.faults = std::move(faults);
}

}  // namespace crossval
