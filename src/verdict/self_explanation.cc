#include "verdict/self_explanation.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace crossval {
namespace {

std::string under(const SelfRow& row) { return fmt::format("{} ({})", row.setting, row.changed); }

}  // namespace

TapName name_of(const TapReport& tap) {
  const bool is_named = !tap.tensor.empty() && !tap.tensor.starts_with("node_");
  return {is_named ? tap.tensor : tap.weight, tap.op};
}

TraceDivergence explain_change(const SelfRow& row, const FirstDifferent& first,
                               const TraceReport& found, const std::set<TapName>& failed_before) {
  TraceDivergence out;
  out.cause = Cause::nondeterminism;
  out.position = row.worst_position;
  out.tap.tensor = "result_output";
  if (first.order >= 0) {
    const auto tap = std::find_if(found.taps.begin(), found.taps.end(), [&](const TapReport& t) {
      return t.tensor == first.name && t.op == first.op && t.occurrence == first.occurrence;
    });
    if (tap != found.taps.end()) out.tap = *tap;
    out.tap.tensor = first.name;
    out.tap.op = first.op;
    out.tap.occurrence = first.occurrence;
    out.tap.layer = first.layer;
    out.position = first.position;
  }
  out.tap.verdict = TapVerdict::diverged;
  out.explanation = fmt::format("the same ids give other values under {}", under(row));
  if (first.order >= 0) out.explanation += fmt::format(", from {} on", first.name);
  out.explanation += *row.bit_equal
                         ? "; the logits happen to be the same"
                         : fmt::format("; the logits are up to {:.1e} apart", row.rel_l2);
  if (!out.tap.ratio) return out;
  out.explanation += *out.tap.ratio > 1
                         ? "; the first run's values are what its inputs call for, these are not"
                         : "; either is what its inputs call for, up to rounding";
  if (failed_before.contains(name_of(out.tap))) {
    out.explanation = out.explanation.substr(0, out.explanation.rfind(';')) +
                      "; in neither run are they what its inputs call for";
  }
  return out;
}

TraceDivergence explain_fault(const SelfRow& row, const TapReport& failed, TraceReport& found) {
  TraceDivergence out;
  if (found.first_divergence && name_of(found.first_divergence->tap) == name_of(failed)) {
    out = std::move(*found.first_divergence);
  } else {
    out.cause = Cause::kernel;
    out.tap = failed;
    out.position = failed.first_position;
  }
  out.explanation = fmt::format("only under {}: {}", under(row),
                                out.explanation.empty() ? "wrong values" : out.explanation);
  return out;
}

TraceDivergence explain_non_finite(const SelfRow& row) {
  TraceDivergence out;
  out.cause = Cause::nan_born;
  out.tap.tensor = "result_output";
  out.tap.verdict = TapVerdict::diverged;
  out.position = row.worst_position;
  out.explanation = fmt::format("only under {}: {}", under(row), row.note);
  return out;
}

}  // namespace crossval
