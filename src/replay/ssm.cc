// SSM_CONV (ggml-cpu/ops.cpp `ggml_compute_forward_ssm_conv_f32`): a short convolution along the
// tokens. Sources: 0 [d_conv - 1 + tokens, inner, sequences], 1 [d_conv, inner]. SSM_SCAN is not
// replayed.
#include <cmath>
#include <span>

#include "replay/families.h"

namespace crossval {

bool replay_ssm_conv(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor &x = in.source(0), &w = in.source(1), &y = in.out();
  const int64_t n_conv = w.ne[0], n_inner = x.ne[1], n_tokens = y.ne[1];
  require_shape(n_conv > 0 && w.ne[1] == n_inner && y.ne[0] == n_inner && y.ne[2] == x.ne[2] &&
                    y.ne[3] == 1 && x.ne[3] == 1 && x.ne[0] == n_conv - 1 + n_tokens,
                "window, weights and result do not fit each other");
  const std::span<const float> values = in.floats(0), weights = in.floats(1);
  out.resize(y.n_elements());
  in.pool().run(y.n_rows(), [&](int64_t r, int) {
    const int64_t token = r % n_tokens, sequence = r / n_tokens;
    for (int64_t i = 0; i < n_inner; ++i) {
      double sum = 0, magnitude = 0;
      for (int64_t k = 0; k < n_conv; ++k) {
        const double term =
            double{values[static_cast<size_t>((sequence * n_inner + i) * x.ne[0] + token + k)]} *
            weights[static_cast<size_t>(i * n_conv + k)];
        sum += term;
        magnitude += std::fabs(term);
      }
      out.set(r * n_inner + i, sum, kUnit32 * magnitude);
    }
  });
  return true;
}

}  // namespace crossval
