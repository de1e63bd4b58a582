// How far a result is from what was recomputed, measured against the rounding error that the
// operation may have: per element, row, column, and as a whole.
#pragma once

#include <span>

#include "replay/inputs.h"
#include "replay/replay.h"

namespace crossval {

// Fills everything of Replayed but status, reason, arithmetic and expected. `values` is the
// engine's result, `row_len` its ne[0]. `inputs_finite` = no source holds a NaN or Inf (asked only
// where the result does).
struct Judged {
  std::span<const float> values;
  int64_t row_len;
};
void judge(const Judged& judged, const Recomputed& recomputed, Replayed& out);

// A part of n elements may be so many sigma off, root mean square: the more elements, the less
// chance is left.
double allowed_sigmas(int64_t n);

}  // namespace crossval
