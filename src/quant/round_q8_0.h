// Values rounded through Q8_0, as a cache of that type keeps them. The kernels round activations
// themselves (kernel_plain.h, `round_q8`): these need the values, not the codes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/half.h"

namespace crossval {

enum class Q8Rounding {
  simd,      // ggml-cpu/arch/x86/quants.c `quantize_row_q8_0`: factor 127 / amax, halves to even
  reference  // ggml-quants.c `quantize_row_q8_0_ref`: factor 1 / (amax / 127), halves away from
             // zero
};

// One block of `n` values (32, or what is left of a row); returns their largest magnitude. `values`
// may be `x`.
inline float round_through_q8_0(const float* x, int64_t n, Q8Rounding rounding, float* values) {
  float amax = 0;
  for (int64_t i = 0; i < n; ++i) amax = std::max(amax, std::fabs(x[i]));
  const float d = amax / 127.0f;
  const bool as_reference = rounding == Q8Rounding::reference;
  const float factor = d == 0.0f ? 0.0f : as_reference ? 1.0f / d : 127.0f / amax;
  const float stored = f16_to_f32(f32_to_f16(d));
  for (int64_t i = 0; i < n; ++i) {
    const float scaled = x[i] * factor;
    values[i] = (as_reference ? std::round(scaled) : std::nearbyint(scaled)) * stored;
  }
  return amax;
}

}  // namespace crossval
