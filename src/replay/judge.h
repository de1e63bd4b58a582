// How far a result is from what was recomputed, measured against the rounding error that the
// operation may have: per element, row, column, and as a whole. Rows that repeat count once for
// columns and the whole.
#pragma once

#include <span>

#include "replay/inputs.h"
#include "replay/replay.h"

namespace crossval {

struct Judged {
  std::span<const float> values;  // the engine's result
  int64_t row_len;                // its ne[0]
};
// Fills everything of Replayed but status, reason, arithmetic and expected.
void judge(const Judged& judged, const Recomputed& recomputed, Replayed& out);

// A part of n elements may be so many sigma off, root mean square: the more elements, the less
// chance is left.
double allowed_sigmas(int64_t n);

}  // namespace crossval
