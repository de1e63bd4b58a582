// CUMSUM, TRI, SOLVE_TRI (ggml-cpu/ops.cpp `ggml_compute_forward_cumsum_f32`, `_tri_f32`,
// `_solve_tri_f32`): what delta nets are made of where the engine has no GATED_DELTA_NET.
#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <vector>

#include "replay/families.h"
#include "replay/recurrence.h"

namespace crossval {

bool replay_cumsum(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor& x = in.source(0);
  require_shape(x.ne == in.out().ne, "sums up to each element keep the shape");
  const std::span<const float> values = in.floats(0);
  out.resize(x.n_elements());
  in.pool().run(x.n_rows(), [&](int64_t r, int) {
    double sum = 0, variance = 0;
    for (int64_t i = r * x.ne[0]; i < (r + 1) * x.ne[0]; ++i) {
      sum += values[static_cast<size_t>(i)];
      variance += rounding(sum);
      out.set(i, sum, sigma_of(variance));
    }
  });
  return true;
}

// Parameter 0: which part is kept (ggml.h `enum ggml_tri_type`). The rest is 0.
bool replay_tri(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor& x = in.source(0);
  require_shape(x.ne == in.out().ne, "a triangle keeps the shape");
  const int32_t part = in.param_i32(0);
  if (part < 0 || part > 3) throw Unreplayable{ReplayStatus::unknown_op, "an unknown triangle"};
  const bool is_upper = part < 2, has_diagonal = part % 2 == 0;
  const std::span<const float> values = in.floats(0);
  out.resize(x.n_elements());
  for (int64_t r = 0; r < x.n_rows(); ++r) {
    const int64_t row = r % x.ne[1];
    for (int64_t i = 0; i < x.ne[0]; ++i) {
      const bool is_kept = i == row ? has_diagonal : (i > row) == is_upper;
      const int64_t at = r * x.ne[0] + i;
      out.set(at, is_kept ? values[static_cast<size_t>(at)] : 0, 0);
    }
  }
  return true;
}

// Sources: 0 lower triangle [n, n, ...], 1 right side [k, n, ...]: x_i = (b_i - sum of a_it x_t) /
// a_ii, t < i. Errors of the x before come in through the sum.
bool replay_solve_tri(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor &a = in.source(0), &b = in.source(1), &y = in.out();
  const int64_t n = a.ne[0], k = b.ne[0];
  require_shape(
      a.ne[1] == n && b.ne == std::array<int64_t, 4>{k, n, a.ne[2], a.ne[3]} && y.ne == b.ne,
      "triangle, right side and result do not fit each other");
  const std::span<const float> triangle = in.floats(0), right = in.floats(1);
  out.resize(y.n_elements());
  in.pool().run(a.ne[2] * a.ne[3], [&](int64_t batch, int) {
    std::vector<double> x(static_cast<size_t>(n)), variances(static_cast<size_t>(n));
    for (int64_t column = 0; column < k; ++column) {
      for (int64_t i = 0; i < n; ++i) {
        const auto row = static_cast<size_t>((batch * n + i) * n);
        const int64_t at = (batch * n + i) * k + column;
        RoundedSum sum;
        double carried = 0;
        for (size_t t = 0; t < static_cast<size_t>(i); ++t) {
          sum.add(triangle[row + t] * x[t]);
          carried += squared(triangle[row + t]) * variances[t];
        }
        const double diagonal = triangle[row + static_cast<size_t>(i)];
        const double difference = right[static_cast<size_t>(at)] - sum.sum();
        const auto to = static_cast<size_t>(i);
        x[to] = difference / diagonal;
        variances[to] =
            (carried + sum.variance() + rounding(difference)) / squared(diagonal) + rounding(x[to]);
        out.set(at, x[to], sigma_of(variances[to]));
      }
    }
  });
  return true;
}

}  // namespace crossval
