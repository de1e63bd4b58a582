// SOFT_MAX (ggml-cpu/ops.cpp `ggml_compute_forward_soft_max_f32`): scale, mask, position bias,
// sinks. Sources: 0 scores, 1 mask, 2 sinks; parameters: 0 scale, 1 max_bias.
#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "replay/attention_mask.h"
#include "replay/families.h"

namespace crossval {

bool replay_soft_max(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor& x = in.source(0);
  require_shape(x.ne == in.out().ne && x.n_elements() > 0, "softmax keeps the shape");
  const float scale = in.param_f32(0), max_bias = in.param_f32(1);
  const int64_t n = x.ne[0];
  std::span<const float> mask, sinks;
  std::array<int64_t, 4> mask_ne = {1, 1, 1, 1};
  if (in.has(1)) {
    mask = in.floats(1);
    mask_ne = in.source(1).ne;
    require_shape(mask_ne[0] == n && mask_ne[1] >= x.ne[1] && mask_ne[2] > 0 && mask_ne[3] > 0,
                  "the mask does not cover the scores");
  }
  if (in.has(2)) {
    sinks = in.floats(2);
    require_shape(static_cast<int64_t>(sinks.size()) >= x.ne[2],
                  "there are fewer sinks than heads");
  }
  const std::span<const float> values = in.floats(0);
  out.resize(x.n_elements());
  in.pool().run(x.n_rows(), [&](int64_t r, int) {
    const int64_t i1 = r % x.ne[1], head = r / x.ne[1] % x.ne[2], i3 = r / x.ne[1] / x.ne[2];
    const double slope = alibi_slope(max_bias, head, x.ne[2]);
    const int64_t mask_row = ((i3 % mask_ne[3]) * mask_ne[2] + head % mask_ne[2]) * mask_ne[1] + i1;
    const auto masked = [&](int64_t i) {
      const double m = mask.empty() ? 0 : slope * mask[static_cast<size_t>(mask_row * n + i)];
      return double{values[static_cast<size_t>(r * n + i)]} * scale + m;
    };
    double largest = -std::numeric_limits<double>::infinity();
    for (int64_t i = 0; i < n; ++i) largest = std::max(largest, masked(i));
    if (!sinks.empty()) largest = std::max(largest, double{sinks[static_cast<size_t>(head)]});
    double sum = sinks.empty() ? 0 : std::exp(sinks[static_cast<size_t>(head)] - largest);
    for (int64_t i = 0; i < n; ++i) sum += std::exp(masked(i) - largest);
    for (int64_t i = 0; i < n; ++i) {
      const double z = masked(i);
      const double y = std::exp(z - largest) / sum;
      // exp passes on the absolute error of its argument: the rounding of score * scale and of the
      // sum with mask and maximum. 2 for its polynomial, the sum and the division.
      const double scaled = std::fabs(double{values[static_cast<size_t>(r * n + i)]} * scale);
      const double argument = y > 0 ? 0.6 * (scaled + std::fabs(z) + std::fabs(largest)) : 0;
      out.set(r * n + i, y, kUnit32 * (2 + argument) * y);
    }
  });
  return true;
}

}  // namespace crossval
