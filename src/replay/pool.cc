// POOL_1D and POOL_2D (ggml-cpu/ops.cpp `ggml_compute_forward_pool_1d_ksp`,
// `ggml_compute_forward_pool_2d`): means or maxima of windows. Parameters: 0 which (0 maximum, 1
// mean), then sizes, steps and paddings of the window, of each one per dimension. A 2D mean divides
// by the whole window, a 1D mean by the part that lies inside.
#include <algorithm>
#include <array>
#include <cfloat>
#include <span>

#include "replay/families.h"
#include "replay/recurrence.h"

namespace crossval {
namespace {

struct Window {
  int64_t size, step, padding;
};

// First and one past the last position inside [0, n) of the window number i.
std::array<int64_t, 2> inside(const Window& window, int64_t i, int64_t n) {
  const int64_t from = i * window.step - window.padding;
  return {std::max<int64_t>(from, 0), std::min(from + window.size, n)};
}

bool pool(Inputs& in, int variant, const std::array<Window, 2>& windows, bool is_2d,
          Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor &x = in.source(0), &y = in.out();
  const int32_t kind = in.param_i32(0);
  if (kind != 0 && kind != 1) {
    throw Unreplayable{ReplayStatus::unknown_op, "pooling of kind " + std::to_string(kind)};
  }
  require_shape(x.ne[2] == y.ne[2] && x.ne[3] == y.ne[3], "pooling keeps the planes");
  for (size_t d = 0; d < 2; ++d) {
    const Window& w = windows[d];
    // ggml.c `ggml_calc_pool_output_size`
    require_shape(w.size > 0 && w.step > 0 && w.padding >= 0 && x.ne[d] > 0 && y.ne[d] > 0 &&
                      x.ne[d] + 2 * w.padding >= w.size &&
                      y.ne[d] == (x.ne[d] + 2 * w.padding - w.size) / w.step + 1,
                  "windows and result do not fit each other");
  }
  const std::span<const float> values = in.floats(0);
  out.resize(y.n_elements());
  in.pool().run(y.n_rows(), [&](int64_t row, int) {
    const int64_t plane = row / y.ne[1];
    const auto [from1, to1] = inside(windows[1], row % y.ne[1], x.ne[1]);
    for (int64_t i = 0; i < y.ne[0]; ++i) {
      const auto [from0, to0] = inside(windows[0], i, x.ne[0]);
      RoundedSum sum;
      double largest = -FLT_MAX;
      int64_t n_inside = 0;
      for (int64_t i1 = from1; i1 < to1; ++i1) {
        for (int64_t i0 = from0; i0 < to0; ++i0, ++n_inside) {
          const double value = values[static_cast<size_t>((plane * x.ne[1] + i1) * x.ne[0] + i0)];
          sum.add(value);
          largest = std::max(largest, value);
        }
      }
      if (kind == 0) {
        out.set(row * y.ne[0] + i, largest, 0);
        continue;
      }
      const double n = static_cast<double>(is_2d ? windows[0].size * windows[1].size
                                                 : std::max<int64_t>(n_inside, 1));
      out.set(row * y.ne[0] + i, sum.sum() / n,
              sigma_of(sum.variance() / squared(n) + rounding(sum.sum() / n)));
    }
  });
  return true;
}

}  // namespace

bool replay_pool_1d(Inputs& in, int variant, Recomputed& out) {
  return pool(in, variant,
              {Window{in.param_i32(1), in.param_i32(2), in.param_i32(3)}, Window{1, 1, 0}}, false,
              out);
}

bool replay_pool_2d(Inputs& in, int variant, Recomputed& out) {
  return pool(in, variant,
              {Window{in.param_i32(1), in.param_i32(3), in.param_i32(5)},
               Window{in.param_i32(2), in.param_i32(4), in.param_i32(6)}},
              true, out);
}

}  // namespace crossval
